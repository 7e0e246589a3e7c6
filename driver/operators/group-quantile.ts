/**
 * A quantile of each column by group, between two values by their distance as `numpy.quantile` has
 * it: the median at 0.5, the greatest at 1. inputs: g (n x 1; rows outside 0..groups-1 are left
 * out), A (n x c); attrs: groups, at (0..1). output: groups x c; NaN for an empty group.
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { groupRanks } from './group-ranks.js';
import { sample } from './product.js';
import { visitScores } from './scores-by-class.js';
import { numberAttr, shapeError, sizeAttr } from './shape-check.js';

export const groupQuantile = defineOp({
  name: 'groupQuantile',
  arity: 2,
  infer: (inputs, attrs) => {
    const [g, a] = inputs;
    const at = numberAttr('groupQuantile', attrs, 'at');
    if (g!.cols !== 1 || a!.rows !== g!.rows || !(at >= 0 && at <= 1)) {
      throw shapeError('groupQuantile', 'a group column, as many rows and `at` in 0..1', inputs);
    }
    return { rows: sizeAttr('groupQuantile', attrs, 'groups'), cols: a!.cols };
  },
  dtype: () => 'float64',
  flops: ([g, a], attrs, out) => groupRanks.flops([g!, g!, a!], attrs, out),
  reference: ([g, a], attrs, out) => {
    const data = new Float64Array(out.rows * out.cols);
    const one = { ...g!, data: new Float64Array(g!.rows) } as Float64Matrix;
    visitScores([g!, one, a!], out.rows, 1, (group, column, [values]) => {
      data[group * out.cols + column] = quantile(values!, attrs.at as number);
    });
    return dense(out.rows, out.cols, data);
  },
  cases: [0.5, 1, 0.3].map((at) => ({
    name: `${at} of three groups, one empty, a row left out`,
    inputs: [dense(8, 1, Float64Array.of(0, 2, 0, -1, 2, 0, 0, 2)), sample(8, 3)],
    attrs: { groups: 3, at },
  })),
});

function quantile(ascending: Float64Array, at: number): number {
  const last = ascending.length - 1;
  // NaN sorts last, and nothing can be said of a group that has one.
  if (last < 0 || Number.isNaN(ascending[last]!)) return Number.NaN;
  const place = at * last;
  const [low, high] = [ascending[Math.floor(place)]!, ascending[Math.ceil(place)]!];
  return low === high ? low : low + (high - low) * (place - Math.floor(place));
}
