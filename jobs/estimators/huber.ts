/**
 * Huber regression: min sum s_i (sigma + H(r_i / sigma) sigma) + alpha w'w over weights, the
 * intercept and the scale sigma together, r being residuals and H(t) t^2 up to epsilon and linear
 * beyond; the intercept is not penalised (scikit-learn's `HuberRegressor`).
 *
 * With q = r / sigma cut at epsilon the derivatives are 2 q by the decision value and 1 - q^2 by
 * sigma, so that a pass gives both. It begins at least squares, which the moments give.
 */
import * as z from 'zod';
import { type Matrix, ones, zeros } from '../../driver/index.js';
import type { RowData, RowEstimator } from './estimator.js';
import { chooseSolver, GRADIENT_SOLVERS, solves } from './solvers/choice.js';
import { freeIntercept, iterationParameters } from './solvers/parameters.js';
import { minimise } from './solvers/quasi-newton.js';
import {
  columnProducts,
  type Ended,
  rowFit,
  stepEnds,
  stepTolerance,
  wideRows,
} from './solvers/row-fit.js';
import { coordinatesFor, fitSize, ROUNDING, rowGradient } from './solvers/smooth.js';

const parameters = z.strictObject({
  epsilon: z.number().min(1).default(1.35).meta({
    description: 'Residuals above this many scales count linearly.',
  }),
  alpha: z.number().nonnegative().default(0.0001).meta({
    description: 'Weight of the penalty on the squares of the coefficients.',
  }),
  ...iterationParameters({ maxIter: 100, tol: 1e-5 }),
  fit_intercept: freeIntercept,
});
type HuberParams = z.output<typeof parameters>;

/** Share of the rows that is taken to count by squares. */
const INLIERS = 0.8;

export const huber: RowEstimator = {
  name: 'huber',
  description: 'Huber regression: robust to outliers of the target.',
  solver: GRADIENT_SOLVERS,
  parameters,
  task: 'regression',
  link: () => 'identity',
  outputs: () => 1,
  reads: 'rows',
  version: 2,
  solves: (_, size) => solves(size, false),
  ends: (params) => stepEnds(params as HuberParams, 'expected finite targets and columns'),
  stacked: ['alpha', 'epsilon'],
  train: async (given, numbers, params) => {
    const rows = wideRows(given);
    const own = params as HuberParams;
    const ended = await fitHuber(rows, numbers as Record<'alpha' | 'epsilon', Matrix>, own);
    return rowFit(rows.design, ended);
  },
};

async function fitHuber(
  rows: RowData,
  { alpha, epsilon }: Readonly<Record<'alpha' | 'epsilon', Matrix>>,
  { fit_intercept, tol, max_iter }: HuberParams,
): Promise<Ended> {
  const { y, weight, design } = rows;
  const { session } = y;
  const { count, mean, target } = design.moments;
  const { targetScatter } = columnProducts(design);
  const { solver } = chooseSolver(fitSize(rows, 1), false);
  const coordinates = coordinatesFor(solver, rows, fit_intercept ? 'free' : 'none');
  const { weights, squares, penalty, penalties, isColumn } = coordinates;
  const total = count.asMatrix();
  const l2 = alpha.mul(2);
  const about = fit_intercept ? target.asMatrix() : target.asMatrix().mul(0);
  const spread = y.sub(about).square().mul(weight).sum().asMatrix();
  // X'y about the mean, and for a free intercept the constant's, which is 0 there.
  const products = fit_intercept ? targetScatter : targetScatter.add(mean.mul(count).mul(target));
  const right = coordinates.gradient(products.rbind(zeros(session, 1, 1)));
  const least = right.div(squares.mul(total));
  const rest = spread.sub(right.mul(least).sum().asMatrix()).maximum(spread.mul(1e-4));
  const scale = rest.div(total).sqrt();
  const curvature = total.mul(2 * INLIERS).div(scale);
  const hessian = squares.mul(curvature).add(penalties.mul(l2));
  const p = squares.rows;
  const cut = epsilon.neg();
  const gradient = rowGradient(rows, (z, extra) => {
    const q = z.sub(y).div(extra!).maximum(cut).minimum(epsilon);
    return { slopes: q.mul(2).mul(weight), more: q.square().neg().add(1).mul(weight).colSums() };
  });
  const { point, ending } = await minimise({
    start: (fit_intercept ? least.add(intercept(p, about)) : least).rbind(scale),
    gradient: (v) => {
      const at = v.slice([0, p]);
      const sigma = v.slice(p);
      const { slopes, more } = gradient(weights(at), sigma.gt(0).ifelse(sigma, Number.NaN));
      return coordinates.gradient(slopes).add(penalty(at).mul(l2)).rbind(more!);
    },
    hessian: hessian.rbind(curvature),
    measured: isColumn.rbind(zeros(session, 1, 1)),
    floor: curvature.mul(scale.square()).mul(ROUNDING),
    joint: false,
    tolerance: stepTolerance(tol),
    maxIterations: max_iter,
  });
  return { weights: weights(point.slice([0, p])), ending };
}

/** The coordinate of a free intercept, the last of p. */
function intercept(p: number, value: Matrix): Matrix {
  return zeros(value.session, p - 1, 1)
    .rbind(ones(value.session, 1, 1))
    .mul(value);
}
