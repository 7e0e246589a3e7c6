/**
 * Ordinary least squares: min |y - Xw - b|^2 (scikit-learn's `LinearRegression`). Where columns
 * depend on each other, as one-hot ones do beside an intercept, the w of least norm.
 */
import * as z from 'zod';
import { Matrix, ops } from '../../driver/index.js';
import { linearEstimator } from './linear.js';

export const ols = linearEstimator({
  name: 'ols',
  alias: 'linear',
  description: 'Ordinary least squares; where columns depend on each other, of least norm.',
  solver: 'eigenvectors of Gram matrices',
  parameters: z.strictObject({
    fit_intercept: z.boolean().default(true).meta({ description: 'Fit an intercept.' }),
    tol: z.number().nonnegative().default(1e-6).meta({
      description:
        'Directions whose singular value is at most `tol` times the largest are left out.',
    }),
  }),
  hasIntercept: ({ fit_intercept }) => fit_intercept,
  solve: ({ xx, xy }, { tol }) => {
    const { session } = xx;
    const attrs = { tolerance: tol ** 2 };
    return Matrix.of(session, session.intern(ops.leastNorm, [xx.expr, xy.expr], attrs));
  },
  // Singular values are the roots of the eigenvalues of X'X.
  wide: { op: ops.foldLeastNorm, numbers: () => [], attrs: ({ tol }) => ({ tolerance: tol ** 2 }) },
});
