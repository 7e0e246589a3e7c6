/** What estimators that read rows have in common: how a fit is answered, and how it ended. */
import { InternalError, type Matrix } from '../../../driver/index.js';
import type { Fit, RowData, RowDesign } from '../estimator.js';

export interface Ended {
  /** Of the design columns, intercepts last: [design + 1, c]. */
  readonly weights: Matrix;
  /** Size of the step that was left, relative; NaN where there is no model: [1, 1]. */
  readonly ending: Matrix;
}

/** The same rows in float64, in which gradients keep the digits that fits end by. */
export function wideRows(rows: RowData): RowData {
  const [X, y, weight] = [rows.X, rows.y, rows.weight].map((one) => one.cast('float64'));
  return { ...rows, X: X!, y: y!, weight: weight! };
}

/** Products of columns, of designs that are not wide: see `RowEstimator.fitsWide`. */
export function columnProducts({ moments, all }: RowDesign) {
  if (moments.products !== undefined && all.scatter !== undefined) {
    return { ...moments.products, all: all.scatter };
  }
  throw new InternalError('fit: expected products of columns, got a wide design');
}

export function rowFit(design: RowDesign, { weights, ending }: Ended): Fit {
  return { weights: design.expand(weights), outputs: design.outputs(weights), ending };
}

/**
 * Relative size of the step to end at, in the norm of the losses: a hundredth of `tol`. That step is
 * taken still, so that less is left.
 */
export function stepTolerance(tol: number): number;
export function stepTolerance(tol: number | Matrix): number | Matrix;
export function stepTolerance(tol: number | Matrix): number | Matrix {
  if (typeof tol !== 'number') return tol.minimum(1).div(100).maximum(LEAST_STEP);
  return Math.max(Math.min(tol, 1) / 100, LEAST_STEP);
}

/** Steps are never asked to be smaller: that is rounding. */
const LEAST_STEP = 1e-10;

/**
 * What to say of fits that end by steps.
 * @param noModel why there is none where the ending is NaN
 */
export function stepEnds(
  { tol, max_iter }: { readonly tol: number; readonly max_iter: number },
  noModel: string,
): Pick<Fit, 'warn' | 'fails'> {
  const wanted = stepTolerance(tol);
  return {
    warn: (ending, limit = 'max_iter') =>
      !(ending > wanted)
        ? undefined
        : `expected coefficients within ${shown(wanted)} of their size (tol ${tol}), got ${shown(ending)} after at most ${max_iter} iterations (${limit}); raise ${limit} or the penalty, or scale the columns (data.standardize)`,
    fails: failsAtNaN(noModel),
  };
}

export function failsAtNaN(text: string): NonNullable<Fit['fails']> {
  return (ending) => (Number.isNaN(ending) ? text : undefined);
}

function shown(size: number): number {
  return Number(size.toPrecision(2));
}
