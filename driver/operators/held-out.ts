/**
 * Decision values of many linear models on their own held-out rows: row i, in group f, under the
 * models of group f only, X W + b. In a search a group is a split, and the group of a row the split
 * that tests it, so this costs one product with the models of one split instead of all of them.
 *
 * inputs: g (n x 1), X (n x d), W ((d+1) x (groups*columns), group-major, last row the intercepts)
 * attrs: groups. output: n x columns; rows outside 0..groups-1 are zeros.
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sample, sparseWork } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const heldOut = defineOp({
  name: 'heldOut',
  arity: 3,
  work: 'product',
  infer: (inputs, attrs) => {
    const [g, x, w] = inputs;
    const groups = sizeAttr('heldOut', attrs, 'groups');
    const fits =
      g!.cols === 1 && x!.rows === g!.rows && w!.rows === x!.cols + 1 && w!.cols % groups === 0;
    if (!fits) {
      throw shapeError(
        'heldOut',
        `g n x 1, X n x d and W (d+1) x (${groups} groups * columns)`,
        inputs,
      );
    }
    return { rows: x!.rows, cols: w!.cols / groups };
  },
  // As precise as the models, over data of either dtype.
  dtype: ([, , w]) => w!.dtype,
  rowRule: () => ({ kind: 'map', blocked: [true, true, false] }),
  flops: ([, x], _attrs, out) => 2 * out.cols * Math.min(x!.rows * x!.cols, sparseWork(x!)),
  reference: (inputs, attrs, out) => {
    const [g, x, w] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix];
    const groups = attrs.groups as number;
    const { cols } = out;
    const data = new Float64Array(g.rows * cols);
    for (let i = 0; i < g.rows; i++) {
      const group = g.data[i]!;
      if (!(group >= 0 && group < groups)) continue;
      for (let m = 0; m < cols; m++) {
        const column = group * cols + m;
        let decision = w.data[x.cols * w.cols + column]!;
        for (let j = 0; j < x.cols; j++) {
          decision += x.data[i * x.cols + j]! * w.data[j * w.cols + column]!;
        }
        data[i * cols + m] = decision;
      }
    }
    return dense(g.rows, cols, data);
  },
  cases: [
    {
      name: 'two groups, three models, one row left out',
      inputs: [dense(6, 1, Float64Array.of(0, 1, 0, 1, -1, 1)), sample(6, 2), sample(3, 6, 3)],
      attrs: { groups: 2 },
    },
    {
      name: 'one row, a group without rows',
      inputs: [dense(1, 1, Float64Array.of(2)), sample(1, 4), sample(5, 3, 2)],
      attrs: { groups: 3 },
    },
    {
      name: 'one group, more models than columns',
      inputs: [dense(5, 1, new Float64Array(5)), sample(5, 1), sample(2, 7, 2)],
      attrs: { groups: 1 },
    },
  ],
});
