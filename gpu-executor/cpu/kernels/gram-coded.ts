/**
 * Moments of coded rows: a row of s numbers and c indicators adds s^2 / 2 products, s numbers to the
 * row of each indicator and 1 to each pair of these, whatever its width. Products may land in either
 * triangle, as in `gram-sparse.ts`. Numeric columns are about a shift; indicators, whose variance is
 * near their mean, are not.
 */
import type { Float64Matrix } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { CodedRows } from './coded-rows.js';
import { type Numbers, numbersOf } from './gram-columns.js';
import { type GramSums, STEP_ROWS } from './gram-sums.js';
import type { GroupedRows } from './grouping.js';

/** Columns a feature from which moments of coded rows are less work. */
export const CODED_MOMENTS = 5;
/** Loops have a statement a pair of features; longer ones are not optimised. */
export const CODED_FEATURES = 32;
/** Dense operands beside coded ones that count as numbers up to so many columns. */
const MAX_DENSE_COLUMNS = 8;

export interface CodedOperands {
  readonly numbers: Numbers;
  /** With the place of each one's first column. */
  readonly indicators: readonly { readonly rows: CodedRows; readonly offset: number }[];
}

/** Operands of which some have indicators; undefined where none has, or others are wide. */
export function codedOperands(parts: readonly Float64Matrix[]): CodedOperands | undefined {
  const isTooMany = (rows: CodedRows): boolean =>
    rows.indicators + rows.numbers.length > CODED_FEATURES;
  if (parts.some((part) => part instanceof CodedRows && isTooMany(part))) return undefined;
  const indicators: { rows: CodedRows; offset: number }[] = [];
  let offset = 1;
  for (const part of parts) {
    if (part instanceof CodedRows) indicators.push({ rows: part, offset });
    else if (part.cols > MAX_DENSE_COLUMNS) return undefined;
    offset += part.cols;
  }
  if (!indicators.some(({ rows }) => rows.indicators > 0)) return undefined;
  return { numbers: numbersOf(parts), indicators };
}

/**
 * Adds [1, z - shift] of every row, `weights` times, to its group's moments in `sums`. Rows go group
 * by group into tables, which stay in the cache and are added to the moments at the end: a row of
 * numbers an indicator, and a cell a pair of indicators, which is a count of two bytes where rows
 * have no weights. A code of -1 lands in a last row and column that nobody reads.
 */
export function addCodedRows(
  { order, pieces }: GroupedRows,
  operands: CodedOperands,
  weights: Float64Array | undefined,
  shifts: Float64Array,
  totals: GramSums,
): void {
  const { side } = totals;
  const loop = loopOf(operands, side, weights !== undefined);
  const stride = side + 1;
  const { places, cells: columns } = operands.numbers;
  const of = [0, ...places];
  const isNumber = new Uint8Array(side);
  for (const place of of) isNumber[place] = 1;
  const table = new Float64Array(stride * of.length);
  const Pairs = weights === undefined ? Uint16Array : Float64Array;
  const pairs = new Pairs(stride * stride);
  const codes = operands.indicators.map(({ rows }) => rows.codes);
  for (const { group, start, rows } of pieces) {
    const shift = shifts.subarray(group * side, (group + 1) * side);
    const base = group * side * side;
    for (let from = start; from < start + rows; from += STEP_ROWS) {
      const to = Math.min(start + rows, from + STEP_ROWS);
      table.fill(0);
      pairs.fill(0);
      loop(table, pairs, order, from, to, shift, columns, codes, weights);
      const sums = totals.rowSums();
      for (let i = 0; i < side; i++) {
        const [row, own] = [base + i * side, i * stride];
        for (let j = 0; j < side; j++) sums[row + j]! += pairs[own + j]!;
        for (let a = 0; a < of.length; a++) sums[row + of[a]!]! += table[i * of.length + a]!;
        // An indicator's product with itself is itself.
        if (!isNumber[i]) sums[row + i]! += table[i * of.length]!;
      }
      totals.rowsAdded(group, to - from);
    }
  }
}

