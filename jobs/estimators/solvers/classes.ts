/**
 * Targets that are classes, as solvers take them: a column for each class, rows weighted by class,
 * and which share of the training rows each class is.
 */
import { type Matrix, matrix, seq } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';

export interface ClassTarget {
  /** 1 where the row is of the class: of two classes the second alone, [n, 1], else [n, C]. */
  readonly target: Matrix;
  /** [n, 1]; one against the rest with class weights [n, C]. */
  readonly weight: Matrix;
  /** The sum of weights, [1, columns of `weight`], and the classes' shares of it. */
  readonly total: Matrix;
  readonly mean: Matrix;
  /** 1 where all training rows are of one class: [1, 1]. */
  readonly isSingle: Matrix;
}

/** `balanced`: present classes weigh the same in all, as in scikit-learn; numbers: by class number. */
export type ClassWeight = 'none' | 'balanced' | readonly number[];

/**
 * @param oneVsRest each column of more than two weighs the rows of its own class only by their
 *   class, the rest by 1, as liblinear does
 */
export function classTarget(
  rows: RowData,
  classWeight: ClassWeight,
  oneVsRest = false,
): ClassTarget {
  const { y, weight, classes, design } = rows;
  const isBinary = classes === 2;
  if (isBinary && classWeight === 'none') {
    const total = design.moments.count.asMatrix();
    const mean = design.moments.target.asMatrix();
    return { target: y, weight, total, mean, isSingle: mean.le(0).or(mean.ge(1)) };
  }
  const isOf = y.eq(seq(y.session, 0, classes - 1).t());
  const sums = isOf.t().matmul(weight);
  const present = sums.gt(0);
  const factors =
    classWeight === 'balanced'
      ? sums.sum().div(present.sum()).asMatrix().div(present.ifelse(sums, 1))
      : classWeight !== 'none' && matrix(y.session, classes, 1, classWeight);
  const isSingle = present.sum().lt(2).asMatrix();
  if (factors && oneVsRest && !isBinary) {
    const own = factors.t();
    const total = sums.sum().add(factors.sub(1).mul(sums).t());
    const mean = own.mul(sums.t()).div(total);
    return { target: isOf, weight: isOf.mul(own.sub(1)).add(1).mul(weight), total, mean, isSingle };
  }
  const weighted = factors ? sums.mul(factors) : sums;
  const total = weighted.sum().asMatrix();
  const shares = weighted.div(total).t();
  return {
    target: isBinary ? y : isOf,
    weight: factors ? weight.mul(isOf.matmul(factors)) : weight,
    total,
    mean: isBinary ? shares.slice(null, 1) : shares,
    isSingle,
  };
}
