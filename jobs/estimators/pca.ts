/**
 * Principal components (scikit-learn's `PCA`, solver covariance_eigh): projections of the centred
 * columns on the eigenvectors of their covariance, the greatest eigenvalues first, from moments. The
 * largest component of an eigenvector is positive, as there. `svd` is the same about the origin.
 */
import * as z from 'zod';
import { ConfigError, type Matrix } from '../../driver/index.js';
import type { Fit, MomentEstimator, Params } from './estimator.js';
import {
  type ColumnMoments,
  columnScales,
  preparedMoments,
  type TrainingRows,
} from './linear-design.js';

const components = z.int().min(1).max(65_536).default(2).meta({ description: 'Components.' });

export const pca: MomentEstimator = projection({
  name: 'pca',
  description: 'Principal components.',
  solver: 'eigenvectors of the covariance',
  parameters: z.strictObject({
    n_components: components,
    whiten: z.boolean().default(false).meta({ description: 'Components have variance 1.' }),
  }),
  isCentered: true,
});

export const svd: MomentEstimator = projection({
  name: 'svd',
  description: "Truncated singular value decomposition: scikit-learn's `TruncatedSVD`.",
  solver: 'eigenvectors of the Gram matrix',
  parameters: z.strictObject({ n_components: components }),
  isCentered: false,
});

interface Projection {
  readonly name: string;
  readonly description: string;
  readonly solver: string;
  readonly parameters: z.ZodObject;
  /** Whether the origin is the mean. */
  readonly isCentered: boolean;
}

function projection({ isCentered, ...own }: Projection): MomentEstimator {
  return {
    ...own,
    task: 'decomposition',
    takesWeights: false,
    reads: 'moments',
    link: () => 'identity',
    outputs: ({ n_components }) => n_components as number,
    projects: ({ whiten }) => {
      if (whiten) return 'nowhere';
      return isCentered ? 'about the mean' : 'about the origin';
    },
    centers: () => true,
    fit: (rows, params) => project(rows, params, isCentered),
  };
}

function project(rows: TrainingRows, params: Params, isCentered: boolean): Fit {
  const moments = preparedMoments(rows);
  const { map, imputed, count, mean } = moments;
  const scales = rows.standardize ? columnScales(moments) : null;
  const hasOrigin = !isCentered && scales === null;
  const d = mean.rows;
  const { n_components, whiten = false } = params as { n_components: number; whiten?: boolean };
  if (n_components > d) {
    throw new ConfigError(
      `n_components: expected at most as many as columns (${d}), got ${n_components}`,
      { key: 'model.n_components', value: n_components },
    );
  }
  const system = squares(moments, scales, hasOrigin).eigen();
  const vectors = system.slice(null, [1, n_components + 1]);
  // The covariance of a component is its eigenvalue over rows less one.
  const variances = system.slice([0, n_components], 0).div(count.sub(1));
  const scaled = whiten ? vectors.div(variances.t().maximum(Number.EPSILON).sqrt()) : vectors;
  const coefficients = scales === null ? scaled : scaled.div(scales.t());
  const intercept = hasOrigin ? coefficients.colSums().mul(0) : mean.t().matmul(coefficients).neg();
  return {
    weights: (map === null ? coefficients : map.matmul(coefficients)).rbind(intercept),
    outputs: { coefficients, intercept, ...(imputed ? { imputed } : {}) },
  };
}

/** Sums of products of the prepared columns. */
function squares(moments: ColumnMoments, scales: Matrix | null, hasOrigin: boolean): Matrix {
  const { scatter, mean, count } = moments;
  if (hasOrigin) return scatter.add(mean.mul(count).matmul(mean.t()));
  return scales === null ? scatter : scatter.div(scales).div(scales.t());
}
