/**
 * Ridge regression: min |y - Xw - b|^2 + lambda |w|^2, the intercept b unpenalised (scikit-learn's
 * `Ridge`, solver cholesky).
 */
import * as z from 'zod';
import { ops } from '../../driver/index.js';
import { linearEstimator } from './linear.js';
import { fitRidgeRows, RESIDUAL } from './solvers/conjugate-gradient.js';

export const ridge = linearEstimator({
  name: 'ridge',
  description: 'Ridge regression.',
  solver: 'Cholesky factors of Gram matrices',
  parameters: z.strictObject({
    lambda: z.number().nonnegative().default(1).meta({
      description: "Penalty on the summed squares of the coefficients: scikit-learn's `alpha`.",
    }),
    intercept: z.boolean().default(true).meta({
      description: 'Fit an intercept, which is not penalised.',
    }),
  }),
  hasIntercept: ({ intercept }) => intercept,
  solve: ({ xx, xy, leftOut }, { lambda }) => {
    const gram = leftOut === null ? xx : xx.addDiag(leftOut.t());
    return gram.addDiag(lambda).solve(xy, { assume: 'spd' });
  },
  byRows: {
    solver: 'conjugate gradients over the rows',
    version: 1,
    stacked: ['lambda'],
    solve: (rows, { lambda }, { intercept }) => fitRidgeRows(rows, lambda!, intercept),
    warn: (left) =>
      left <= RESIDUAL
        ? undefined
        : `expected a residual of at most ${RESIDUAL} of the right side, got ${left.toPrecision(2)}; raise lambda, or scale the columns (data.standardize)`,
  },
  wide: { op: ops.foldRidge, numbers: ({ lambda }) => [lambda] },
});
