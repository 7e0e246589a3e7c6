/**
 * Bernoulli naive Bayes: columns are yes or no, independent within a class (scikit-learn's
 * `BernoulliNB`). With p_cj = (S_cj + alpha) / (n_c + 2 alpha) and B(x) = x > binarize,
 * log P(x, c) = sum_j B(x)_j log(p_cj / (1 - p_cj)) + log(1 - p_cj) + log P(c).
 */
import * as z from 'zod';
import type { Basis } from './basis.js';
import { classSums, logPriors } from './class-sums.js';
import type { ClassEstimator, Params } from './estimator.js';
import { countParameters, countPriors, refuseStandardised } from './multinomial-nb.js';

const parameters = z.strictObject({
  ...countParameters.shape,
  binarize: z.number().nullable().default(0).meta({
    description: 'Columns are whether their cells are above this; null: they are 0 or 1 already.',
  }),
});

function basisOf(params: Params): Basis {
  const { binarize } = params as z.output<typeof parameters>;
  return binarize === null ? 'linear' : { above: binarize };
}

export const bernoulliNb: ClassEstimator = {
  name: 'bernoulli-nb',
  description: 'Bernoulli naive Bayes, for columns that are yes or no.',
  solver: 'in closed form',
  parameters,
  task: 'classification',
  countsColumns: () => true,
  ranksBy: 'probability',
  reads: 'classes',
  link: () => 'softmax',
  outputs: (_params, classes) => classes,
  basis: basisOf,
  fit: (rows, params) => {
    const { alpha } = params as z.output<typeof parameters>;
    refuseStandardised(rows.all.standardize, 'bernoulli-nb');
    const summed = classSums(rows, basisOf(params));
    const { sums, counts, kept } = summed;
    const all = counts.add(2 * alpha).log();
    const yes = sums.add(alpha).log();
    const no = counts.add(alpha).sub(sums).log();
    // log(1 - p) of the columns that are there.
    const absent = kept === null ? no.sub(all) : no.sub(all).mul(kept);
    return summed.fit(yes.sub(no), logPriors(summed, countPriors(params)).add(absent.rowSums()));
  },
};
