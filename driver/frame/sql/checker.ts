/**
 * Checks expressions of features and of metrics and gives them as trees, alike for every engine:
 * DuckDB parses and binds the text, and the printer for Spark must have a row for all of it.
 * Invariant: what passes means one thing, depends on its row alone, or as an aggregate on its rows,
 * and is refused with the same words wherever it is read.
 */
import { DataError } from '../../errors.js';
import { type TableColumn, valuesType } from '../../ir/table-aggregates.js';
import { closestText } from '../../support/closest.js';
import { columnSql } from '../feature-spec.js';
import type { SqlParser, TypedColumn } from './parser.js';
import { Printer } from './print.js';
import { refuse, SqlRefusal } from './refusal.js';
import { type ExpressionParts, requireText, statementsOf, writtenIn } from './syntax.js';
import { AGGREGATE_NAMES, isAggregate, isWritten, notInTable } from './table.js';
import { decodeBound, type SqlNode, type SqlType } from './tree.js';
import { isTaken } from './types.js';

/** A column as expressions see it. */
export interface SqlColumnInfo {
  readonly name: string;
  /** DuckDB's name of the type to bind it with; undefined for one that no expression takes. */
  readonly type: string | undefined;
  /** The engine's name of the type, for messages. */
  readonly engineType: string;
}

/** Of one row, as features are; or of many, as metrics are. */
export type ExpressionKind = 'row' | 'aggregate';

/** Expressions bound in one statement. */
const BATCH = 256;
const MAX_KNOWN = 4096;

export class SqlChecker {
  readonly #parser: SqlParser;
  readonly #known = new WeakMap<readonly SqlColumnInfo[], Frame>();

  constructor(parser: SqlParser) {
    this.#parser = parser;
  }

  /**
   * The trees of the expressions over these columns; a column's array is remembered, so give the
   * same one again.
   * @throws DataError with `expression`, and `column` for an unknown one
   */
  async trees(sqls: readonly string[], columns: readonly SqlColumnInfo[]): Promise<SqlNode[]> {
    const frame = this.#known.get(columns) ?? new Frame(columns);
    this.#known.set(columns, frame);
    const fresh = [...new Set(sqls)].filter((sql) => !frame.has(sql));
    for (let from = 0; from < fresh.length; from += BATCH) {
      const some = fresh.slice(from, from + BATCH);
      const trees = await this.#read(some, frame);
      for (const [i, sql] of some.entries()) frame.add(sql, trees[i]!);
    }
    return sqls.map((sql) => frame.tree(sql)!);
  }

  /**
   * The tree of an aggregate over a table of these columns: of a metric.
   * @throws DataError as `trees`
   */
  async aggregate(sql: string, columns: readonly TableColumn[]): Promise<SqlNode> {
    const infos = columns.map(({ name, values }): SqlColumnInfo => {
      const type = valuesType(values);
      return { name, type, engineType: type };
    });
    const [tree] = await this.#read([sql], new Frame(infos, 'aggregate'));
    if (hasAggregate(tree!)) return tree!;
    const got = refuse('one without an aggregate', 'such as sum(..) or avg(..)');
    throw explanation(sql, got, 'aggregate');
  }

