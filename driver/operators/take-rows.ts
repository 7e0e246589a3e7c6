/**
 * Row i is row g_i of a table: what a group, a class or a cluster has, beside each of its rows.
 * inputs: g (n x 1), T (groups x c). output: n x c; zeros where g_i is outside 0..groups-1.
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const takeRows = defineOp({
  name: 'takeRows',
  arity: 2,
  work: 'move',
  infer: (inputs) => {
    const [g, table] = inputs;
    if (g!.cols !== 1) throw shapeError('takeRows', 'a column of row numbers and a table', inputs);
    return { rows: g!.rows, cols: table!.cols };
  },
  // Numbers of rows are numbers of either dtype.
  dtype: ([, table]) => table!.dtype,
  rowRule: () => ({ kind: 'map', blocked: [true, false] }),
  batch: ({ one, operands: [g, x], maker, columns }) => {
    if (g!.layout !== 'shared') return undefined;
    const expr = maker.intern(one.op, [g!.expr, columns(x!)]);
    return { layout: 'columns', expr };
  },
  reference: (inputs) => {
    const [g, table] = inputs as [Float64Matrix, Float64Matrix];
    const { rows, cols, data } = table;
    const out = new Float64Array(g.rows * cols);
    for (let i = 0; i < g.rows; i++) {
      const row = g.data[i]!;
      if (row >= 0 && row < rows) out.set(data.subarray(row * cols, (row + 1) * cols), i * cols);
    }
    return dense(g.rows, cols, out);
  },
  cases: [
    {
      name: 'rows out of order, some out of range',
      inputs: [dense(6, 1, Float64Array.of(2, 0, -1, 2, 3, NaN)), sample(3, 2)],
    },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(0)), sample(1, 1)] },
    {
      name: 'NaN stays in its row',
      inputs: [dense(3, 1, Float64Array.of(1, 0, 1)), dense(2, 1, Float64Array.of(NaN, 4))],
    },
  ],
});
