/**
 * The first k rows of a matrix ordered by one column. attrs: k, by (zero-based column), descending.
 * output: min(k, rows) x (1 + cols): the zero-based number of the row, then its cells. Ties keep
 * the order of the rows and rows with NaN in the column come last, whatever the direction, so that
 * there is one answer for any partitioning. It reduces over row blocks: the first k of two parts
 * are among the first k of each.
 */
import type { Attrs } from '../ir/attrs.js';
import type { Expr } from '../ir/expr.js';
import { defineOp, type OpDef, type RowRule } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { cast } from './cast.js';
import { sample } from './product.js';
import { flagAttr, shapeError, wholeAttr } from './shape-check.js';

export interface Ranking {
  readonly k: number;
  /** Column of the operand. */
  readonly by: number;
  readonly descending: boolean;
}

const reduceRule: RowRule = Object.freeze({ kind: 'reduce', blocked: [true] });

/** @throws DTypeError, PlanError */
export function rankingOf(attrs: Attrs): Ranking {
  return {
    k: wholeAttr('topK', attrs, 'k', 1),
    by: wholeAttr('topK', attrs, 'by', 0),
    descending: flagAttr('topK', attrs, 'descending'),
  };
}

/** Compares rows by their cells in the ranked column, then by number. Never 0 for two rows. */
export function compareRanked(
  a: number,
  b: number,
  rowA: number,
  rowB: number,
  descending: boolean,
): number {
  if (a < b) return descending ? 1 : -1;
  if (a > b) return descending ? -1 : 1;
  const isNaNA = Number.isNaN(a);
  if (isNaNA !== Number.isNaN(b)) return isNaNA ? 1 : -1;
  return rowA - rowB;
}

/** The first k of rows already numbered in their first column. */
function first(numbered: Float64Matrix, { k, by, descending }: Ranking): Float64Matrix {
  const { rows, cols, data } = numbered;
  const order = Array.from({ length: rows }, (_, i) => i).sort((i, j) =>
    compareRanked(
      data[i * cols + by + 1]!,
      data[j * cols + by + 1]!,
      data[i * cols]!,
      data[j * cols]!,
      descending,
    ),
  );
  const kept = Math.min(k, rows);
  const out = new Float64Array(kept * cols);
  for (let r = 0; r < kept; r++) {
    out.set(data.subarray(order[r]! * cols, (order[r]! + 1) * cols), r * cols);
  }
  return dense(kept, cols, out);
}

const ties = dense(6, 2, Float64Array.of(2, 0, 1, 1, 2, 2, NaN, 3, 1, 4, 2, 5));

export const topK: OpDef = defineOp({
  name: 'topK',
  arity: 1,
  // Numbers of rows need more digits than float32 has.
  dtype: () => 'float64',
  infer: (inputs, attrs) => {
    const { k, by } = rankingOf(attrs);
    const x = inputs[0]!;
    if (by >= x.cols) throw shapeError('topK', `a column ${by} to order by`, inputs);
    return { rows: Math.min(k, x.rows), cols: x.cols + 1 };
  },
  rowRule: () => reduceRule,
  numbersRows: true,
  findBy: () => [{ operand: 0, by: 'rows' }],
  flops: (inputs, attrs) => inputs[0]!.rows * (2 + Math.log2(1 + (attrs.k as number))),
  // Which rows they are doesn't change but where two rank alike.
  gradient: ({ node, upstream, make, part, sumsByRow }) => {
    const [x] = node.inputs as [Expr];
    const rows = part(upstream, null, [1, node.cols]);
    const sums = sumsByRow(rows, part(node, null, [0, 1]), x.rows);
    return [x.dtype === node.dtype ? sums : make(cast, [sums], { dtype: x.dtype })];
  },
  reference: ([x], attrs, _out, block) => {
    const { rows, cols, data } = x!;
    const numbered = new Float64Array(rows * (cols + 1));
    for (let i = 0; i < rows; i++) {
      numbered[i * (cols + 1)] = i + (block?.rowOffset ?? 0);
      numbered.set(data.subarray(i * cols, (i + 1) * cols), i * (cols + 1) + 1);
    }
    return first(dense(rows, cols + 1, numbered), rankingOf(attrs));
  },
  combine: (a, b, attrs) => {
    const data = new Float64Array(a.data.length + b.data.length);
    data.set(a.data);
    data.set(b.data, a.data.length);
    return first(dense(a.rows + b.rows, a.cols, data), rankingOf(attrs));
  },
  cases: [
    { name: 'least', inputs: [sample(23, 3)], attrs: { k: 5, by: 1, descending: false } },
    { name: 'greatest', inputs: [sample(23, 3)], attrs: { k: 4, by: 2, descending: true } },
    { name: 'ties and NaN, all', inputs: [ties], attrs: { k: 6, by: 0, descending: false } },
    { name: 'ties and NaN, down', inputs: [ties], attrs: { k: 6, by: 0, descending: true } },
    { name: 'ties cut off', inputs: [ties], attrs: { k: 2, by: 0, descending: true } },
    {
      name: 'more than there are',
      inputs: [sample(4, 1)],
      attrs: { k: 9, by: 0, descending: true },
    },
    { name: 'one row', inputs: [sample(1, 2)], attrs: { k: 1, by: 1, descending: false } },
  ],
});
