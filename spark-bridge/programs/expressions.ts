/**
 * Feature expressions as the shim takes them: Spark SQL printed from the tree that DuckDB's parser
 * made of the text, with the columns' types as Spark has them. Invariant: no text of a job reaches
 * Spark unprinted but that of a job tied to it.
 */
import { ConfigError, DataError } from '../../driver/errors.js';
import { SqlChecker, type SqlColumnInfo } from '../../driver/frame/sql/checker.js';
import type { SqlParser } from '../../driver/frame/sql/parser.js';
import { Printer } from '../../driver/frame/sql/print.js';
import { columnSqlType } from '../../driver/frame/sql/types.js';
import type { Expr } from '../../driver/ir/expr.js';
import type {
  FrameColumn,
  FrameFormat,
  FrameSource,
  SqlText,
} from '../../driver/ir/frame-engine.js';
import type { TableColumn } from '../../driver/ir/table-aggregates.js';
import type { EncodedFeature } from '../../driver/operators/encode-block.js';
import type { WireSql } from '../channel/wire.js';

/** The columns of a source that was described elsewhere. */
export type DescribeColumns = (source: FrameSource) => Promise<readonly FrameColumn[]>;

interface Columns {
  readonly infos: readonly SqlColumnInfo[];
  readonly printer: Printer;
}

/** An expression's own name among those translated. */
export function textKey({ sql, dialect }: SqlText): string {
  return `${dialect ?? ''} ${sql}`;
}

export class SparkExpressions {
  readonly #checker: SqlChecker;
  readonly #describe: DescribeColumns;
  readonly #columns = new WeakMap<readonly FrameColumn[], Columns>();

  constructor(parser: SqlParser | undefined, describe: DescribeColumns) {
    this.#checker = new SqlChecker(parser ?? missingParser);
    this.#describe = describe;
  }

  /** Each expression on Spark, by `textKey`. @throws DataError with the refused `expression` */
  async translate(
    texts: readonly SqlText[],
    source: FrameSource,
  ): Promise<ReadonlyMap<string, WireSql>> {
    const out = new Map<string, WireSql>();
    const common: string[] = [];
    for (const text of texts) {
      const { sql, dialect } = text;
      if (dialect === undefined) common.push(sql);
      else if (dialect === 'spark') out.set(textKey(text), { sql, shown: sql, dialect });
      else {
        throw otherEngine(sql);
      }
    }
    if (common.length === 0) return out;
    const { infos, printer } = this.#of(
      source.columns ?? (await this.#describe(source)),
      source.format,
    );
    const trees = await this.#checker.trees(common, infos);
    for (const [i, sql] of common.entries()) {
      out.set(textKey({ sql }), { sql: printer.print(trees[i]!), shown: sql, dialect: null });
    }
    return out;
  }

  /** Aggregates over a table, as `translate`. */
  async aggregates(
    formulas: readonly SqlText[],
    columns: readonly TableColumn[],
  ): Promise<WireSql[]> {
    const printer = new Printer(({ name }) => printColumn(name, undefined));
    const out: WireSql[] = [];
    for (const { sql, dialect } of formulas) {
      if (dialect === 'duckdb') throw otherEngine(sql);
      if (dialect === 'spark') out.push({ sql, shown: sql, dialect });
      else {
        const tree = await this.#checker.aggregate(sql, columns);
        out.push({ sql: printer.print(tree), shown: sql, dialect: null });
      }
    }
    return out;
  }

  /** The same for what the `encode` nodes among these take from their frames. */
  async ofNodes(nodes: Iterable<Expr>): Promise<ReadonlyMap<Expr, ReadonlyMap<string, WireSql>>> {
    const out = new Map<Expr, ReadonlyMap<string, WireSql>>();
    for (const node of nodes) {
      if (node.op.source !== 'scan') continue;
      const features = node.attrs.features as unknown as readonly EncodedFeature[];
      const source = node.inputs[0]!.payload as FrameSource;
      out.set(node, await this.translate(features, source));
    }
    return out;
  }

  #of(columns: readonly FrameColumn[], format: FrameFormat): Columns {
    let known = this.#columns.get(columns);
    if (known === undefined) {
      const infos = columns.map(({ name, engineType }) => {
        return { name, engineType, type: duckDbType(engineType, format) };
      });
      const types = new Map(infos.map((info) => [info.name, info]));
      const printer = new Printer(({ name }) => printColumn(name, types.get(name)));
      known = { infos, printer };
      this.#columns.set(columns, known);
    }
    return known;
  }
}

/**
 * DuckDB's type of a column of Spark's: text formats have whole numbers of 64 bits there, and they
 * and Arrow times without a zone, so these mean the same here.
 */
function duckDbType(engineType: string, format: FrameFormat): string | undefined {
  const isText = format === 'csv' || format === 'jsonl';
  if (engineType === 'timestamp') {
    return isText || format === 'arrow' ? 'TIMESTAMP' : 'TIMESTAMP WITH TIME ZONE';
  }
  if (engineType === 'timestamp_ns') return 'TIMESTAMP';
  if (engineType === 'int' && isText) return 'BIGINT';
  return columnSqlType(engineType);
}

function printColumn(name: string, info: SqlColumnInfo | undefined): string {
  const column = `\`${name.replaceAll('`', '``')}\``;
  if (info?.type === 'TIMESTAMP' && info.engineType.startsWith('timestamp')) {
    return `CAST(${column} AS TIMESTAMP_NTZ)`;
  }
  if (info?.type === 'BIGINT' && info.engineType === 'int') return `CAST(${column} AS BIGINT)`;
  return column;
}

function otherEngine(sql: string): DataError {
  return new DataError(
    `expression ${JSON.stringify(sql)}: expected this machine for dialect duckdb, got engine spark; run with --engine local, or leave the dialect out`,
    { expression: sql },
  );
}

const missingParser: SqlParser = {
  parse: async () => {
    throw new ConfigError(
      'spark: expected a parser for expressions, got none; open the backend with `sql`',
      { key: 'sql' },
    );
  },
  bind: () => missingParser.parse([]).then(() => ''),
};
