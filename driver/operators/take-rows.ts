/**
 * Row i is row g_i of a table: what a group, a class or a cluster has, beside each of its rows.
 * inputs: g (n x 1), T (groups x c). output: n x c; zeros where g_i is outside 0..groups-1.
 */
import { type BatchOperand, type BatchSite, isTall } from '../ir/batch-rule.js';
import { dtypeAttr } from '../ir/dtype.js';
import type { Expr } from '../ir/expr.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { add, and, ge, lt } from './cells.js';
import { ifelse } from './ifelse.js';
import { sample } from './product.js';
import { scalar, scalarAttrs } from './scalar.js';
import { seq } from './seq.js';
import { partOf, shapeError } from './shape-check.js';

/** Whole numbers up to this are cells of float32. */
const EXACT_FLOAT32 = 2 ** 24;

/** Numbers of rows of each model's table as numbers of rows of the stack. */
function ofStack({ models, operands, maker, repeatRows }: BatchSite, numbers: Expr): Expr {
  const [g, table] = operands as [BatchOperand, BatchOperand];
  const one = (value: number): Expr => maker.intern(scalar, [], scalarAttrs(value, numbers.dtype));
  const steps = { from: 0, by: table.rows, rows: models, ...dtypeAttr(numbers.dtype) };
  const first = maker.intern(seq, [], steps);
  const isRow = maker.intern(and, [
    maker.intern(ge, [numbers, one(0)]),
    maker.intern(lt, [numbers, one(table.rows)]),
  ]);
  const moved = maker.intern(add, [numbers, repeatRows(first, 1, g.rows)]);
  return maker.intern(ifelse, [isRow, moved, one(-1)]);
}

export const takeRows = defineOp({
  name: 'takeRows',
  arity: 2,
  work: 'move',
  infer: (inputs) => {
    const [g, table] = inputs;
    if (g!.cols !== 1) throw shapeError('takeRows', 'a column of row numbers and a table', inputs);
    return partOf(table!, g!.rows, table!.cols);
  },
  // Numbers of rows are numbers of either dtype.
  dtype: ([, table]) => table!.dtype,
  rowRule: () => ({ kind: 'map', blocked: [true, false] }),
  batch: (site) => {
    const { one, operands, maker } = site;
    const [g, x] = operands as [BatchOperand, BatchOperand];
    if (g.layout === 'shared') {
      return { layout: 'columns', expr: maker.intern(one.op, [g.expr, site.columns(x)]) };
    }
    if (isTall({ ...g, layout: 'columns' })) return undefined;
    const numbers = site.stack(g);
    if (x.layout === 'shared') {
      return { layout: 'stack', expr: maker.intern(one.op, [numbers, x.expr]) };
    }
    const isExact = g.expr.dtype === 'float64' || site.models * x.rows <= EXACT_FLOAT32;
    if (isTall(x) || !isExact) return undefined;
    return { layout: 'stack', expr: maker.intern(one.op, [ofStack(site, numbers), site.stack(x)]) };
  },
  gradient: ({ node, upstream, sumsByRow }) => {
    const [numbers, table] = node.inputs as [Expr, Expr];
    return [undefined, sumsByRow(upstream, numbers, table.rows)];
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
