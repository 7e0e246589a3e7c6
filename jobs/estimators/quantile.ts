/**
 * Quantile regression: min sum s_i pinball(y_i - z_i) / sum s_i + alpha |w|_1, the intercept not
 * penalised (scikit-learn's `QuantileRegressor`). A linear program, solved to 1e-9 of the mean
 * residual by the primal-dual method of `solvers/pinball.ts`.
 */
import * as z from 'zod';
import type { Matrix } from '../../driver/index.js';
import type { RowEstimator } from './estimator.js';
import { freeIntercept } from './solvers/parameters.js';
import { fitPinball, GAP } from './solvers/pinball.js';
import { failsAtNaN, rowFit, wideRows } from './solvers/row-fit.js';

const parameters = z.strictObject({
  quantile: z.number().gt(0).lt(1).default(0.5).meta({
    description: 'Share of targets that predictions are to be above.',
  }),
  alpha: z.number().nonnegative().default(1).meta({
    description: 'Weight of the penalty on the sizes of the coefficients.',
  }),
  fit_intercept: freeIntercept,
});

export const quantile: RowEstimator = {
  name: 'quantile',
  description: 'Quantile regression, with a penalty on absolute values.',
  solver: 'interior point, a weighted Gram matrix a step',
  parameters,
  task: 'regression',
  link: () => 'identity',
  outputs: () => 1,
  reads: 'rows',
  version: 1,
  ends: () => ({
    warn: (gap) =>
      gap <= GAP
        ? undefined
        : `expected a gap of at most ${GAP} of the mean residual, got ${gap}; scale the columns (data.standardize)`,
    fails: failsAtNaN('expected finite targets and columns'),
  }),
  stacked: ['quantile', 'alpha'],
  train: async (given, numbers, params) => {
    const rows = wideRows(given);
    const { fit_intercept } = params as z.output<typeof parameters>;
    const { quantile, alpha } = numbers as Record<'quantile' | 'alpha', Matrix>;
    const ended = await fitPinball(rows, quantile, alpha, fit_intercept);
    return rowFit(rows.design, ended);
  },
};
