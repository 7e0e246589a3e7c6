/**
 * How scores rank classes, by group: for each column of scores, of class c, and each class o, the
 * pairs of a row of c and a row of o in which that of c has the greater score, ties counting half.
 * Divided by the number of pairs this is the area under the ROC curve of c against o (Hanley and
 * McNeil 1982), exactly, and sums of it are those against all others.
 *
 * inputs: g (n x 1; rows outside 0..groups-1 are left out), y (n x 1, class numbers), S (n x
 * models*width); attrs: groups, classes, width (see `scores-by-class.ts`). output: (groups*classes)
 * x (models*width): row (group, o), 0 for o = c.
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sample } from './product.js';
import { checkScores, classOfColumn, hasNaN, visitScores } from './scores-by-class.js';
import { sizeAttr } from './shape-check.js';

export const groupRanks = defineOp({
  name: 'groupRanks',
  arity: 3,
  infer: (inputs, attrs) => {
    checkScores('groupRanks', inputs, attrs);
    const rows = sizeAttr('groupRanks', attrs, 'groups') * sizeAttr('groupRanks', attrs, 'classes');
    return { rows, cols: inputs[2]!.cols };
  },
  dtype: () => 'float64',
  // Sorting a number takes some twenty operations for each doubling of their count.
  flops: ([, , scores]) => 20 * scores!.rows * scores!.cols * Math.log2(scores!.rows + 1),
  reference: (inputs, attrs, out) => {
    const [classes, width] = [attrs.classes as number, attrs.width as number];
    const data = new Float64Array(out.rows * out.cols);
    const operands = inputs as readonly [Float64Matrix, Float64Matrix, Float64Matrix];
    visitScores(operands, attrs.groups as number, classes, (group, column, byClass) => {
      const own = classOfColumn(column, width);
      const isUnknown = hasNaN(byClass);
      for (let other = 0; other < classes; other++) {
        if (other === own) continue;
        const pairs = isUnknown ? Number.NaN : greaterPairs(byClass[own]!, byClass[other]!);
        data[(group * classes + other) * out.cols + column] = pairs;
      }
    });
    return dense(out.rows, out.cols, data);
  },
  cases: [
    {
      name: 'two groups, two classes, ties, a row left out',
      inputs: [
        dense(7, 1, Float64Array.of(0, 1, 0, 1, -1, 1, 0)),
        dense(7, 1, Float64Array.of(0, 1, 1, 0, 0, 1, 1)),
        dense(7, 2, Float64Array.of(1, 4, 2, 3, 1, 4, 2, 3, 9, 9, 0, 1, 5, -1)),
      ],
      attrs: { groups: 2, classes: 2, width: 1 },
    },
    {
      name: 'three classes, one of them in one group only',
      inputs: [
        dense(6, 1, Float64Array.of(0, 0, 0, 1, 1, 1)),
        dense(6, 1, Float64Array.of(0, 1, 2, 0, 1, 1)),
        sample(6, 6),
      ],
      attrs: { groups: 2, classes: 3, width: 3 },
    },
    {
      name: 'one row',
      inputs: [dense(1, 1, Float64Array.of(0)), dense(1, 1, Float64Array.of(1)), sample(1, 1)],
      attrs: { groups: 1, classes: 2, width: 1 },
    },
  ],
});

/** Pairs with the greater value in `a`, ties half. Both ascend. */
function greaterPairs(a: Float64Array, b: Float64Array): number {
  let [below, upTo, pairs] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const value = a[i]!;
    while (below < b.length && b[below]! < value) below++;
    while (upTo < b.length && b[upTo]! <= value) upTo++;
    pairs += (below + upTo) / 2;
  }
  return pairs;
}
