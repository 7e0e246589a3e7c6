/**
 * Linear models of a smooth loss with a penalty on squares: min sum s_i loss(z_i, y_i) + l2 w'w / 2
 * over weights w of the design columns, z = X w + b. Each iteration is one pass over X, which gives
 * the gradient of all models of a stack. Solved by `quasi-newton.ts` in the coordinates of
 * `coordinates.ts`, in which the Hessian is about the loss's mean curvature times the rows' squares,
 * plus the penalty: a diagonal.
 */
import { type Matrix, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { coordinates, type Intercept } from './coordinates.js';
import type { SmoothLoss } from './losses.js';
import { minimise } from './quasi-newton.js';
import { type Ended, stepTolerance } from './row-fit.js';

export interface SmoothFit {
  readonly rows: Pick<RowData, 'X' | 'design'>;
  /** Column by column what its decision value is held to: [n, c]. */
  readonly target: Matrix;
  /** s, 0 for rows that are not training rows: [n, 1] or [n, c]. */
  readonly weight: Matrix;
  /** Sums of weights, [1, 1] or [1, c], and weighted means of the target, [1, c]. */
  readonly total: Matrix;
  readonly mean: Matrix;
  readonly loss: SmoothLoss;
  readonly intercept: Intercept;
  /** [1, 1] */
  readonly l2: Matrix;
  /** The loss joins the columns of a row; else each is a model of its own. Default false. */
  readonly joint?: boolean;
  readonly tol: number;
  readonly maxIterations: number;
}

/** Share of the first curvature that is left where decision values spread. */
export const SPREAD = 0.6;
/** Steps of this size, squared, beside the curvature of all rows are rounding. */
export const ROUNDING = 1e-22;

export async function fitSmooth(fit: SmoothFit): Promise<Ended> {
  const { target, loss, intercept, total, mean, l2, joint = false } = fit;
  const isFree = intercept === 'free';
  const { map, squares, penalty, isColumn } = coordinates(fit.rows.design.all, intercept);
  const { cols } = target;
  const best = loss.best(mean);
  const atBest = loss.curvature(best, mean);
  const first = isFree ? atBest : atBest.maximum(loss.curvature(best.mul(0), mean));
  const curvature = first.mul(total).mul(SPREAD);
  const known = squares.matmul(curvature).add(penalty.diag().mul(l2));
  const hessian = known.maximum(Number.MIN_VALUE ** 0.5);
  const floor = curvature.mul(ROUNDING);
  const origin = zeros(map.session, squares.rows - (isFree ? 1 : 0), cols);
  // Without an intercept nothing asks for the sums of slopes.
  const used = intercept === 'none' ? map.slice([0, map.rows - 1]) : map;
  const gradient = rowGradient(fit.rows, (z) => ({
    slopes: loss.slope(z, target).mul(fit.weight),
  }));
  const { point, ending } = await minimise({
    start: isFree ? origin.rbind(best) : origin,
    gradient: (v) => {
      const slopes = gradient(map.matmul(v)).slopes.slice([0, used.rows]);
      return used.t().matmul(slopes).add(penalty.matmul(v).mul(l2));
    },
    hessian,
    measured: isColumn,
    floor: joint ? floor.sum().asMatrix() : floor,
    joint,
    tolerance: stepTolerance(fit.tol),
    maxIterations: fit.maxIterations,
  });
  return { weights: map.matmul(point), ending };
}

/** Derivatives by decision values, times the rows' weights, and what else the pass is to sum. */
interface RowSlopes {
  /** [n, c] */
  readonly slopes: Matrix;
  readonly more?: Matrix;
}

/**
 * The gradient by design weights of a loss of decision values, in one pass.
 * @returns of weights [design + 1, c] the gradient, of the same shape
 */
export function rowGradient(
  { X, design }: Pick<RowData, 'X' | 'design'>,
  slopesOf: (z: Matrix, extra?: Matrix) => RowSlopes,
): (weights: Matrix, extra?: Matrix) => RowSlopes {
  return (weights, extra) => {
    const own = design.expand(weights);
    const z = X.matmul(own.slice([0, X.cols])).add(own.slice(X.cols));
    const { slopes, ...rest } = slopesOf(z, extra);
    return { slopes: design.contract(X.t().matmul(slopes).rbind(slopes.colSums())), ...rest };
  };
}
