/**
 * What a feature expression may be: one scalar expression over the frame's columns whose value depends on its row
 * alone. Checked on the syntax tree of DuckDB's own parser, before any statement is composed from the text: no second
 * statement, no sub-query (so no other file), no aggregate or window, no clock, no random number (its result would
 * differ between runs and must not be reused), no parameter.
 */
import { DataError } from '../../../driver/errors.js';
import { closestText } from '../../../driver/frame/closest.js';
import { type Database, quoteText } from './database.js';

const ALLOWED_CLASSES = new Set([
  'BETWEEN',
  'CASE',
  'CAST',
  'COLLATE',
  'COLUMN_REF',
  'COMPARISON',
  'CONJUNCTION',
  'CONSTANT',
  'FUNCTION',
  'LAMBDA',
  'OPERATOR',
]);

/** Built-in macros that are functions of their arguments; the rest look at the session or the clock. */
const ALLOWED_MACROS =
  /^(nullif|fdiv|fmod|round_even|roundbankers|split_part|list_\w+|array_\w+|map_contains_\w+|days_in_month|date_add|md5_number\w*|json)$/;

/**
 * Functions of the row that need no look into DuckDB's list, which takes it longer to make than a file to profile. A test
 * holds them against that list.
 */
export const ROW_FUNCTIONS: ReadonlySet<string> = new Set(
  '+ - * / // % ** ^ || abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log2 log10 pow power sin cos tan greatest least lower upper length trim ltrim rtrim substring replace concat contains date_part date_trunc date_diff year month day hour minute second dayofweek dayofyear week quarter epoch'.split(
    ' ',
  ),
);

/** Scalar functions of the session or the clock, which DuckDB lists as if they were constant. */
const SESSION_FUNCTIONS = new Set([
  'current_setting',
  'getvariable',
  'version',
  'getenv',
  'current_localtime',
  'current_localtimestamp',
]);

interface SyntaxNode {
  readonly class?: string;
  readonly type?: string;
  readonly alias?: string;
  readonly function_name?: string;
  readonly column_names?: readonly string[];
  readonly [key: string]: unknown;
}

interface Functions {
  readonly aggregates: ReadonlySet<string>;
  readonly unstable: ReadonlySet<string>;
  readonly macros: ReadonlySet<string>;
}

export class ExpressionChecker {
  readonly #database: Database;
  #functions: Promise<Functions> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Passes when `sql` is an expression as described above over `columns`.
   * @throws DataError with `expression`, and `column` for an unknown one
   */
  async check(sql: string, columns: readonly string[]): Promise<void> {
    const root = await this.#parse(sql);
    const names = new Set(columns.map((name) => name.toLowerCase()));
    const local = new Set<string>();
    for (const node of nodesOf(root)) {
      if (node.class === 'LAMBDA') {
        for (const part of nodesOf(node.lhs))
          for (const name of part.column_names ?? []) local.add(name);
      }
    }
    for (const node of nodesOf(root)) {
      if (!ALLOWED_CLASSES.has(node.class as string) || node.type === 'GROUPING_FUNCTION') {
        throw refuse(sql, described(node));
      }
      if (node.class === 'FUNCTION') await this.#checkFunction(sql, node);
      const column = node.class === 'COLUMN_REF' ? node.column_names?.[0] : undefined;
      if (column !== undefined && !local.has(column) && !names.has(column.toLowerCase())) {
        throw new DataError(
          `expression ${show(sql)}: expected columns of the data, got ${show(column)}; the columns are ${closestText(column, columns)}`,
          { expression: sql, column },
        );
      }
    }
  }

