/**
 * Gaussian naive Bayes: within a class every column is normal and independent of the others
 * (scikit-learn's `GaussianNB`). log P(x, c) is linear in [x, x * x]:
 * sum_j x_j m_cj / v_cj - x_j^2 / (2 v_cj) - m_cj^2 / (2 v_cj) - log(2 pi v_cj) / 2 + log P(c).
 */
import * as z from 'zod';
import type { Matrix } from '../../driver/index.js';
import { classMeans, classSums, logPriors, priorsList } from './class-sums.js';
import type { ClassEstimator } from './estimator.js';

/** Squares of a column lose (mean / deviation)^2 epsilon of a log-likelihood: said from here on. */
const LOST_DIGITS = 1e-8;

const parameters = z.strictObject({
  priors: priorsList.default(null).meta({
    description:
      'How likely each class is, in the order of the classes; null: as they are frequent.',
  }),
  var_smoothing: z.number().nonnegative().default(1e-9).meta({
    description: 'Share of the largest variance of a column that is added to all variances.',
  }),
});

export const gaussianNb: ClassEstimator = {
  name: 'gaussian-nb',
  description: 'Gaussian naive Bayes: columns are normal and independent within a class.',
  solver: 'in closed form',
  parameters,
  task: 'classification',
  ranksBy: 'probability',
  reads: 'classes',
  link: () => 'softmax',
  outputs: (_params, classes) => classes,
  basis: () => 'squares',
  fit: (rows, params) => {
    const { var_smoothing, priors } = params as z.output<typeof parameters>;
    const summed = classSums(rows, 'squares');
    const { sums, overall, scales } = summed;
    const d = sums.cols / 2;
    const ofClass = classMeans(summed, sums);
    const means = ofClass.slice(null, [0, d]);
    const spread = varianceOf(overall.slice(null, [0, d]), overall.slice(null, [d]));
    // Standardised columns have variances v / s^2, to which the same share of the largest is added.
    const smoothing =
      scales === null
        ? spread.max().mul(var_smoothing)
        : spread.div(scales.square()).max().mul(var_smoothing).mul(scales.square());
    const variances = varianceOf(means, ofClass.slice(null, [d])).add(smoothing);
    const terms = variances
      .mul(2 * Math.PI)
      .log()
      .add(means.square().div(variances));
    const fitted = summed.fit(
      means.div(variances).cbind(variances.recip().mul(-0.5)),
      logPriors(summed, priors ?? 'empirical').sub(terms.rowSums().mul(0.5)),
    );
    return {
      ...fitted,
      ending: means.square().div(variances).max().mul(Number.EPSILON).asMatrix(),
      warn: (lost) =>
        lost <= LOST_DIGITS
          ? undefined
          : `expected columns whose means are near their spread, got one whose squares leave ${lost.toExponential(0)} of a log-likelihood uncertain; subtract its mean in its sql`,
    };
  },
};

function varianceOf(means: Matrix, squares: Matrix): Matrix {
  return squares.sub(means.square()).maximum(0);
}
