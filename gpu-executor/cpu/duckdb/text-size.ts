/**
 * Refuses expressions that make texts or lists of millions of parts in a row: `repeat('x', 3000000000)`. DuckDB makes such
 * values outside the memory it counts, one whole vector of rows before it can be interrupted, so only a bound known
 * before it starts keeps the process alive. Invariant: what passes makes at most `LONGEST` parts a value.
 */
import { DataError } from '../../../driver/errors.js';
import { type Database, quoteText } from './database.js';

/** Characters of a text, or elements of a list, that an expression may be told to make. */
const LONGEST = 100_000;
/** Characters taken for a value of the data. */
const OF_DATA = 10;

interface SyntaxNode {
  readonly class?: string;
  readonly function_name?: string;
  readonly children?: readonly SyntaxNode[];
  readonly value?: { readonly value?: unknown };
  readonly child?: SyntaxNode;
  readonly [key: string]: unknown;
}

/** Functions whose result is as long as an argument says, and which argument. */
const GROWING: Readonly<Record<string, number>> = {
  repeat: 1,
  lpad: 1,
  rpad: 1,
  list_resize: 1,
  array_resize: 1,
  range: -1,
  generate_series: -1,
};
const MENTIONED = new RegExp(`\\b(${Object.keys(GROWING).join('|')})\\s*\\(`, 'i');

/** @throws DataError with `expression` for the first one that may make more */
export async function requireBoundedTexts(
  database: Database,
  expressions: readonly string[],
): Promise<void> {
  const growing = expressions.filter((sql) => MENTIONED.test(sql));
  if (growing.length === 0) return;
  const items = growing.map((sql) => `json_serialize_sql(${quoteText(`SELECT (${sql}\n)`)})`);
  const [row] = await database.query(`SELECT ${items.join(', ')}`, 'expression');
  for (const [i, sql] of growing.entries()) lengthOf(JSON.parse(String(row?.[i])), sql);
}

/** Parts of the node's value at most, as far as it is told how many; where nothing says, those of its longest operand. */
function lengthOf(node: unknown, sql: string): number {
  if (node === null || typeof node !== 'object') return 1;
  const { class: kind, function_name: name, children = [] } = node as SyntaxNode;
  if (kind === 'CONSTANT') return String((node as SyntaxNode).value?.value ?? '').length;
  if (kind === 'COLUMN_REF') return OF_DATA;
  const at = kind === 'FUNCTION' ? GROWING[name?.toLowerCase() ?? ''] : undefined;
  if (at === undefined) {
    const own = Object.values(node).map((value) => lengthOf(value, sql));
    return own.reduce((sum, length) => Math.max(sum, length), 1);
  }
  const operands = children.map((child) => lengthOf(child, sql));
  const said = at < 0 ? listLength(children) : wholeOf(children[at]);
  if (said === undefined) throw unbounded(sql, `${name}() with a length that is no constant`);
  const length = name?.toLowerCase() === 'repeat' ? said * Math.max(1, operands[0] ?? 1) : said;
  if (length > LONGEST) {
    throw unbounded(sql, `${name}() of ${length.toLocaleString('en-US')} characters or elements`);
  }
  return length;
}

/** Elements of `range` and `generate_series`. */
function listLength(children: readonly SyntaxNode[]): number | undefined {
  const bounds = children.map(wholeOf);
  if (bounds.includes(undefined)) return undefined;
  const [from = 0, to, step = 1] = bounds as number[];
  return (
    Math.ceil(Math.abs((to ?? 0) - (to === undefined ? -from : from)) / Math.abs(step || 1)) + 1
  );
}

function wholeOf(node: SyntaxNode | undefined): number | undefined {
  if (node?.class === 'CAST') return wholeOf(node.child);
  if (node?.class !== 'CONSTANT') return undefined;
  const value = Number(node.value?.value);
  return Number.isFinite(value) ? value : undefined;
}

function unbounded(sql: string, got: string): DataError {
  return new DataError(
    `expression ${JSON.stringify(sql)}: expected texts and lists of at most ${LONGEST.toLocaleString('en-US')} characters or elements, got ${got}; say a smaller constant`,
    { expression: sql },
  );
}
