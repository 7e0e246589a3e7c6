/**
 * What the text of a query may be: one SELECT over the tables it is given, whose rows depend on them
 * alone. Checked on the syntax tree of DuckDB's own parser, before any statement is composed from
 * the text: no other table or file, no clock, no random number, no sample.
 */
import { closest } from '../../support/closest.js';
import { parseDuckDbJson } from './duckdb-json.js';
import { refuse, type SqlRefusal } from './refusal.js';
import type { SyntaxNode } from './syntax.js';

export interface QueryRules {
  /** Tables by name. */
  readonly tables: readonly string[];
  /** Whether a column of a table has this name, in lower case. */
  readonly hasColumn: (name: string) => boolean;
  /** Whether a call's value depends on more than its arguments. */
  readonly isUnstable: (call: SyntaxNode) => boolean;
}

/** Why a query is not taken, and where: from 1; undefined when nobody can say. */
export interface QueryFault {
  readonly refusal: SqlRefusal;
  readonly line?: number;
}

/** Tables made of arguments. */
const TABLE_FUNCTIONS: ReadonlySet<string> = new Set([
  'generate_series',
  'json_each',
  'json_tree',
  'range',
  'repeat',
  'repeat_row',
  'unnest',
]);

/** What DuckDB takes for calls when no column has the name. */
const BARE_CALLS: ReadonlySet<string> = new Set([
  'current_catalog',
  'current_date',
  'current_role',
  'current_schema',
  'current_time',
  'current_timestamp',
  'current_user',
  'localtime',
  'localtimestamp',
  'session_user',
  'user',
]);

const CLOCK = /^(now|today|age|.*(date|time|timestamp))$/;
const RANDOM = /^(random|setseed|.*uuid.*)$/;

/** The first thing of a parsed text (`json_serialize_sql`) that no query may have. */
export function queryFault(
  sql: string,
  serialized: string,
  rules: QueryRules,
): QueryFault | undefined {
  const parsed = parseDuckDbJson(serialized) as {
    readonly error: boolean;
    readonly error_message?: string;
    readonly position?: string;
    readonly statements?: readonly unknown[];
  };
  const { statements = [] } = parsed;
  if (parsed.error) {
    const message = parsed.error_message ?? 'something else';
    const isOther = message.startsWith('Only SELECT');
    const refusal = refuse(isOther ? 'another statement, or a PIVOT' : message);
    const { position } = parsed;
    if (position === undefined) return { refusal };
    return { refusal, line: lineAt(sql.slice(0, Number(position))) };
  }
  if (statements.length !== 1) return { refusal: refuse(`${statements.length} statements`) };
  const own = new Set([...rules.tables, ...namedQueries(statements)].map(lower));
  for (const node of everyNode(statements)) {
    const refusal = refused(node, own, rules);
    if (refusal === undefined) continue;
    const line = lineOf(sql, node);
    return line === undefined ? { refusal } : { refusal, line };
  }
  return undefined;
}

function refused(
  node: SyntaxNode,
  own: ReadonlySet<string>,
  rules: QueryRules,
): SqlRefusal | undefined {
  if (node.sample != null) {
    return refuse('a sample, which is another one each time', 'filter by hash(..) % 10 = 0');
  }
  switch (node.type) {
    case 'BASE_TABLE':
      return otherTable(node, own, rules);
    case 'SHOW_REF':
      return refuse('DESCRIBE or SUMMARIZE');
    case 'TABLE_FUNCTION': {
      const name = lower((node.function as SyntaxNode).function_name ?? '');
      if (TABLE_FUNCTIONS.has(name)) return undefined;
      return refuse(`the table function ${name}()`, 'name files and tables in `inputs`');
    }
  }
  switch (node.class) {
    case 'PARAMETER':
      return refuse('a parameter', 'write the value, or a variable as {{ name }}');
    case 'FUNCTION':
      return rules.isUnstable(node) ? unstable(lower(node.function_name ?? '')) : undefined;
    case 'COLUMN_REF': {
      const { column_names: names = [] } = node;
      const name = lower(names[0] ?? '');
      const isCall = names.length === 1 && BARE_CALLS.has(name) && !rules.hasColumn(name);
      return isCall ? unstable(name) : undefined;
    }
  }
  return undefined;
}

function otherTable(
  node: SyntaxNode,
  own: ReadonlySet<string>,
  { tables }: QueryRules,
): SqlRefusal | undefined {
  const given = [node.catalog_name, node.schema_name, node.table_name].map(String);
  const name = given.filter((part) => part !== '').join('.');
  if (own.has(lower(name))) return undefined;
  const near = closest(name, tables);
  const remedy = near === undefined ? 'add it to `inputs`' : `did you mean ${near}?`;
  return refuse(`the table ${name}`, remedy);
}

function unstable(name: string): SqlRefusal {
  const remedy = CLOCK.test(name)
    ? "write a date, or {{ date }} for the run's"
    : RANDOM.test(name)
      ? 'take hash(..) of a column'
      : undefined;
  return refuse(`${name}, whose value does not depend on the inputs alone`, remedy);
}

/** Names of WITH, wherever they stand; those out of scope DuckDB refuses. */
function* namedQueries(root: unknown): Generator<string> {
  for (const node of everyNode(root)) {
    const { map = [] } = (node.cte_map ?? {}) as { readonly map?: readonly { key: string }[] };
    for (const { key } of map) yield key;
  }
}

/** All objects of a tree. */
function* everyNode(value: unknown): Generator<SyntaxNode> {
  if (Array.isArray(value)) for (const item of value) yield* everyNode(item);
  else if (typeof value === 'object' && value !== null) {
    yield value as SyntaxNode;
    for (const child of Object.values(value)) yield* everyNode(child);
  }
}

function lineOf(sql: string, node: SyntaxNode): number | undefined {
  // The call of a table function says where it stands, as its table does; some nodes do not.
  const at = Number(node.query_location ?? Number.NaN);
  const bytes = Buffer.from(sql);
  return at <= bytes.length ? lineAt(bytes.subarray(0, at).toString()) : undefined;
}

function lineAt(before: string): number {
  return before.split('\n').length;
}

function lower(name: string): string {
  return name.toLowerCase();
}

/** What is wrong with a query, with the line where it has several. */
export function queryProblem(
  sql: string,
  line: number | undefined,
  expected: string,
  got: string,
): string {
  const isOne = !sql.trim().includes('\n');
  const text = line === undefined ? undefined : sql.split('\n')[line - 1]?.trim();
  const at = text === undefined || isOne ? '' : `line ${line} (${shortened(text)}): `;
  return `${at}expected ${expected}, got ${got}`;
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
