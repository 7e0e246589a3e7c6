/**
 * Generalised linear models of Tweedie distributions: min sum s_i deviance(y_i, z_i) / 2 sum s_i +
 * alpha w'w / 2, the mean exp(z) or z, the intercept not penalised (scikit-learn's
 * `PoissonRegressor`, `GammaRegressor` and `TweedieRegressor`).
 */
import { z } from 'zod';
import type { RowEstimator } from './estimator.js';
import { halfDeviance, halfSquare } from './solvers/losses.js';
import { rowFit } from './solvers/row-fit.js';
import { fitSmooth, slowWarning } from './solvers/smooth.js';

const common = {
  alpha: z.number().nonnegative().default(1).meta({
    description: 'Weight of the penalty on the squares of the coefficients.',
  }),
  max_iter: z.int().min(1).max(1_000_000_000).default(100).meta({
    description: 'Most iterations, each a pass over the rows.',
  }),
  tol: z.number().positive().default(1e-4).meta({
    description: 'A fit ends when the step left is at most a hundredth of this (at most 1e-6).',
  }),
  fit_intercept: z.boolean().default(true).meta({
    description: 'Fit an intercept, which is not penalised.',
  }),
};
const commonParameters = z.strictObject(common);
type CommonParams = z.output<typeof commonParameters>;

interface Definition<P> {
  readonly name: string;
  readonly description: string;
  readonly parameters: z.ZodObject & z.ZodType<P>;
  readonly power: (params: P) => number;
  /** Whether decision values are means and not their logarithms. Default never. */
  readonly isIdentity?: (params: P) => boolean;
}

function tweedieEstimator<P extends CommonParams>(given: Definition<P>): RowEstimator {
  const { name, description, parameters, power, isIdentity = () => false } = given;
  return {
    name,
    description,
    parameters,
    task: 'regression',
    link: (params) => (isIdentity(params as unknown as P) ? 'identity' : 'log'),
    outputs: () => 1,
    reads: 'rows',
    version: 1,
    stacked: ['alpha'],
    train: async (rows, { alpha }, params) => {
      const own = params as unknown as P;
      const { count, target } = rows.design.moments;
      const total = count.asMatrix();
      const p = power(own);
      const ended = await fitSmooth({
        rows,
        target: rows.y,
        weight: rows.weight,
        total,
        mean: target.asMatrix(),
        loss: isIdentity(own) ? halfSquare : halfDeviance(p),
        intercept: own.fit_intercept ? 'free' : 'none',
        l2: alpha!.mul(total),
        tol: own.tol,
        maxIterations: own.max_iter,
      });
      return rowFit(rows.design, ended, {
        warn: slowWarning(own.tol, own.max_iter),
        fails: `expected targets ${p >= 2 ? 'above 0' : 'of 0 and above, not all 0'}`,
      });
    },
  };
}

export const poisson = tweedieEstimator({
  name: 'poisson',
  description: 'Poisson regression: counts, the logarithm of whose mean is linear.',
  parameters: commonParameters,
  power: () => 1,
});

export const gamma = tweedieEstimator({
  name: 'gamma',
  description: 'Gamma regression: positive targets, the logarithm of whose mean is linear.',
  parameters: commonParameters,
  power: () => 2,
});

const tweedieParameters = z.strictObject({
  power: z
    .number()
    .refine((power) => power <= 0 || power >= 1, 'expected a power of at most 0 or at least 1')
    .default(0)
    .meta({
      description: 'Of the mean, that the variance is: 0 normal, 1 Poisson, 2 gamma, 3 inverse.',
    }),
  ...common,
  link: z.enum(['auto', 'identity', 'log']).default('auto').meta({
    description: 'What is linear: the mean (`auto` for a power of 0 or less) or its logarithm.',
  }),
});

export const tweedie = tweedieEstimator({
  name: 'tweedie',
  description: 'Regression whose target has a Tweedie distribution.',
  parameters: tweedieParameters,
  power: ({ power }) => power,
  isIdentity: ({ power, link }) => link === 'identity' || (link === 'auto' && power <= 0),
});
