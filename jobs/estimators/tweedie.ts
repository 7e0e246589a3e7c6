/**
 * Generalised linear models of Tweedie distributions: min sum s_i deviance(y_i, z_i) / 2 sum s_i +
 * alpha w'w / 2, the mean exp(z) or z, the intercept not penalised (scikit-learn's
 * `PoissonRegressor`, `GammaRegressor` and `TweedieRegressor`).
 */
import * as z from 'zod';
import type { RowEstimator } from './estimator.js';
import { SMOOTH_SOLVERS, solves } from './solvers/choice.js';
import { halfDeviance, halfSquare, type SmoothLoss } from './solvers/losses.js';
import { freeIntercept, iterationParameters } from './solvers/parameters.js';
import { rowFit, stepEnds, wideRows } from './solvers/row-fit.js';
import { fitSmooth } from './solvers/smooth.js';

const common = {
  alpha: z.number().nonnegative().default(1).meta({
    description: 'Weight of the penalty on the squares of the coefficients.',
  }),
  ...iterationParameters({ maxIter: 100, tol: 1e-4 }),
  fit_intercept: freeIntercept,
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
  const lossOf = (params: P): SmoothLoss =>
    isIdentity(params) ? halfSquare : halfDeviance(power(params));
  return {
    name,
    description,
    solver: SMOOTH_SOLVERS,
    parameters,
    task: 'regression',
    link: (params) => (isIdentity(params as unknown as P) ? 'identity' : 'log'),
    outputs: () => 1,
    reads: 'rows',
    version: 4,
    solves: (params, size) => solves(size, lossOf(params as unknown as P).bend !== undefined),
    ends: (params) => {
      const own = params as unknown as P;
      return {
        ...stepEnds(own, ''),
        fails: (ending, cells) => (Number.isNaN(ending) ? whyNone(power(own), cells) : undefined),
      };
    },
    stacked: ['alpha'],
    begins: () => true,
    fitsWide: () => true,
    train: async (given, { alpha }, params) => {
      const rows = wideRows(given);
      const own = params as unknown as P;
      const { count, target } = rows.design.moments;
      const total = count.asMatrix();
      const ended = await fitSmooth({
        rows,
        target: rows.y,
        weight: rows.weight,
        total,
        mean: target.asMatrix(),
        loss: lossOf(own),
        intercept: own.fit_intercept ? 'free' : 'none',
        l2: alpha!.mul(total),
        tol: own.tol,
        maxIterations: own.max_iter,
      });
      if (power(own) < 1) return rowFit(rows.design, ended);
      const isOwn = rows.weight.gt(0);
      const least = isOwn.ifelse(rows.y, Number.POSITIVE_INFINITY).colMins();
      const greatest = isOwn.ifelse(rows.y, Number.NEGATIVE_INFINITY).colMaxs();
      const bad = power(own) < 2 ? least.lt(0) : least.le(0);
      const ending = least.rbind(greatest, bad.ifelse(Number.NaN, ended.ending));
      return rowFit(rows.design, { ...ended, ending });
    },
  };
}

/** @param cells the least and the greatest target, where there is a range they have to be in */
function whyNone(power: number, cells: ArrayLike<number>): string {
  const { 0: least, 1: greatest } = cells;
  if (power >= 2 && least! <= 0) return `expected targets above 0, got ${least}`;
  if (power >= 1 && least! < 0) return `expected targets of 0 and above, got ${least}`;
  if (power >= 1 && greatest === 0) return 'expected a target above 0, got 0 in every row';
  return 'expected finite means, got values beyond float64; scale the columns (data.standardize) or raise alpha';
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