  async #read(sqls: readonly string[], frame: Frame): Promise<readonly SqlNode[]> {
    const explained = <T>(sql: string, check: () => T): T => explainedAs(frame.kind, sql, check);
    for (const sql of sqls) explained(sql, () => requireText(sql));
    const readings = await this.#parser.parse(sqls.flatMap(statementsOf));
    const used = new Map<string, SqlColumnInfo>();
    for (const [i, sql] of sqls.entries()) {
      const written = explained(sql, () => writtenIn(readings.slice(2 * i, 2 * i + 2), false));
      explained(sql, () => requireWritten(written, frame.kind));
      for (const { name, names } of written.columns) {
        const column = frame.column(name);
        if (column === undefined) throw unknownColumn(frame.kind, sql, name, frame.names);
        explained(sql, () => requireScalar(column, names));
        used.set(column.name, column);
      }
      // The parser takes the column of `s.upper()` for a schema.
      for (const { schema } of written.functions) {
        const column = frame.column(String(schema));
        if (column?.type !== undefined) used.set(column.name, column);
      }
    }
    const columns = [...used.values()].map(({ name, type }) => ({ name, type: type! }));
    const trees = await this.#bind(sqls, columns, frame.kind);
    const printer = new Printer(({ name }) => name);
    for (const [i, sql] of sqls.entries()) explained(sql, () => printer.print(trees[i]!));
    return trees;
  }

  async #bind(
    sqls: readonly string[],
    columns: readonly TypedColumn[],
    kind: ExpressionKind,
  ): Promise<readonly SqlNode[]> {
    const bound = decodeBound(await this.#parser.bind(sqls, columns));
    if (!('refusal' in bound)) return bound;
    if (sqls.length === 1) {
      const got = refuse(bound.refusal.split('\n')[0]!.replace(/[. ]*$/, ''));
      throw explanation(sqls[0]!, got, kind);
    }
    const trees: SqlNode[] = [];
    for (const sql of sqls) trees.push(...(await this.#bind([sql], columns, kind)));
    return trees;
  }
}

/** The columns of a frame and the trees over them. */
class Frame {
  readonly columns: readonly SqlColumnInfo[];
  readonly kind: ExpressionKind;
  readonly #byName = new Map<string, SqlColumnInfo>();
  readonly #plain = new Map<string, SqlColumnInfo>();
  readonly #trees = new Map<string, SqlNode>();

  constructor(columns: readonly SqlColumnInfo[], kind: ExpressionKind = 'row') {
    this.columns = columns;
    this.kind = kind;
    for (const column of [...columns].reverse()) {
      this.#byName.set(column.name.toLowerCase(), column);
      this.#plain.set(columnSql(column.name), column);
    }
  }

  get names(): string[] {
    return this.columns.map(({ name }) => name);
  }

  column(name: string): SqlColumnInfo | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  has(sql: string): boolean {
    return this.tree(sql) !== undefined;
  }

  /** A column alone needs no parser: wide data have thousands of them. */
  tree(sql: string): SqlNode | undefined {
    const column = this.#plain.get(sql);
    if (column === undefined) return this.#trees.get(sql);
    return { kind: 'column', name: column.name, type: typeNamed(column.type) };
  }

  add(sql: string, tree: SqlNode): void {
    if (this.#trees.size >= MAX_KNOWN) this.#trees.clear();
    this.#trees.set(sql, tree);
  }
}

/** Functions and types as written: the binder replaces some by values, such as `current_user`. */
function requireWritten({ functions, types }: ExpressionParts, kind: ExpressionKind): void {
  for (const { function_name: name = '', distinct, order_bys: order } of functions) {
    const own = name.toLowerCase();
    const isOne = kind === 'aggregate' && isAggregate(own);
    if (!isWritten(own) && !isOne) {
      throw notInTable(own, kind === 'aggregate' ? AGGREGATE_NAMES : []);
    }
    const orders = (order as { readonly orders?: readonly unknown[] } | null)?.orders ?? [];
    if (isOne && (distinct === true || orders.length > 0)) {
      throw refuse(`${own}() of ${distinct === true ? 'distinct' : 'ordered'} values`);
    }
  }
  for (const type of types) {
    if (!isTaken(type))
      throw refuse(
        `a cast to ${type}`,
        'cast to bigint, double, decimal, varchar, date or timestamp',
      );
  }
}

function requireScalar(column: SqlColumnInfo, names: number): void {
  if (column.type === undefined) {
    throw refuse(`the column ${column.name} of type ${column.engineType}`, 'leave it out');
  }
  if (names > 1) throw refuse(`a field of ${column.name}`, 'name a column');
}

/** An error about a column that is not among these names. */
export function unknownColumn(
  kind: ExpressionKind,
  sql: string,
  column: string,
  names: readonly string[],
): DataError {
  return new DataError(
    `expression ${show(sql)}: expected columns of ${kind === 'row' ? 'the data' : 'the predictions'}, got ${show(column)}; the columns are ${closestText(column, names)}`,
    { expression: sql, column },
  );
}

/** Runs a check; what it refuses becomes an error about the expression. @throws DataError */
export function explainedAs<T>(kind: ExpressionKind, sql: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof SqlRefusal) throw explanation(sql, error, kind);
    throw error;
  }
}

const EXPECTED = {
  row: "one scalar SQL expression over the row's columns",
  aggregate: 'one aggregate in SQL over the rows of a test set',
} as const;

function explanation(sql: string, refusal: SqlRefusal, kind: ExpressionKind): DataError {
  return new DataError(
    `expression ${show(sql)}: expected ${EXPECTED[kind]}, got ${refusal.message}`,
    { expression: sql },
  );
}

function hasAggregate(node: SqlNode): boolean {
  if (node.kind === 'cast') return hasAggregate(node.child);
  return node.kind === 'call' && (isAggregate(node.name) || node.args.some(hasAggregate));
}

function show(sql: string): string {
  return JSON.stringify(sql.length > 200 ? `${sql.slice(0, 200)}…` : sql);
}

function typeNamed(name: string | undefined): SqlType {
  const [, width, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(name ?? '') ?? [];
  const id = width === undefined ? (name ?? 'UNKNOWN') : 'DECIMAL';
  return { id, width: Number(width ?? 0), scale: Number(scale ?? 0) };
}
