/** Clusters of rows: which centre each row is nearest to, and sums by cluster as rows move. */
import { ops } from '../operators/index.js';
import { made } from './grouped.js';
import type { Matrix } from './matrix.js';

/**
 * Which of its columns each of many linear models prefers, row by row: the place, within the model's
 * columns, of its greatest X W + b. Models stand side by side in W, `widths` columns each.
 * @shape X: [n, d], W: [d + 1, sum of widths], b in the last row -> [n, models], float32
 * @throws ShapeError, PlanError
 */
export function bestColumns(X: Matrix, W: Matrix, widths: readonly number[]): Matrix {
  return made(ops.bestColumns, [X, W], { widths });
}

export interface Regrouping {
  /** [n, d] */
  readonly X: Matrix;
  /** The group of each row before and after, by grouping: [n, models]. */
  readonly from: Matrix;
  readonly to: Matrix;
  /** Of rows: [n, 1] or [n, models]. Default 1 each. */
  readonly weights?: Matrix | undefined;
}

/**
 * How sums of rows by group change when rows go from one group to another, for many groupings: sums
 * of w x, then of w. Groups outside 0..width-1 are none.
 * @shape -> [sum of widths, d + 1]
 * @throws ShapeError, PlanError
 */
export function regroupSums(
  { X, from, to, weights }: Regrouping,
  widths: readonly number[],
): Matrix {
  return made(ops.regroupSums, [X, from, to, ...(weights ? [weights] : [])], { widths });
}
