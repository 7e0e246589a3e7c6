/**
 * Moments of each column by itself for many row groups in one pass: what `groupGram` has in its first
 * column and on its diagonal, where all products of columns would not fit.
 *
 * inputs: g (n x 1, group number of each row; rows outside 0..groups-1 are left out), X (n x d); with
 * the attribute `weighted` last w (n x 1), by which each row counts that many times. output: `groups`
 * blocks of 3 x d stacked by rows: the rows or sum of weights (the same in each column), the means,
 * and the sums of squares about the means; zeros for an empty group.
 * Merged by Chan, Golub and LeVeque's pairwise update (1979).
 */
import { sameDType } from '../ir/dtype.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { gramOperands } from './group-gram.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const columnMoments = defineOp({
  name: 'columnMoments',
  arity: { min: 2, max: 3 },
  infer: (inputs, attrs) => {
    const { columns, weights } = gramOperands(inputs, attrs);
    const [g, ...others] = inputs;
    const fits =
      g!.cols === 1 &&
      columns.length === 1 &&
      (weights === undefined || weights.cols === 1) &&
      others.every(({ rows }) => rows === g!.rows);
    if (!fits) {
      throw shapeError('columnMoments', 'a group column and operands with as many rows', inputs);
    }
    return { rows: 3 * sizeAttr('columnMoments', attrs, 'groups'), cols: columns[0]!.cols };
  },
  // Groups and weights are numbers of either dtype.
  dtype: (inputs, attrs) => {
    sameDType('columnMoments', gramOperands(inputs, attrs).columns);
    return 'float64';
  },
  rowRule: (inputs) => ({ kind: 'reduce', blocked: inputs.map(() => true) }),
  flops: ([, x]) => 4 * (x!.nnz ?? x!.rows * x!.cols),
  reference: (inputs, attrs, out) => {
    const { columns, weights } = gramOperands(inputs, attrs);
    const [{ data: g }, x] = [inputs[0]!, columns[0]!];
    const groups = attrs.groups as number;
    const moments = new Float64Array(out.rows * out.cols);
    const each = (visit: (at: number, cell: number, weight: number) => void): void => {
      for (let i = 0; i < g.length; i++) {
        if (!(g[i]! >= 0 && g[i]! < groups)) continue;
        const weight = weights === undefined ? 1 : weights.data[i]!;
        for (let j = 0; j < x.cols; j++) {
          visit(3 * g[i]! * x.cols + j, x.data[i * x.cols + j]!, weight);
        }
      }
    };
    const { cols } = x;
    each((at, cell, weight) => {
      moments[at]! += weight;
      // A row of no weight does not count, whatever it holds.
      if (weight !== 0) moments[at + cols]! += weight * cell;
    });
    for (let k = 0; k < groups * cols; k++) {
      const at = 3 * Math.floor(k / cols) * cols + (k % cols);
      if (moments[at] !== 0) moments[at + cols]! /= moments[at]!;
    }
    each((at, cell, weight) => {
      if (weight !== 0) moments[at + 2 * cols]! += weight * (cell - moments[at + cols]!) ** 2;
    });
    return dense(out.rows, out.cols, moments);
  },
  combine: (a, b) => {
    const merged = a.data.slice();
    mergeMoments(merged, b.data, a.cols);
    return dense(a.rows, a.cols, merged);
  },
  findBy: () => [
    { operand: 0, by: 'rows' },
    { operand: 1, by: 'self' },
  ],
  cases: [
    {
      name: 'three groups, one empty, one row left out',
      inputs: [dense(7, 1, Float64Array.of(0, 2, 2, 0, 3, -1, 0)), sample(7, 3)],
      attrs: { groups: 4 },
    },
    {
      name: 'one row, one group',
      inputs: [dense(1, 1, Float64Array.of(0)), sample(1, 2)],
      attrs: { groups: 1 },
    },
    {
      name: 'weighted, a group of no weight',
      inputs: [
        dense(5, 1, Float64Array.of(1, 0, 1, 0, 2)),
        sample(5, 2),
        dense(5, 1, Float64Array.of(2, 0.5, 0, 1, 0)),
      ],
      attrs: { groups: 3, weighted: true },
    },
    {
      name: 'means far larger than the spread',
      inputs: [
        dense(4, 1, Float64Array.of(0, 0, 0, 0)),
        dense(4, 1, Float64Array.of(1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3)),
      ],
      attrs: { groups: 1 },
    },
    {
      name: 'NaN stays in its group and column',
      inputs: [
        dense(4, 1, Float64Array.of(1, 0, NaN, 1)),
        dense(4, 2, Float64Array.of(NaN, 1, 2, 2, 3, 3, 4, 4)),
      ],
      attrs: { groups: 2 },
    },
  ],
});

/** Adds the moments of all groups and columns of `b` to those of `a`. */
export function mergeMoments(a: Float64Array, b: Float64Array, cols: number): void {
  for (let first = 0; first < a.length; first += 3 * cols) {
    for (let at = first; at < first + cols; at++) mergeColumn(a, b, at, cols);
  }
}

/** Those at `at`; means and squares are `cols` cells further each. */
function mergeColumn(a: Float64Array, b: Float64Array, at: number, cols: number): void {
  const [own, other] = [a[at]!, b[at]!];
  if (other === 0) return;
  const count = own + other;
  const delta = b[at + cols]! - a[at + cols]!;
  a[at] = count;
  // All of an empty one are 0: its mean is no mean.
  a[at + cols] = own === 0 ? b[at + cols]! : a[at + cols]! + (delta * other) / count;
  a[at + 2 * cols]! +=
    own === 0 ? b[at + 2 * cols]! : b[at + 2 * cols]! + (delta * delta * own * other) / count;
}
