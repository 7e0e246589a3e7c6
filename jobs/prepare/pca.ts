/**
 * Columns become their principal components: scikit-learn's `PCA`, solver covariance_eigh. The
 * eigenvectors are found once for any number of components.
 */
import * as z from 'zod';
import { invalid, type PrepareStep, requireComplete } from './step.js';

const parameters = z.strictObject({
  n_components: z.int().min(1).max(65_536).default(2).meta({ description: 'Components.' }),
  whiten: z.boolean().default(false).meta({ description: 'Components have variance 1.' }),
});

export const pcaStep: PrepareStep = {
  name: 'pca',
  description: 'Replaces columns by their principal components.',
  main: 'n_components',
  parameters,
  apply: (all, given, { y }) => {
    const { n_components: k, whiten } = given as z.output<typeof parameters>;
    return all.map((columns) => {
      requireComplete(columns, 'pca');
      if (k > columns.width) {
        throw invalid('pca', `n_components of at most ${columns.width} columns`, String(k));
      }
      const { count, mean, scatter } = columns.moments(y);
      const system = scatter.eigen();
      const vectors = system.slice(null, [1, k + 1]);
      const own = columns.scaled(mean.t(), null).mixed(vectors);
      if (!whiten) return own;
      const variances = system.slice([0, k], 0).div(count.sub(1)).maximum(Number.EPSILON);
      return own.scaled(null, variances.t().sqrt());
    });
  },
};