  async #parse(sql: string): Promise<SyntaxNode> {
    if (sql.trim() === '' || sql.includes('\0')) throw refuse(sql, 'none');
    // Both readings must be the same single expression: `1) + (2` is one only inside parentheses, `a -- b` only outside.
    const readings = [`SELECT ${sql}`, `SELECT (${sql}\n)`];
    const [row] = await this.#database.query(
      `SELECT ${readings.map((text) => `json_serialize_sql(${quoteText(text)})`).join(', ')}`,
      'expression',
    );
    const [bare] = readings.map((_, at) => singleExpression(sql, String(row?.[at])));
    return bare!;
  }

  async #checkFunction(sql: string, node: SyntaxNode): Promise<void> {
    const name = (node.function_name ?? '').toLowerCase();
    if (ROW_FUNCTIONS.has(name)) return;
    this.#functions ??= this.#listFunctions();
    const functions = await this.#functions;
    if (functions.aggregates.has(name) || name === 'unnest') {
      throw refuse(sql, `${name}(), which does not work row by row`);
    }
    const unstable =
      functions.unstable.has(name) ||
      SESSION_FUNCTIONS.has(name) ||
      // With one argument the other one is today.
      (name === 'age' && argumentsOf(node) < 2) ||
      (functions.macros.has(name) && !ALLOWED_MACROS.test(name));
    if (unstable) {
      throw refuse(sql, `${name}(), whose result does not depend on the row alone`);
    }
  }

  async #listFunctions(): Promise<Functions> {
    const rows = await this.#database.query(
      'SELECT DISTINCT lower(function_name), function_type, stability FROM duckdb_functions()',
      'expression',
    );
    const named = (test: (type: unknown, stability: unknown) => boolean): ReadonlySet<string> =>
      new Set(rows.filter((row) => test(row[1], row[2])).map((row) => String(row[0])));
    return {
      aggregates: named((type) => type === 'aggregate'),
      unstable: named(
        (type, stability) =>
          type === 'scalar' &&
          (stability === 'VOLATILE' || stability === 'CONSISTENT_WITHIN_QUERY'),
      ),
      macros: named((type) => type === 'macro'),
    };
  }
}

/** The one expression of a statement that DuckDB has parsed. @throws DataError when it is anything else */
function singleExpression(sql: string, serialized: string): SyntaxNode {
  const parsed = JSON.parse(serialized) as {
    readonly error: boolean;
    readonly error_message?: string;
    readonly statements?: readonly { readonly node: SyntaxNode }[];
  };
  if (parsed.error) throw refuse(sql, syntaxError(parsed.error_message ?? 'something else'));
  const node = parsed.statements?.[0]?.node;
  const list = (node?.select_list ?? []) as readonly SyntaxNode[];
  const [only] = list;
  if (parsed.statements?.length !== 1 || list.length !== 1 || only === undefined) {
    throw refuse(sql, `${Math.max(list.length, parsed.statements?.length ?? 0)} of them`);
  }
  if (only.alias !== '') throw refuse(sql, `an alias (${only.alias})`);
  if (!isBare(node as SyntaxNode)) throw refuse(sql, 'a whole query');
  return only;
}

/** How many arguments a call has; the parser takes the first of `a.f(b)` for a schema. */
function argumentsOf({ children, schema }: SyntaxNode): number {
  const isMethod = schema !== undefined && schema !== '';
  return (children as readonly unknown[]).length + (isMethod ? 1 : 0);
}

/** Whether a SELECT is nothing but its select list. */
function isBare(node: SyntaxNode): boolean {
  const from = node.from_table as SyntaxNode | undefined;
  const cte = (node.cte_map as { readonly map?: readonly unknown[] } | undefined)?.map ?? [];
  const lists = [node.modifiers, node.group_expressions, node.group_sets];
  return (
    node.type === 'SELECT_NODE' &&
    from?.type === 'EMPTY' &&
    cte.length === 0 &&
    lists.every((list) => Array.isArray(list) && list.length === 0) &&
    [node.where_clause, node.having, node.qualify, node.sample].every((part) => part == null)
  );
}

/** All expression nodes of a tree, itself included. */
function* nodesOf(value: unknown): Generator<SyntaxNode> {
  if (Array.isArray(value)) for (const item of value) yield* nodesOf(item);
  else if (typeof value === 'object' && value !== null) {
    const node = value as SyntaxNode;
    if (typeof node.class === 'string') yield node;
    for (const child of Object.values(node)) yield* nodesOf(child);
  }
}

function described(node: SyntaxNode): string {
  const kinds: Readonly<Record<string, string>> = {
    SUBQUERY: 'a sub-query',
    WINDOW: 'a window function, which does not work row by row',
    STAR: 'a star',
    PARAMETER: 'a parameter',
    POSITIONAL_REFERENCE: 'a reference by position',
  };
  return kinds[node.class ?? ''] ?? String(node.type);
}

function syntaxError(message: string): string {
  return message.startsWith('Only SELECT') ? 'several statements' : message;
}

function refuse(sql: string, got: string): DataError {
  return new DataError(
    `expression ${show(sql)}: expected one scalar SQL expression over the row's columns, got ${got}`,
    { expression: sql },
  );
}

function show(sql: string): string {
  return JSON.stringify(sql.length > 200 ? `${sql.slice(0, 200)}…` : sql);
}