type CodedLoop = (
  table: Float64Array,
  pairs: Float64Array | Uint16Array,
  order: Int32Array,
  start: number,
  end: number,
  shift: Float64Array,
  columns: readonly Float64Array[],
  codes: readonly Int32Array[],
  weights: Float64Array | undefined,
) => void;

const loops = new Map<string, CodedLoop>();
const MAX_LOOPS = 64;

/**
 * A loop for these columns: its body has a statement a product, so that the numbers of a row stay in
 * registers and sums of their products too. Measured 3 times faster than loops over columns.
 */
function loopOf({ numbers, indicators }: CodedOperands, side: number, isWeighted: boolean) {
  const { places, strides } = numbers;
  const widths = indicators.map(({ rows, offset }) => `${rows.indicators}+${offset}`);
  const key = [side, isWeighted, places.join(), strides.join(), widths.join()].join(';');
  let loop = loops.get(key);
  if (loop === undefined) {
    loop = compile({ numbers, indicators }, side, isWeighted);
    loops.set(key, loop);
    forgetOldest(loops, MAX_LOOPS);
  }
  return loop;
}

function compile(
  { numbers, indicators }: CodedOperands,
  side: number,
  isWeighted: boolean,
): CodedLoop {
  const stride = side + 1;
  const places = [0, ...numbers.places];
  const strides = [...numbers.strides];
  const before: string[] = [];
  const body: string[] = [];
  const after: string[] = [];
  const weight = isWeighted ? 'w' : '1';
  if (isWeighted) body.push('const w = weights[i];');
  strides.forEach((step, a) => {
    before.push(`const x${a + 1} = columns[${a}], h${a + 1} = shift[${places[a + 1]}];`);
    body.push(`const u${a + 1} = x${a + 1}[i * ${step}] - h${a + 1};`);
  });
  // The number of column a of [1, z] times the weight, and without.
  const plain = places.map((_, a) => (a === 0 ? '1' : `u${a}`));
  const weighed = places.map((_, a) => (a === 0 ? weight : isWeighted ? `v${a}` : `u${a}`));
  if (isWeighted) body.push(...strides.map((_, a) => `const v${a + 1} = w * u${a + 1};`));
  for (let a = 0; a < places.length; a++) {
    for (let b = a; b < places.length; b++) {
      before.push(`let n${a}_${b} = 0;`);
      body.push(`n${a}_${b} += ${weighed[a]} * ${plain[b]};`);
      after.push(`table[${places[a]! * places.length + b}] += n${a}_${b};`);
    }
  }
  let ones = 0;
  indicators.forEach(({ rows, offset }, p) => {
    before.push(`const codes${p} = codes[${p}];`);
    for (let c = 0; c < rows.indicators; c++, ones++) {
      const code = `codes${p}[i * ${rows.indicators} + ${c}]`;
      body.push(
        `let p${ones} = ${code}; p${ones} = p${ones} < 0 ? ${side} : p${ones} + ${offset};`,
      );
      body.push(`const r${ones} = p${ones} * ${places.length};`);
      for (const a of places.keys()) body.push(`table[r${ones} + ${a}] += ${weighed[a]};`);
    }
  });
  for (let c = 0; c < ones; c++) {
    for (let d = c + 1; d < ones; d++) {
      body.push(`pairs[p${c} * ${stride} + p${d}] += ${weight};`);
    }
  }
  // The text holds nothing but numbers of columns and the names above.
  return new Function(
    ...['table', 'pairs', 'order', 'start', 'end', 'shift', 'columns', 'codes', 'weights'],
    `${before.join('\n')}
    for (let k = start; k < end; k++) {
      const i = order[k];
      ${body.join('\n')}
    }
    ${after.join('\n')}`,
  ) as CodedLoop;
}
