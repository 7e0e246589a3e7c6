/**
 * Folds among the rows of some groups alone, in their order, as scikit-learn's `KFold` without
 * shuffling has them; with classes as its `StratifiedKFold`. inputs: g (n x 1), optionally y (n x 1,
 * class numbers); attrs: groups, set (those groups), folds, classes (where y is given). output: n x
 * 1, the fold of each row from 0; `folds` for rows of other groups.
 */
import type { Attrs } from '../ir/attrs.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { shapeError, sizeAttr } from './shape-check.js';

const groups = dense(11, 1, Float64Array.of(0, 1, 2, 0, 1, 0, 2, 2, 0, 3, 0));

export const innerFolds = defineOp({
  name: 'innerFolds',
  arity: { min: 1, max: 2 },
  infer: (inputs, attrs) => {
    const [g, y] = inputs;
    sizeAttr('innerFolds', attrs, 'groups');
    sizeAttr('innerFolds', attrs, 'folds');
    const fits = g!.cols === 1 && (y === undefined || (y.rows === g!.rows && y.cols === 1));
    if (!fits || !Array.isArray(attrs.set)) {
      throw shapeError('innerFolds', 'a group column, classes beside it and a set', inputs);
    }
    return { rows: g!.rows, cols: 1 };
  },
  dtype: () => 'float64',
  reference: ([g, y], attrs, out) => {
    const folds = attrs.folds as number;
    const set = new Set(attrs.set as readonly number[]);
    const rows = [...g!.data.keys()].filter((i) => set.has(g!.data[i]!));
    const data = new Float64Array(out.rows).fill(folds);
    if (y === undefined) {
      for (const [place, i] of rows.entries()) data[i] = foldAt(place, rows.length, folds);
      return dense(out.rows, 1, data);
    }
    for (const { own, sizes } of byClass(rows, y.data, attrs)) {
      let [fold, left] = [0, sizes[0]!];
      for (const i of own) {
        while (left === 0) left = sizes[++fold]!;
        data[i] = fold;
        left--;
      }
    }
    return dense(out.rows, 1, data);
  },
  cases: [
    { name: 'rows of two groups', inputs: [groups], attrs: { groups: 4, set: [0, 2], folds: 3 } },
    {
      name: 'with classes',
      inputs: [groups, dense(11, 1, Float64Array.of(1, 0, 0, 1, 2, 0, 1, 1, 2, 0, 1))],
      attrs: { groups: 4, set: [0, 1, 2], folds: 2, classes: 3 },
    },
    { name: 'one row', inputs: [dense(1, 1, Float64Array.of(0))], attrs: { groups: 1, set: [0], folds: 5 } }, // biome-ignore format: a case
  ],
});

/** Of so many rows the first folds have one more, where they are not alike. */
function foldAt(place: number, rows: number, folds: number): number {
  const [size, larger] = [Math.floor(rows / folds), rows % folds];
  const first = larger * (size + 1);
  return place < first
    ? Math.floor(place / (size + 1))
    : larger + Math.floor((place - first) / size);
}

/** Rows of each class in order, and how many of them each fold has: classes as they appear. */
function byClass(
  rows: readonly number[],
  y: Float64Array,
  { folds }: Attrs,
): { readonly own: readonly number[]; readonly sizes: readonly number[] }[] {
  const found = new Map<number, number[]>();
  for (const i of rows) {
    const own = found.get(y[i]!);
    if (own === undefined) found.set(y[i]!, [i]);
    else own.push(i);
  }
  let first = 0;
  return [...found.values()].map((own) => {
    // Sorted by class, every `folds`-th row goes to one fold.
    const sizes = new Array<number>(folds as number).fill(0);
    for (let k = 0; k < own.length; k++) sizes[(first + k) % (folds as number)]!++;
    first += own.length;
    return { own, sizes };
  });
}
