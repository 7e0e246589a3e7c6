/**
 * Refuses expressions that make texts or lists of millions of parts in a row: `repeat('x',
 * 3000000000)`. DuckDB makes such values outside the memory it counts, constant ones while it
 * binds, and can't be interrupted in between, so only a bound known before that keeps the process
 * alive. Invariant: what passes makes at most `LONGEST` parts a value, as far as its text says.
 */
import { refuse } from './refusal.js';
import type { SyntaxNode } from './syntax.js';

/** Characters of a text, or elements of a list, that an expression may be told to make. */
export const LONGEST = 100_000;
/** Characters taken for a value of the data. */
const OF_DATA = 10;

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
/** Functions that may put one operand in the place of each part of another. */
const REPLACING: ReadonlySet<string> = new Set(['replace', 'regexp_replace']);

/** Passes when nothing in the tree is too long. @throws SqlRefusal */
export function requireShortTexts(root: SyntaxNode): void {
  lengthOf(root);
}

/**
 * Parts of the node's value at most, as far as it is told how many; where nothing says, those of
 * its longest operand. Each node is looked at once, however deep it stands.
 */
function lengthOf(node: unknown): number {
  if (node === null || typeof node !== 'object') return 1;
  if (Array.isArray(node)) return longestOf(node.map(lengthOf));
  const { class: kind, children, ...others } = node as SyntaxNode;
  if (kind === 'CONSTANT') return String(constantOf(node as SyntaxNode) ?? '').length;
  if (kind === 'COLUMN_REF') return OF_DATA;
  const operands = Array.isArray(children) ? children.map(lengthOf) : [];
  const longest = longestOf([...operands, ...Object.values(others).map(lengthOf)]);
  return kind === 'FUNCTION' ? (madeLength(node as SyntaxNode, operands) ?? longest) : longest;
}

function longestOf(lengths: readonly number[]): number {
  return lengths.reduce((most, length) => Math.max(most, length), 1);
}

/** @param lengths of operands in parentheses. Undefined if nothing longer than operands is made */
function madeLength(node: SyntaxNode, lengths: readonly number[]): number | undefined {
  const name = (node.function_name ?? '').toLowerCase();
  const at = GROWING[name];
  if (at === undefined && !REPLACING.has(name)) return undefined;
  // The parser takes the first operand of `s.repeat(3)` for a schema.
  const isMethod = typeof node.schema === 'string' && node.schema !== '';
  const given = (node.children ?? []) as readonly SyntaxNode[];
  const operands: readonly SyntaxNode[] = isMethod ? [{ class: 'COLUMN_REF' }, ...given] : given;
  const [text = 1, , replacement = 1] = isMethod ? [OF_DATA, ...lengths] : lengths;
  if (at === undefined) return bounded(name, Math.max(1, text) * Math.max(1, replacement));
  const said = at < 0 ? listLength(operands) : wholeOf(operands[at]);
  if (said === undefined) {
    throw refuse(`${name}() with a length that is no constant`, 'say a constant');
  }
  return bounded(name, name === 'repeat' ? said * Math.max(1, text) : said);
}

function bounded(name: string, length: number): number {
  if (length <= LONGEST) return length;
  throw refuse(`${name}() of ${length} characters or elements`, `at most ${LONGEST}`);
}

/** Elements of `range` and `generate_series`. */
function listLength(operands: readonly SyntaxNode[]): number | undefined {
  const bounds = operands.map(wholeOf);
  if (bounds.includes(undefined)) return undefined;
  const [first = 0, second, step = 1] = bounds as number[];
  const span = second === undefined ? first : second - first;
  return Math.ceil(Math.abs(span / (step || 1))) + 1;
}

function wholeOf(node: SyntaxNode | undefined): number | undefined {
  if (node?.class === 'CAST') return wholeOf(node.child as SyntaxNode);
  if (node?.class !== 'CONSTANT') return undefined;
  const value = Number(constantOf(node));
  return Number.isFinite(value) ? value : undefined;
}

function constantOf(node: SyntaxNode): unknown {
  return (node.value as { readonly value?: unknown } | undefined)?.value;
}
