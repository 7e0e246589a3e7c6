/**
 * Quantiles of each column by set of groups, between two values by their distance as
 * `numpy.quantile` has it: the median at 0.5, the greatest at 1. inputs: g (n x 1; rows outside
 * 0..groups-1 are left out), A (n x c), optionally F (sets x c); attrs: groups, at (0..1, or several),
 * sets (lists of groups; default each group by itself), present. output: (sets * at) x c, set by
 * set; NaN for no values. With `present` NaN cells are the set's F, or left out where that is NaN or
 * not given; else a set that has one is NaN.
 */
import type { Attrs } from '../ir/attrs.js';
import type { Meta } from '../ir/expr.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { flagAttr, shapeError, sizeAttr } from './shape-check.js';

/** What is asked of the columns. */
export interface QuantilesAsked {
  readonly groups: number;
  readonly sets: readonly (readonly number[])[];
  readonly at: readonly number[];
  readonly present: boolean;
}

export function quantilesAsked(attrs: Attrs, op = 'groupQuantile'): QuantilesAsked {
  const groups = sizeAttr(op, attrs, 'groups');
  const { at, sets } = attrs;
  return {
    groups,
    at: (Array.isArray(at) ? at : [at]) as readonly number[],
    sets: (sets as QuantilesAsked['sets'] | undefined) ?? everyGroup(groups),
    present: flagAttr(op, attrs, 'present'),
  };
}

function everyGroup(groups: number): number[][] {
  return Array.from({ length: groups }, (_, group) => [group]);
}

/** @throws ShapeError for the operator of that name */
export function inferQuantiles(op: string, inputs: readonly Meta[], attrs: Attrs): Meta {
  const [g, a, fill] = inputs;
  const { at, sets, groups, present } = quantilesAsked(attrs, op);
  const isKnown = (group: unknown): boolean =>
    Number.isSafeInteger(group) && Number(group) >= 0 && Number(group) < groups;
  // Cells of a group that is named twice would count twice.
  const isSet = (set: readonly number[]): boolean =>
    Array.isArray(set) && set.every(isKnown) && new Set(set).size === set.length;
  const fits =
    g!.cols === 1 &&
    a!.rows === g!.rows &&
    at.length > 0 &&
    at.every((one) => typeof one === 'number' && one >= 0 && one <= 1) &&
    sets.length > 0 &&
    sets.every(isSet) &&
    (fill === undefined || (present && fill.rows === sets.length && fill.cols === a!.cols));
  if (!fits) {
    const wanted =
      'a group column, as many rows, `at` in 0..1, sets of groups, each once, and a row a set';
    throw shapeError(op, wanted, inputs);
  }
  return { rows: sets.length * at.length, cols: a!.cols };
}

export const groupQuantile = defineOp({
  name: 'groupQuantile',
  arity: { min: 2, max: 3 },
  infer: (inputs, attrs) => inferQuantiles('groupQuantile', inputs, attrs),
  dtype: () => 'float64',
  // Counted by bin, then looked for in the bins that matter.
  flops: ([, a]) => 30 * a!.rows * a!.cols,
  reference: ([g, a, fill], attrs, out) => {
    const { sets, at, present } = quantilesAsked(attrs);
    const data = new Float64Array(out.rows * out.cols);
    for (const [s, set] of sets.entries()) {
      const groups = new Set(set);
      const rows = Array.from(g!.data.keys()).filter((i) => groups.has(g!.data[i]!));
      for (let column = 0; column < out.cols; column++) {
        let values = Float64Array.from(rows, (i) => a!.data[i * out.cols + column]!);
        if (present) {
          const own = fill?.data[s * out.cols + column] ?? Number.NaN;
          values = values
            .map((cell) => (Number.isNaN(cell) ? own : cell))
            .filter((cell) => !Number.isNaN(cell));
        }
        values.sort();
        for (const [k, share] of at.entries()) {
          data[(s * at.length + k) * out.cols + column] = quantile(values, share);
        }
      }
    }
    return dense(out.rows, out.cols, data);
  },
  cases: quantileCases(),
});

function quantileCases() {
  const groups = dense(8, 1, Float64Array.of(0, 2, 0, -1, 2, 0, 0, 2));
  const cells = sample(8, 3);
  const holes = dense(8, 3, cells.data.map((cell, i) => (i % 5 === 0 ? Number.NaN : cell))); // biome-ignore format: a call
  const ties = dense(8, 2, Float64Array.of(2, 0, 2, 0, 2, -0, 1, 1, 2, 0, 3, 0, 2, 0, -1, 5));
  const sets = { groups: 3, at: [0, 0.25, 0.5, 1], sets: [[0, 2], [1], [0]] };
  return [
    ...[0.5, 1, 0.3].map((at) => ({
      name: `${at} of three groups, one empty, a row left out`,
      inputs: [groups, cells],
      attrs: { groups: 3, at },
    })),
    { name: 'several of sets of groups', inputs: [groups, cells], attrs: sets },
    { name: 'NaN makes a set NaN', inputs: [groups, holes], attrs: sets },
    { name: 'of present cells', inputs: [groups, holes], attrs: { ...sets, present: true } },
    { name: 'ties', inputs: [groups, ties], attrs: sets },
    ...[sample(3, 3, 5), dense(3, 3, Float64Array.of(1, NaN, 0, NaN, 2, 9, -9, 0, NaN))].map(
      (fill, i) => ({
        name: `missing cells have ${['a value a set', 'a value in some columns'][i]}`,
        inputs: [groups, holes, fill],
        attrs: { ...sets, present: true },
      }),
    ),
    { name: 'one row', inputs: [dense(1, 1, Float64Array.of(0)), sample(1, 2)], attrs: { groups: 1, at: 0.5 } }, // biome-ignore format: a case
  ];
}

function quantile(ascending: Float64Array, at: number): number {
  const last = ascending.length - 1;
  // NaN sorts last, and nothing can be said of a group that has one.
  if (last < 0 || Number.isNaN(ascending[last]!)) return Number.NaN;
  const { low, high, share } = placeOf(at, last + 1);
  return between(ascending[low]!, ascending[high]!, share);
}

/** The two ranks a quantile of so many values lies between, and how far. */
export function placeOf(at: number, count: number): { low: number; high: number; share: number } {
  const place = at * (count - 1);
  const low = Math.floor(place);
  return { low, high: Math.ceil(place), share: place - low };
}

export function between(low: number, high: number, share: number): number {
  return low === high ? low : low + (high - low) * share;
}
