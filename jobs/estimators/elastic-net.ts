/**
 * The elastic net: min |y - Xw - b|^2 / 2n + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) |w|^2 / 2,
 * the intercept b unpenalised (scikit-learn's `ElasticNet`), and what descends to it. Source:
 * `driver/operators/coordinate-descent.ts`.
 */
import * as z from 'zod';
import { Matrix, matrix, ops, scalar } from '../../driver/index.js';
import type { MomentEstimator } from './estimator.js';
import { linearEstimator } from './linear.js';
import { fitElasticNetRows } from './solvers/proximal-gradient.js';

/** Parameters of every estimator that is found by coordinate descent. */
export const descentParameters = z.strictObject({
  alpha: z.number().nonnegative().default(1).meta({
    description: 'Weight of the penalty on the coefficients.',
  }),
  max_iter: z.int().min(1).max(1_000_000_000).default(1000).meta({
    description: 'Most sweeps over the coefficients; by rows most passes.',
  }),
  tol: z.number().nonnegative().default(1e-4).meta({
    description: 'Largest duality gap to end with, relative to the sum of squares of the target.',
  }),
  fit_intercept: z.boolean().default(true).meta({
    description: 'Fit an intercept, which is not penalised.',
  }),
});

type DescentParams = z.output<typeof descentParameters>;

/** @param l1 the share of the penalty that is on absolute values */
export function descentEstimator<P extends DescentParams>(given: {
  readonly name: string;
  readonly description: string;
  readonly parameters: z.ZodObject & z.ZodType<P>;
  readonly l1: (params: P) => number;
  /** Parameters that models fitted together by rows may differ in. */
  readonly stacked: readonly string[];
}): MomentEstimator {
  const attrsOf = ({ max_iter, tol }: P) => ({ maxSweeps: max_iter, tolerance: tol });
  const numbersOf = (params: P) => [params.alpha, given.l1(params)];
  return linearEstimator<P>({
    ...given,
    solver: 'coordinate descent on moments',
    hasIntercept: ({ fit_intercept }) => fit_intercept,
    solve: ({ xx, xy, yy, count }, params) => {
      const { session } = xx;
      const numbers = numbersOf(params).map((value) => scalar(session, value));
      const inputs = [xx, xy, yy(), count(), ...numbers].map(({ expr }) => expr);
      return Matrix.of(session, session.intern(ops.coordinateDescent, inputs, attrsOf(params)));
    },
    many: {
      differ: ['alpha', 'l1_ratio'],
      solve: ({ xx, xy, yy, count }, params) => {
        const { session } = xx;
        const cells = params.map(numbersOf);
        const penalties = matrix(session, [cells.map(([a]) => a!), cells.map(([, r]) => r!)]);
        const inputs = [xx, xy, yy(), count(), penalties].map(({ expr }) => expr);
        return Matrix.of(session, session.intern(ops.descentPath, inputs, attrsOf(params[0]!)));
      },
    },
    byRows: {
      solver: 'accelerated proximal gradients over the rows',
      version: 2,
      stacked: given.stacked,
      // Columns that depend on each other take many steps.
      isForSparse: true,
      solve: (rows, numbers, params) =>
        fitElasticNetRows({
          rows,
          alpha: numbers.alpha!,
          ratio: numbers.l1_ratio ?? scalar(rows.y.session, given.l1(params)).asMatrix(),
          hasIntercept: params.fit_intercept,
          tol: params.tol,
          maxIterations: params.max_iter,
        }),
      warn: (gap, params) => gapWarning(gap, params, 'passes'),
    },
    wide: { op: ops.foldElasticNet, numbers: numbersOf, attrs: attrsOf },
    warn: (gap, params) => gapWarning(gap, params, 'sweeps'),
  });
}

function gapWarning(gap: number, { tol, max_iter }: DescentParams, steps: string) {
  return gap <= tol
    ? undefined
    : `expected a duality gap of at most ${tol} (tol) of the target's sum of squares, got ${gap} after ${max_iter} ${steps}; raise max_iter, alpha or tol, or scale the columns (data.standardize)`;
}

export const elasticNet = descentEstimator({
  name: 'elastic-net',
  description: 'Elastic net: penalties on absolute values and on squares of the coefficients.',
  parameters: z.strictObject({
    ...descentParameters.shape,
    l1_ratio: z.number().min(0).max(1).default(0.5).meta({
      description: 'Share of the penalty on absolute values: 1 is the lasso.',
    }),
  }),
  l1: ({ l1_ratio }) => l1_ratio,
  stacked: ['alpha', 'l1_ratio'],
});
