/**
 * Average precision by group: for each column of scores, of class c against all others, the mean of
 * the precision at each threshold, weighted by the rise of the recall there (scikit-learn's
 * `average_precision_score`). 0 for a group without rows of c.
 *
 * inputs and attrs as `groupRanks`. output: groups x (models*width).
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { groupRanks } from './group-ranks.js';
import { checkScores, classOfColumn, hasNaN, visitScores } from './scores-by-class.js';
import { sizeAttr } from './shape-check.js';

export const groupPrecision = defineOp({
  name: 'groupPrecision',
  arity: 3,
  infer: (inputs, attrs) => {
    checkScores('groupPrecision', inputs, attrs);
    sizeAttr('groupPrecision', attrs, 'classes');
    return { rows: sizeAttr('groupPrecision', attrs, 'groups'), cols: inputs[2]!.cols };
  },
  dtype: () => 'float64',
  flops: groupRanks.flops,
  reference: (inputs, attrs, out) => {
    const [classes, width] = [attrs.classes as number, attrs.width as number];
    const data = new Float64Array(out.rows * out.cols);
    const operands = inputs as readonly [Float64Matrix, Float64Matrix, Float64Matrix];
    visitScores(operands, attrs.groups as number, classes, (group, column, byClass) => {
      const own = classOfColumn(column, width);
      const others = byClass.filter((_, c) => c !== own);
      const at = group * out.cols + column;
      data[at] = hasNaN(byClass) ? Number.NaN : averagePrecision(byClass[own]!, others);
    });
    return dense(out.rows, out.cols, data);
  },
  cases: groupRanks.cases,
});

/** @param own ascending scores of the class; @param others of each other class, ascending */
function averagePrecision(own: Float64Array, others: readonly Float64Array[]): number {
  if (own.length === 0) return 0;
  const places = others.map(({ length }) => length);
  let [sum, hits, misses] = [0, 0, 0];
  let i = own.length;
  while (i > 0) {
    const threshold = own[i - 1]!;
    const before = hits;
    while (i > 0 && own[i - 1]! === threshold) {
      i--;
      hits++;
    }
    for (const [o, scores] of others.entries()) {
      while (places[o]! > 0 && scores[places[o]! - 1]! >= threshold) {
        places[o]!--;
        misses++;
      }
    }
    sum += ((hits - before) * hits) / (hits + misses);
  }
  return sum / own.length;
}
