/**
 * Passes expressions before they reach DuckDB: those of the common table by the driver's checks,
 * those of a job that says `dialect: duckdb` by DuckDB's own list.
 */
import { DataError } from '../../../driver/errors.js';
import { SqlChecker, type SqlColumnInfo } from '../../../driver/frame/sql/checker.js';
import type { SqlParser } from '../../../driver/frame/sql/parser.js';
import { columnSqlType } from '../../../driver/frame/sql/types.js';
import type { SqlText } from '../../../driver/ir/frame-engine.js';
import type { TableColumn } from '../../../driver/ir/table-aggregates.js';
import type { Database } from './database.js';
import { DuckDbDialect } from './expression.js';
import type { LayoutColumn } from './scan.js';

export class ExpressionChecker {
  readonly #common: SqlChecker;
  readonly #own: DuckDbDialect;
  readonly #columns = new WeakMap<readonly LayoutColumn[], readonly SqlColumnInfo[]>();

  constructor(database: Database, parser: SqlParser) {
    this.#common = new SqlChecker(parser);
    this.#own = new DuckDbDialect(database, parser);
  }

  /** @throws DataError with `expression` for the first one that is refused */
  async check(expressions: readonly SqlText[], columns: readonly LayoutColumn[]): Promise<void> {
    const common: string[] = [];
    for (const { sql, dialect } of expressions) {
      if (dialect === undefined) common.push(sql);
      else if (dialect === 'duckdb') {
        await this.#own.check(
          sql,
          columns.map(({ name }) => name),
        );
      } else {
        throw otherEngine(sql);
      }
    }
    await this.#common.trees(common, this.#infos(columns));
  }

  /** The same of aggregates over a table. @throws DataError with `expression` */
  async checkAggregates(formulas: readonly SqlText[], columns: readonly TableColumn[]) {
    const names = columns.map(({ name }) => name);
    for (const { sql, dialect } of formulas) {
      if (dialect === 'duckdb') await this.#own.check(sql, names, 'aggregate');
      else if (dialect === undefined) await this.#common.aggregate(sql, columns);
      else throw otherEngine(sql);
    }
  }

  #infos(columns: readonly LayoutColumn[]): readonly SqlColumnInfo[] {
    let infos = this.#columns.get(columns);
    if (infos === undefined) {
      infos = columns.map(({ name, type }) => {
        return { name, type: columnSqlType(type), engineType: type };
      });
      this.#columns.set(columns, infos);
    }
    return infos;
  }
}

function otherEngine(sql: string): DataError {
  return new DataError(
    `expression ${JSON.stringify(sql)}: expected engine spark for dialect spark, got this machine; run with --engine spark, or leave the dialect out`,
    { expression: sql },
  );
}
