/**
 * Columns of designs so wide that their products with each other are not made: each column is known
 * by its mean and its squares. Imputing means and standardising are linear maps of the columns here
 * too, and a column of the design is one encoded column and a share of its indicator.
 */
import { Matrix, type Scalar, takeRows } from '../../driver/index.js';
import type { ColumnPlaces } from './linear-design.js';
import type { Moments } from './moments.js';

/** Of a wide design's columns, each by itself, for fits by rows. */
export interface WideColumns {
  readonly count: Scalar;
  /** Means, and sums of squares about them: [design, 1]. */
  readonly mean: Matrix;
  readonly spread: Matrix;
}

/** How imputing changes the columns of a wide design, from means of the encoded ones. */
export interface WideImputing {
  /** 1, or 0 for a column without values, which is left out: [design, 1]. */
  readonly kept: Matrix;
  /** What stands for a missing cell, 0 for columns that have none: [design, 1]. */
  readonly imputed: Matrix;
}

/** @param encoded moments of the encoded columns, each by itself */
export function wideImputing({ count, mean }: Moments, places: ColumnPlaces): WideImputing {
  const present = takeRows(places.indicator, mean).neg().add(1);
  const leftOut = present.mul(count).lt(0.5);
  // A missing cell is encoded as 0, so the mean over present cells is the plain mean over the
  // present share.
  const known = places.indicator.ge(0).and(leftOut.not());
  const imputed = known.ifelse(takeRows(places.own, mean).div(present), 0);
  return { kept: leftOut.not(), imputed };
}

/** Moments of x + v r, r the indicator that is 1 where x is 0, from those of x and r. */
export function wideColumns(
  { count, mean, scatter }: Moments,
  places: ColumnPlaces | null,
  imputing: WideImputing | null,
): WideColumns {
  if (places === null || imputing === null) return { count, mean, spread: scatter };
  const { kept, imputed } = imputing;
  const [own, indicated] = [takeRows(places.own, mean), takeRows(places.indicator, mean)];
  const squares = takeRows(places.own, scatter)
    .add(takeRows(places.indicator, scatter).mul(imputed.square()))
    .sub(own.mul(indicated).mul(imputed).mul(count).mul(2));
  return {
    count,
    mean: own.add(indicated.mul(imputed)).mul(kept),
    spread: squares.maximum(0).mul(kept),
  };
}

/** As of `WideColumns`, of rows that may be others for each column: [1, design]. */
export type ColumnSpreads = Omit<WideColumns, 'count'> & { readonly count: Scalar | Matrix };

/** Whether columns have no spread but rounding, as `_is_constant_feature` there says: [1, design]. */
export function isConstant({ count: own, mean, spread }: ColumnSpreads): Matrix {
  const count = own instanceof Matrix ? own : own.asMatrix();
  const variance = spread.t().div(count);
  const slack = count.mul(Number.EPSILON);
  return variance.le(variance.mul(slack).add(mean.t().mul(slack).square()));
}

/**
 * Standard deviations as scikit-learn's StandardScaler takes them: population form, 1 where the
 * column is constant up to rounding (var <= n eps var + (n mean eps)^2). [1, design]
 */
export function spreadScales(of: ColumnSpreads): Matrix {
  return isConstant(of).ifelse(1, of.spread.t().div(of.count).sqrt());
}
