/**
 * What the text of an expression may be: one scalar expression over the frame's columns. Checked on
 * the syntax tree of DuckDB's own parser, before any statement is composed from the text: no second
 * statement, no sub-query (so no other file), no aggregate or window, no parameter.
 */
import { parseDuckDbJson } from './duckdb-json.js';
import { SqlRefusal } from './refusal.js';
import { requireShortTexts } from './text-size.js';

const ALLOWED_CLASSES = new Set([
  'BETWEEN',
  'CASE',
  'CAST',
  'COLUMN_REF',
  'COMPARISON',
  'CONJUNCTION',
  'CONSTANT',
  'FUNCTION',
  'OPERATOR',
]);
/** Taken only where the job is tied to DuckDB. */
const DUCKDB_CLASSES = new Set(['COLLATE', 'LAMBDA']);

export interface SyntaxNode {
  readonly class?: string;
  readonly type?: string;
  readonly alias?: string;
  readonly function_name?: string;
  readonly column_names?: readonly string[];
  readonly [key: string]: unknown;
}

/** What is written in an expression. */
export interface ExpressionParts {
  readonly functions: readonly SyntaxNode[];
  /** The first name of each reference, and how many names it has. */
  readonly columns: readonly { readonly name: string; readonly names: number }[];
  readonly types: readonly string[];
}

/** The two statements an expression is parsed in; see `writtenIn`. */
export function statementsOf(sql: string): readonly string[] {
  // Both readings must be the same single expression: `1) + (2` is one only inside parentheses, `a
  // -- b` only outside.
  return [`SELECT ${sql}`, `SELECT (${sql}\n)`];
}

/** Passes when the text can be part of a statement at all. @throws SqlRefusal */
export function requireText(sql: string): void {
  if (sql.trim() === '' || sql.includes('\0')) throw new SqlRefusal('none');
}

/**
 * What is written in an expression, from the two readings of its text.
 * @throws SqlRefusal for anything but one scalar expression
 */
export function writtenIn(readings: readonly string[], isDuckDb: boolean): ExpressionParts {
  const [root] = readings.map(singleExpression);
  const nodes = [...nodesOf(root)];
  const local = new Set<string>();
  for (const node of nodes) {
    const isTaken =
      ALLOWED_CLASSES.has(node.class ?? '') || (isDuckDb && DUCKDB_CLASSES.has(node.class ?? ''));
    if (!isTaken || node.type === 'GROUPING_FUNCTION') throw new SqlRefusal(described(node));
    if (node.class !== 'LAMBDA') continue;
    for (const part of nodesOf(node.lhs)) {
      for (const name of part.column_names ?? []) local.add(name);
    }
  }
  requireShortTexts(root!);
  const references = nodes.filter((node) => node.class === 'COLUMN_REF');
  return {
    functions: nodes.filter((node) => node.class === 'FUNCTION'),
    columns: references
      .map(({ column_names: names = [] }) => ({ name: names[0] ?? '', names: names.length }))
      .filter(({ name }) => !local.has(name)),
    types: nodes.filter((node) => node.class === 'CAST').map(castType),
  };
}

function castType(node: SyntaxNode): string {
  return (node.cast_type as { readonly id?: string } | undefined)?.id ?? '';
}

/** How many arguments a call has; the parser takes the first of `a.f(b)` for a schema. */
export function argumentsOf({ children, schema }: SyntaxNode): number {
  const isMethod = schema !== undefined && schema !== '';
  return (children as readonly unknown[]).length + (isMethod ? 1 : 0);
}

/** The one expression of a statement DuckDB parsed. @throws SqlRefusal when it is anything else */
function singleExpression(serialized: string): SyntaxNode {
  const parsed = parseDuckDbJson(serialized) as {
    readonly error: boolean;
    readonly error_message?: string;
    readonly statements?: readonly { readonly node: SyntaxNode }[];
  };
  if (parsed.error) throw new SqlRefusal(syntaxError(parsed.error_message ?? 'something else'));
  const node = parsed.statements?.[0]?.node;
  const list = (node?.select_list ?? []) as readonly SyntaxNode[];
  const [only] = list;
  if (parsed.statements?.length !== 1 || list.length !== 1 || only === undefined) {
    throw new SqlRefusal(`${Math.max(list.length, parsed.statements?.length ?? 0)} of them`);
  }
  if (only.alias !== '') throw new SqlRefusal(`an alias (${only.alias})`);
  if (!isBare(node as SyntaxNode)) throw new SqlRefusal('a whole query');
  return only;
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
    COLLATE: 'a collation',
    LAMBDA: 'a function of its own (lambda)',
  };
  return kinds[node.class ?? ''] ?? String(node.type);
}

function syntaxError(message: string): string {
  return message.startsWith('Only SELECT') ? 'several statements' : message;
}
