/**
 * Expressions of jobs that say `dialect: duckdb`: any function of DuckDB whose value depends on its
 * row alone, by DuckDB's own list; in metrics aggregates too. No clock, no random number (its
 * result would differ between runs and must not be reused), no session.
 */
import {
  type ExpressionKind,
  explainedAs,
  unknownColumn,
} from '../../../driver/frame/sql/checker.js';
import type { SqlParser } from '../../../driver/frame/sql/parser.js';
import { refuse } from '../../../driver/frame/sql/refusal.js';
import {
  argumentsOf,
  requireText,
  type SyntaxNode,
  statementsOf,
  writtenIn,
} from '../../../driver/frame/sql/syntax.js';
import type { Database } from './database.js';

/** Built-in macros that depend on arguments only; the rest use the session or the clock. */
const ALLOWED_MACROS =
  /^(nullif|fdiv|fmod|round_even|roundbankers|split_part|list_\w+|array_\w+|map_contains_\w+|days_in_month|date_add|md5_number\w*|json)$/;

/** Scalar functions of the session or the clock, which DuckDB lists as if they were constant. */
const SESSION_FUNCTIONS = new Set([
  'current_setting',
  'getvariable',
  'version',
  'getenv',
  'current_localtime',
  'current_localtimestamp',
]);

export interface Functions {
  readonly aggregates: ReadonlySet<string>;
  readonly unstable: ReadonlySet<string>;
  readonly macros: ReadonlySet<string>;
}

export class DuckDbDialect {
  readonly #database: Database;
  readonly #parser: SqlParser;

  constructor(database: Database, parser: SqlParser) {
    this.#database = database;
    this.#parser = parser;
  }

  /**
   * Passes when `sql` is an expression as described above over `columns`.
   * @throws DataError with `expression`, and `column` for an unknown one
   */
  async check(
    sql: string,
    columns: readonly string[],
    kind: ExpressionKind = 'row',
  ): Promise<void> {
    const explained = <T>(text: string, check: () => T): T => explainedAs(kind, text, check);
    explained(sql, () => requireText(sql));
    const readings = await this.#parser.parse(statementsOf(sql));
    const written = explained(sql, () => writtenIn(readings, true));
    const functions = await listFunctions(this.#database);
    for (const node of written.functions)
      explained(sql, () => requireFunction(node, functions, kind));
    const names = new Set(columns.map((name) => name.toLowerCase()));
    const unknown = written.columns.find(({ name }) => !names.has(name.toLowerCase()));
    if (unknown !== undefined) throw unknownColumn(kind, sql, unknown.name, columns);
  }
}

/** The same of every database of this process: none loads what others do not. */
let known: Functions | undefined;

/** DuckDB's own list of what it has, which takes it longer than reading a query. */
export async function listFunctions(database: Database): Promise<Functions> {
  known ??= await askFunctions(database);
  return known;
}

async function askFunctions(database: Database): Promise<Functions> {
  const rows = await database.query(
    'SELECT DISTINCT lower(function_name), function_type, stability FROM duckdb_functions()',
    'expression',
  );
  const named = (test: (type: unknown, stability: unknown) => boolean): ReadonlySet<string> =>
    new Set(rows.filter((row) => test(row[1], row[2])).map((row) => String(row[0])));
  return {
    aggregates: named((type) => type === 'aggregate'),
    unstable: named(
      (type, stability) =>
        type === 'scalar' && (stability === 'VOLATILE' || stability === 'CONSISTENT_WITHIN_QUERY'),
    ),
    macros: named((type) => type === 'macro'),
  };
}

/** Whether a call's value depends on more than its arguments. */
export function isUnstable(node: SyntaxNode, functions: Functions): boolean {
  const name = (node.function_name ?? '').toLowerCase();
  return (
    functions.unstable.has(name) ||
    SESSION_FUNCTIONS.has(name) ||
    // With one argument the other one is today.
    (name === 'age' && argumentsOf(node) < 2) ||
    (functions.macros.has(name) && !ALLOWED_MACROS.test(name))
  );
}

function requireFunction(node: SyntaxNode, functions: Functions, kind: ExpressionKind): void {
  const name = (node.function_name ?? '').toLowerCase();
  if ((kind === 'row' && functions.aggregates.has(name)) || name === 'unnest') {
    throw refuse(`${name}(), which does not work row by row`);
  }
  if (isUnstable(node, functions))
    throw refuse(`${name}(), whose result does not depend on the row alone`);
}
