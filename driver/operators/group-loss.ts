/**
 * Losses of many linear models on their own held-out rows in one pass: row i, in group f, is
 * predicted by the models of group f only. This is `sum(loss(y - X %*% W))` batched over row masks
 * and models.
 *
 * inputs: g (n x 1), X (n x d), y (n x 1), W ((d+1) x (groups*models), group-major columns, last
 * row the intercepts) attrs: groups, losses: any of 'squared', 'absolute' output: losses.length x
 * (groups*models), the summed loss of each model over the rows of its group.
 */
import { sameDType } from '../ir/dtype.js';
import type { Expr, NodeMaker } from '../ir/expr.js';
import { defineOp, mergeResults, type OpDef } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { add } from './cells.js';
import { rbind } from './rbind.js';
import { shapeError } from './shape-check.js';
import { slice } from './slice.js';

export type Loss = 'squared' | 'absolute';

export const groupLoss: OpDef = defineOp({
  name: 'groupLoss',
  arity: 4,
  work: 'product',
  infer: (inputs, attrs) => {
    const [g, x, y, w] = inputs;
    const groups = attrs.groups as number;
    const fits =
      g!.cols === 1 &&
      y!.cols === 1 &&
      x!.rows === g!.rows &&
      y!.rows === g!.rows &&
      w!.rows === x!.cols + 1 &&
      w!.cols % groups === 0;
    if (!fits) {
      throw shapeError(
        'groupLoss',
        `g n x 1, X n x d, y n x 1 and W (d+1) x (${groups} groups * models)`,
        inputs,
      );
    }
    return { rows: (attrs.losses as readonly Loss[]).length, cols: w!.cols };
  },
  // Losses of float64 models over data of either dtype.
  dtype: ([, x, y]) => {
    sameDType('groupLoss', [x!, y!]);
    return 'float64';
  },
  rowRule: () => ({ kind: 'reduce', blocked: [true, true, true, false] }),
  flops: (inputs, attrs) =>
    (2 * inputs[1]!.rows * inputs[1]!.cols * inputs[3]!.cols) / (attrs.groups as number),
  reference: (inputs, attrs) => {
    const [g, x, y, w] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix, Float64Matrix];
    const groups = attrs.groups as number;
    const losses = attrs.losses as readonly Loss[];
    const models = w.cols / groups;
    const data = new Float64Array(losses.length * w.cols);
    for (let i = 0; i < g.rows; i++) {
      const group = g.data[i]!;
      if (!(group >= 0 && group < groups)) continue;
      for (let m = 0; m < models; m++) {
        const column = group * models + m;
        let residual = y.data[i]! - w.data[x.cols * w.cols + column]!;
        for (let j = 0; j < x.cols; j++) {
          residual -= x.data[i * x.cols + j]! * w.data[j * w.cols + column]!;
        }
        for (let l = 0; l < losses.length; l++) {
          data[l * w.cols + column]! +=
            losses[l] === 'squared' ? residual * residual : Math.abs(residual);
        }
      }
    }
    return dense(losses.length, w.cols, data);
  },
  merge: add,
  findBy: () => [
    { operand: 0, by: 'rows' },
    { operand: 1, by: 'self' },
  ],
  overParts: (whole, parts, maker) => {
    const weights = whole.inputs[3]!;
    const losses = parts.map(({ own, rows }) => {
      const { expr, places } = own[1]!;
      const ownWeights =
        places === null ? weights : pickRows(weights, [...places, weights.rows - 1], maker);
      return maker.intern(groupLoss, [rows(0), expr, rows(2), ownWeights], whole.attrs);
    });
    return mergeResults(add, whole, losses, maker);
  },
  cases: [
    {
      name: 'two groups, three models, both losses',
      inputs: [
        dense(6, 1, Float64Array.of(0, 1, 0, 1, -1, 1)),
        dense(
          6,
          2,
          Float64Array.from({ length: 12 }, (_, i) => Math.sin(i)),
        ),
        dense(
          6,
          1,
          Float64Array.from({ length: 6 }, (_, i) => Math.cos(i)),
        ),
        dense(
          3,
          6,
          Float64Array.from({ length: 18 }, (_, i) => Math.sin(i * 3)),
        ),
      ],
      attrs: { groups: 2, losses: ['squared', 'absolute'] },
    },
    {
      name: 'one row, one loss, a group without rows',
      inputs: [
        dense(1, 1, Float64Array.of(1)),
        dense(1, 2, Float64Array.of(3, -1)),
        dense(1, 1, Float64Array.of(0.5)),
        dense(
          3,
          3,
          Float64Array.from({ length: 9 }, (_, i) => Math.cos(i * 2)),
        ),
      ],
      attrs: { groups: 3, losses: ['absolute'] },
    },
  ],
});

/** These rows, one below the other; neighbours are taken together. */
function pickRows(from: Expr, rows: readonly number[], maker: NodeMaker): Expr {
  const ranges: [number, number][] = [];
  for (const row of rows) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === row) last[1] = row + 1;
    else ranges.push([row, row + 1]);
  }
  const slices = ranges.map((range) => maker.intern(slice, [from], { rows: range, cols: null }));
  return slices.length === 1 ? slices[0]! : maker.intern(rbind, slices);
}
