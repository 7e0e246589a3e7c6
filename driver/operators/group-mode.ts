/**
 * The most frequent value of each column by set of groups, the least of equally frequent ones as
 * `scipy.stats.mode` has it. inputs: g (n x 1; rows outside 0..groups-1 are left out), A (n x c, NaN
 * cells are left out); attrs: groups, sets (lists of groups). output: sets x c; NaN for no values.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { inferQuantiles, quantilesAsked } from './group-quantile.js';
import { sample } from './product.js';

/** Attributes as `groupQuantile` has them. */
const asQuantile = { at: 0, present: true };

export const groupMode = defineOp({
  name: 'groupMode',
  arity: 2,
  infer: (inputs, attrs) => inferQuantiles('groupMode', inputs, { ...attrs, ...asQuantile }),
  dtype: () => 'float64',
  flops: ([, a], attrs) => 50 * quantilesAsked({ ...attrs, ...asQuantile }).sets.length * a!.rows * a!.cols, // biome-ignore format: a product
  reference: ([g, a], attrs, out) => {
    const { sets, groups } = quantilesAsked({ ...attrs, ...asQuantile });
    const data = new Float64Array(out.rows * out.cols);
    for (let column = 0; column < out.cols; column++) {
      const counts = countsByGroup(g!.data, a!.data, { column, cols: out.cols, groups });
      for (const [s, set] of sets.entries()) {
        data[s * out.cols + column] = modeOf(set.map((group) => counts[group]!));
      }
    }
    return dense(out.rows, out.cols, data);
  },
  cases: [
    {
      name: 'ties, missing cells, an empty set, a row left out',
      inputs: [
        dense(8, 1, Float64Array.of(0, 2, 0, -1, 2, 0, 0, 2)),
        dense(8, 2, Float64Array.of(3, 0, 1, 0, 3, NaN, 9, 9, 1, 0, 2, NaN, 1, NaN, 3, -1)),
      ],
      attrs: { groups: 3, sets: [[0, 2], [1], [0], [2]] },
    },
    {
      name: 'values that differ',
      inputs: [dense(5, 1, new Float64Array(5)), sample(5, 3)],
      attrs: { groups: 1, sets: [[0]] },
    },
  ],
});

function countsByGroup(
  g: Float64Array,
  cells: Float64Array,
  of: { readonly column: number; readonly cols: number; readonly groups: number },
): Map<number, number>[] {
  const counts = Array.from({ length: of.groups }, () => new Map<number, number>());
  for (let i = 0; i < g.length; i++) {
    const own = counts[g[i]!];
    const cell = cells[i * of.cols + of.column]!;
    if (own !== undefined && !Number.isNaN(cell)) own.set(cell, (own.get(cell) ?? 0) + 1);
  }
  return counts;
}

function modeOf(counts: readonly Map<number, number>[]): number {
  const all = new Map<number, number>();
  for (const own of counts) for (const [cell, n] of own) all.set(cell, (all.get(cell) ?? 0) + n);
  let [mode, most] = [Number.NaN, 0];
  for (const [cell, n] of all) {
    if (n > most || (n === most && cell < mode)) [mode, most] = [cell, n];
  }
  return mode;
}
