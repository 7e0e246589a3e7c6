/**
 * What estimators that are networks share: parameters of training, how training ends, and the fit
 * that is made of trained layers.
 */
import * as z from 'zod';
import { ConfigError, type Matrix } from '../../../driver/index.js';
import type { Fit, RowData, RowEstimator } from '../estimator.js';
import { failsAtNaN } from '../solvers/row-fit.js';
import { encodedLayer } from './forward.js';
import { layersOfNetwork } from './layer-list.js';
import { firstUnits, flattened, packed } from './layers.js';
import { trainNetwork } from './train.js';
import type { Training } from './training.js';

export const share = z.number().min(0).lt(1);
/** Units of a layer. */
export const units = z.int().min(1).max(65_536);

/** How long to train and on what, of every network. */
export const trainingParameters = {
  max_iter: z.int().min(1).max(1_000_000).default(200).meta({ description: 'Most epochs.' }),
  shuffle: z.boolean().default(true).meta({
    description: 'Each epoch takes the rows in another order.',
  }),
  random_state: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .meta({ description: 'Seed of the first weights, of the orders and of what is dropped.' }),
  tol: z.number().nonnegative().default(1e-4).meta({
    description: 'A loss, or score, counts as better that is so by more than this.',
  }),
  n_iter_no_change: z.int().min(1).max(1_000_000).default(10).meta({
    description: 'Epochs without a better loss, or score, before training ends.',
  }),
  early_stopping: z.boolean().default(false).meta({
    description:
      'Rows are held out, whose score says when to end; the layers of the best epoch are kept.',
  }),
  validation_fraction: z.number().gt(0).lt(1).default(0.1).meta({
    description: 'Of `early_stopping`: share of the rows that is held out.',
  }),
};

const training = z.strictObject(trainingParameters);
export type TrainingParams = z.output<typeof training>;

/** What of these numbers may differ between models that train together. */
export const TRAINING_NUMBERS = ['random_state', 'tol'] as const;

export const AUTO_ROWS = 200;

/** What the trainer is told of them. */
export function trainingOf(
  { X }: RowData,
  params: TrainingParams & { readonly batch_size: number | 'auto' },
): Pick<Training, 'batchRows' | 'shuffles' | 'maxEpochs' | 'patience' | 'validation'> {
  const size = params.batch_size === 'auto' ? AUTO_ROWS : params.batch_size;
  return {
    batchRows: Math.min(size, X.rows),
    shuffles: params.shuffle,
    maxEpochs: params.max_iter,
    patience: params.n_iter_no_change,
    ...(params.early_stopping ? { validation: params.validation_fraction } : {}),
  };
}

/** How training ended, in words. @param rate the parameter that is the rate at first */
export function trainingEnds(rate: string): NonNullable<RowEstimator['ends']> {
  return (params) => ({
    warn: (ending, limit = 'max_iter') =>
      ending === 0
        ? undefined
        : `expected a loss that stands still, got one that still falls after ${params.max_iter} epochs (${limit}); raise ${limit} or ${rate}`,
    fails: failsAtNaN(
      `expected a finite loss, got one beyond numbers; lower ${rate} or scale the columns (data.standardize)`,
    ),
  });
}

/** @throws ConfigError for columns that have to be changed before a network that begins at them */
export async function fitNetwork(rows: RowData, training: Training): Promise<Fit> {
  const { X, design } = rows;
  const layers = layersOfNetwork(training.network);
  const isLinear = firstUnits(layers) > 0;
  const probe = design.rows(X);
  if (!isLinear && probe !== X) {
    throw new ConfigError(
      'model.layers: expected columns as they are before a network that does not begin with `dense`, got standardised or imputed ones; say `standardize: false` and begin with `rescaling` or `batch_norm`, and give features an `impute` that is a number',
      { key: 'model.layers' },
    );
  }
  const { layers: trained, isConverged, loss } = await trainNetwork(rows, training);
  const matrices = trained.map((layer) => layer.cast('float64'));
  const [first, after] = isLinear ? [matrices[0], matrices.slice(1)] : [undefined, matrices];
  const last = after.length - 1;
  const inUnits =
    training.loss === 'reconstruction'
      ? after.map((own, l) => (l === last ? design.restored(own) : own))
      : after;
  const hasLoss = loss.sub(loss).eq(0);
  const encoded = first && encodedLayer(design, first, X.cols);
  return {
    weights: packed(X.cols + 1, encoded, after),
    outputs: { ...(first && design.outputs(first)), layers: flattened(inUnits) },
    ending: hasLoss.ifelse(isConverged.not(), Number.NaN),
  };
}

/** Decision values of so many classes: one for two of them. */
export function outputsOf(classes: number): number {
  return classes <= 2 ? 1 : classes;
}

export const classLink: RowEstimator['link'] = (_, classes) =>
  classes === 2 ? 'logit' : 'softmax';

/** Units of each hidden layer, of which one may be said as a number. */
export function sizesOf(sizes: number | readonly number[]): readonly number[] {
  return typeof sizes === 'number' ? [sizes] : sizes;
}

export function lossOf(classes: number): Training['loss'] {
  if (classes === 0) return 'squared';
  return classes === 2 ? 'binary' : 'classes';
}

/** Numbers of the trainer by the parameters they are. */
export type FitNumbers = Readonly<Record<string, Matrix>>;
