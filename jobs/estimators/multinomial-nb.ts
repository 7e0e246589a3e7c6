/**
 * Multinomial naive Bayes for counts (scikit-learn's `MultinomialNB`): log P(x, c) is, but for what
 * all classes share, sum_j x_j log(S_cj + alpha) / (sum_j S_cj + alpha) + log P(c), S the sums of
 * the columns by class.
 */
import * as z from 'zod';
import { ConfigError } from '../../driver/index.js';
import { classSums, logPriors, type Priors } from './class-sums.js';
import type { ClassEstimator, Params } from './estimator.js';

/** Parameters of naive Bayes over counts. */
export const countParameters = z.strictObject({
  // At 0 a column that a class lacks has 0 * log 0 in it, which is no number in scikit-learn.
  alpha: z.number().min(1e-10).max(1e300).default(1).meta({
    description: 'Added to every count.',
  }),
  fit_prior: z.boolean().default(true).meta({
    description: 'Classes are as likely as they are frequent; otherwise all alike.',
  }),
  class_prior: z.array(z.number().positive()).nullable().default(null).meta({
    description:
      'How likely each class is, in the order of the classes, whatever `fit_prior` says; null: by it.',
  }),
});

/** What the parameters say of how likely classes are. */
export function countPriors(params: Params): Priors {
  const { class_prior, fit_prior } = params as z.output<typeof countParameters>;
  return class_prior ?? (fit_prior ? 'empirical' : 'uniform');
}

export const multinomialNb: ClassEstimator = {
  name: 'multinomial-nb',
  description: 'Multinomial naive Bayes, for counts and frequencies.',
  solver: 'in closed form',
  parameters: countParameters,
  task: 'classification',
  countsColumns: () => true,
  ranksBy: 'probability',
  reads: 'classes',
  link: () => 'softmax',
  outputs: (_params, classes) => classes,
  fit: (rows, params) => {
    const { alpha } = params as z.output<typeof countParameters>;
    refuseStandardised(rows.all.standardize, 'multinomial-nb');
    const summed = classSums(rows, 'linear', rows.X.rowMins().lt(0));
    const { sums, kept, beside } = summed;
    // A negative count has no likelihood: such fits are not scored, as scikit-learn refuses them.
    const negative = beside!.sum();
    const counts = sums.add(negative.gt(0).ifelse(Number.NaN, alpha));
    const own = kept === null ? counts : counts.mul(kept);
    const logs = kept === null ? own.log() : kept.ifelse(own, 1).log();
    const shares = logs.sub(own.rowSums().log());
    return {
      ...summed.fit(
        kept === null ? shares : shares.mul(kept),
        logPriors(summed, countPriors(params)),
      ),
      ending: negative.asMatrix(),
      fails: (count) =>
        count === 0
          ? undefined
          : `multinomial-nb: expected columns from 0 up, got ${count} training rows with a negative cell`,
    };
  },
};

/** @throws ConfigError where columns that have to be counts would be standardised */
export function refuseStandardised(isStandardised: boolean, name: string): void {
  if (!isStandardised) return;
  throw new ConfigError(
    `data.standardize: expected false with ${name}, which reads counts, got true; leave it out`,
    { key: 'data.standardize', value: true },
  );
}
