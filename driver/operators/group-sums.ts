/**
 * Sums of the rows of each group: column j of row f is the sum of A[i, j] over the rows i of group
 * f. The transpose of `takeRows`: t(G) %*% A for the indicator matrix G of the groups.
 *
 * inputs: g (n x 1, group number of each row; rows outside 0..groups-1 are left out), A (n x c)
 * attrs: groups. output: groups x c; zeros for an empty group.
 */

import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { add } from './cells.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';
import { takeRows } from './take-rows.js';

export const groupSums = defineOp({
  name: 'groupSums',
  arity: 2,
  infer: (inputs, attrs) => {
    const [g, a] = inputs;
    if (g!.cols !== 1 || a!.rows !== g!.rows) {
      throw shapeError('groupSums', 'a group column and an operand with as many rows', inputs);
    }
    return { rows: sizeAttr('groupSums', attrs, 'groups'), cols: a!.cols };
  },
  // Groups are numbers of either dtype.
  dtype: ([, a]) => a!.dtype,
  rowRule: () => ({ kind: 'reduce', blocked: [true, true] }),
  flops: ([, a]) => a!.rows * a!.cols,
  batch: ({ one, operands: [g, x], maker, columns }) => {
    if (g!.layout !== 'shared') return undefined;
    const expr = maker.intern(one.op, [g!.expr, columns(x!)], one.attrs);
    return { layout: 'columns', expr };
  },
  reference: (inputs, attrs, out) => {
    const [g, a] = inputs as [Float64Matrix, Float64Matrix];
    const groups = attrs.groups as number;
    const { cols } = a;
    const data = new Float64Array(groups * cols);
    for (let i = 0; i < g.rows; i++) {
      const group = g.data[i]!;
      if (!(group >= 0 && group < groups)) continue;
      for (let j = 0; j < cols; j++) data[group * cols + j]! += a.data[i * cols + j]!;
    }
    return dense(out.rows, cols, data);
  },
  merge: add,
  gradient: ({ node, upstream, make }) => [undefined, make(takeRows, [node.inputs[0]!, upstream])],
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
      name: 'NaN stays in its group, no group at all for one',
      inputs: [
        dense(4, 1, Float64Array.of(1, 0, NaN, 1)),
        dense(4, 1, Float64Array.of(NaN, 2, 3, 4)),
      ],
      attrs: { groups: 2 },
    },
  ],
});
