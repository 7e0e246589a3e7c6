/**
 * How sums of rows by group change when rows change groups, for many groupings at once: grouping m
 * has `widths[m]` groups, and row i is in group `from[i, m]` before and `to[i, m]` after. Rows that
 * stay cost nothing, which is what most rows do in iterations of k-means; from groups of -1 the
 * change is the sums themselves.
 *
 * inputs: X (n x d), from and to (n x models), optionally w (n x 1 or n x models), the weights of
 * the rows, 1 if absent. attrs: widths. output: sum(widths) x (d + 1), the groups of all groupings
 * one under another: sums of w x, then of w. Numbers outside 0..width-1 are no group; rows of weight
 * 0 count nowhere.
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { widthsAttr } from './best-columns.js';
import { add } from './cells.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const regroupSums = defineOp({
  name: 'regroupSums',
  arity: { min: 3, max: 4 },
  infer: (inputs, attrs) => {
    const [x, from, to, w] = inputs;
    const widths = widthsAttr('regroupSums', attrs);
    const models = widths.length;
    const isColumns = [from!, to!].every(({ rows, cols }) => rows === x!.rows && cols === models);
    const isWeighted = !w || (w.rows === x!.rows && (w.cols === 1 || w.cols === models));
    if (!isColumns || !isWeighted) {
      throw shapeError('regroupSums', `X n x d, groups n x ${models} twice and weights`, inputs);
    }
    return { rows: widths.reduce((sum, width) => sum + width, 0), cols: x!.cols + 1 };
  },
  // Moments are float64, whatever they are of.
  dtype: () => 'float64',
  rowRule: (inputs) => ({ kind: 'reduce', blocked: inputs.map(() => true) }),
  flops: ([x, from]) => x!.rows * (2 * from!.cols + x!.cols * from!.cols),
  reference: (inputs, attrs, out) => {
    const data = new Float64Array(out.rows * out.cols);
    addMoves(data, inputs as readonly Float64Matrix[], attrs.widths as readonly number[]);
    return dense(out.rows, out.cols, data);
  },
  merge: add,
  cases: [
    {
      name: 'rows that move, stay, come and leave',
      inputs: [
        sample(5, 3),
        dense(5, 2, Float64Array.of(0, 1, 1, 0, -1, 1, 2, 0, 1, -1)),
        dense(5, 2, Float64Array.of(1, 1, 1, 1, 0, -1, 2, 1, 3, 1)),
      ],
      attrs: { widths: [3, 2] },
    },
    {
      name: 'weights by row and grouping, all new',
      inputs: [
        sample(4, 2),
        dense(4, 2, new Float64Array(8).fill(-1)),
        dense(4, 2, Float64Array.of(0, 0, 1, 0, 0, 0, 1, 0)),
        dense(4, 2, Float64Array.of(1, 0, 2, 1, 0.5, 1, 0, 3)),
      ],
      attrs: { widths: [2, 1] },
    },
    {
      name: '1x1, weighted by row',
      inputs: [
        sample(1, 1),
        dense(1, 1, Float64Array.of(1)),
        dense(1, 1, Float64Array.of(0)),
        dense(1, 1, Float64Array.of(2)),
      ],
      attrs: { widths: [2] },
    },
  ],
});

/** Adds the moves to sums. */
function addMoves(
  sums: Float64Array,
  [x, from, to, w]: readonly Float64Matrix[],
  widths: readonly number[],
): void {
  const models = widths.length;
  let first = 0;
  for (const [m, width] of widths.entries()) {
    for (let i = 0; i < x!.rows; i++) {
      const before = from!.data[i * models + m]!;
      const after = to!.data[i * models + m]!;
      const weight = w === undefined ? 1 : w.data[w.cols === 1 ? i : i * models + m]!;
      if (before === after || weight === 0) continue;
      if (before >= 0 && before < width) addRow(sums, first + before, x!, i, -weight);
      if (after >= 0 && after < width) addRow(sums, first + after, x!, i, weight);
    }
    first += width;
  }
}

function addRow(
  sums: Float64Array,
  group: number,
  { cols, data }: Float64Matrix,
  row: number,
  weight: number,
): void {
  const at = group * (cols + 1);
  for (let j = 0; j < cols; j++) sums[at + j]! += weight * data[row * cols + j]!;
  sums[at + cols]! += weight;
}
