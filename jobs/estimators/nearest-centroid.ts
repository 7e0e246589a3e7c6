/**
 * The class whose mean is nearest (scikit-learn's `NearestCentroid`, metric euclidean, uniform
 * priors): -|x - m_c|^2 is 2 x m_c - m_c^2, but for what all classes share. Means may be shrunken
 * towards the overall mean by soft thresholds.
 * Source: Tibshirani, Hastie, Narasimhan and Chu, PNAS 99 (2002), nearest shrunken centroids.
 */
import * as z from 'zod';
import { type Matrix, scalar, seq } from '../../driver/index.js';
import { type ClassSums, classMeans, classSums } from './class-sums.js';
import type { ClassEstimator, ClassRows } from './estimator.js';

const parameters = z.strictObject({
  shrink_threshold: z.number().positive().nullable().default(null).meta({
    description: 'Deviations of means from the overall mean are made less by this; null: are not.',
  }),
});

export const nearestCentroid: ClassEstimator = {
  name: 'nearest-centroid',
  description: 'The class whose mean is nearest.',
  solver: 'in closed form',
  parameters,
  task: 'classification',
  // A median of columns.
  countsColumns: ({ shrink_threshold }) => shrink_threshold !== null,
  takesWeights: false,
  // scikit-learn ranks rows by distances in units of the spread, and predicts by plain ones.
  ranksRows: false,
  reads: 'classes',
  link: () => 'margin',
  outputs: (_params, classes) => classes,
  fit: (rows, params) => {
    const { shrink_threshold } = params as z.output<typeof parameters>;
    const summed = classSums(rows, 'linear');
    const { scales, sums } = summed;
    const means = classMeans(summed, sums);
    const centroids =
      shrink_threshold === null ? means : shrunken(rows, summed, means, shrink_threshold);
    const scaled = scales === null ? centroids : centroids.div(scales.square());
    return summed.fit(scaled.mul(2), centroids.mul(scaled).rowSums().neg());
  },
};

/** Means by class after soft thresholding, in the columns' own units. */
function shrunken(rows: ClassRows, summed: ClassSums, means: Matrix, threshold: number): Matrix {
  const { counts, isPresent, total, sums, overall, scales, kept } = summed;
  const squares = classSums(rows, 'squares').sums.slice(null, [sums.cols]);
  const scatter = squares.sub(sums.mul(means)).colSums().maximum(0);
  const within = scatter.div(total.sub(isPresent.sum())).sqrt();
  const spread = scales === null ? within : within.div(scales);
  const unit = scales === null ? medianUnit(spread, kept) : medianUnit(spread, kept).mul(scales);
  const factor = isPresent.ifelse(counts, 1).recip().sub(total.recip()).sqrt();
  const errors = factor.mul(within.add(unit));
  const deviations = means.sub(overall).div(errors);
  const less = deviations.abs().sub(threshold).maximum(0).mul(deviations.sign());
  return overall.add(errors.mul(less));
}

/** The median of the columns that are kept, once for each column. @shape spread: [1, d] -> same */
function medianUnit(spread: Matrix, kept: Matrix | null): Matrix {
  const { session, cols } = spread;
  const values = kept === null ? spread : kept.ifelse(spread, Number.MAX_VALUE);
  const count = kept === null ? scalar(session, cols) : kept.sum();
  const sorted = values.t().topK(cols).slice(null, 1);
  const place = seq(session, 0, cols - 1);
  const lower = place.eq(count.sub(1).div(2).floor());
  const upper = place.eq(count.div(2).floor());
  const middle = sorted.mul(lower).sum().add(sorted.mul(upper).sum()).div(2);
  return spread.mul(0).add(middle);
}
