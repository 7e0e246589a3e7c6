/**
 * Multilayer perceptrons: networks of fully connected layers, trained by gradient descent on
 * mini-batches (scikit-learn's `MLPClassifier` and `MLPRegressor`, solvers `adam` and `sgd`).
 * Models of one shape train together, whatever else they differ in by numbers, seeds among them.
 */
import { z } from 'zod';
import { adam, type Matrix, type Optimiser, sgd } from '../../driver/index.js';
import type { Fit, Params, RowData, RowEstimator, Task } from './estimator.js';
import { ACTIVATIONS, flattened, type Perceptron, packed } from './networks/layers.js';
import { encodedLayer, type NetworkLoss, trainNetwork } from './networks/train.js';
import { failsAtNaN } from './solvers/row-fit.js';

const units = z.int().min(1).max(65_536);
const share = z.number().min(0).lt(1);

const parameters = z.strictObject({
  hidden_layer_sizes: z
    .union([units, z.array(units).min(1).max(32)])
    .default(100)
    .meta({ description: 'Units of each hidden layer.' }),
  activation: z.enum(ACTIVATIONS).default('relu').meta({
    description: 'What hidden units make of their decision values.',
  }),
  solver: z.enum(['adam', 'sgd']).default('adam').meta({
    description: 'The optimiser: Adam, or gradient descent with momentum.',
  }),
  alpha: z.number().nonnegative().default(0.0001).meta({
    description: 'Weight of the penalty on half the squares of the weights.',
  }),
  batch_size: z
    .union([z.literal('auto'), z.int().min(1).max(1_000_000)])
    .default('auto')
    .meta({ description: 'Rows of a step; `auto`: 200, or all if they are fewer.' }),
  learning_rate: z.enum(['constant', 'invscaling', 'adaptive']).default('constant').meta({
    description:
      'Of `sgd`: the rate stays, falls with the rows seen to the power of `power_t`, or is divided by 5 where the loss stands still.',
  }),
  learning_rate_init: z.number().positive().default(0.001).meta({
    description: 'The rate at first.',
  }),
  power_t: z.number().default(0.5).meta({ description: 'Of `learning_rate: invscaling`.' }),
  max_iter: z.int().min(1).max(1_000_000).default(200).meta({ description: 'Most epochs.' }),
  shuffle: z.boolean().default(true).meta({
    description: 'Each epoch takes the rows in another order.',
  }),
  random_state: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .meta({ description: 'Seed of the first weights and of the orders.' }),
  tol: z.number().nonnegative().default(1e-4).meta({
    description: 'A loss counts as better that is so by more than this.',
  }),
  momentum: share.default(0.9).meta({ description: 'Of `sgd`: share of the last step.' }),
  nesterovs_momentum: z.boolean().default(true).meta({
    description: 'Of `sgd`: the gradient is as if that share were taken before.',
  }),
  n_iter_no_change: z.int().min(1).max(1_000_000).default(10).meta({
    description: 'Epochs without a better loss before training ends.',
  }),
  beta_1: share.default(0.9).meta({
    description: 'Of `adam`: share of the last mean of gradients that is kept.',
  }),
  beta_2: share.default(0.999).meta({ description: 'Of `adam`: the same of their squares.' }),
  epsilon: z.number().positive().default(1e-8).meta({
    description: 'Of `adam`: added to the root of the mean of squares.',
  }),
});
type MlpParams = z.output<typeof parameters>;

const STACKED = [
  ...['alpha', 'learning_rate_init', 'power_t', 'random_state', 'tol'],
  ...['momentum', 'beta_1', 'beta_2'],
] as const;

const AUTO_ROWS = 200;

function networkOf(params: Params, outputs: number): Perceptron {
  const { hidden_layer_sizes: sizes, activation } = params as unknown as MlpParams;
  return { activation, hidden: typeof sizes === 'number' ? [sizes] : sizes, outputs };
}

/** One output for two classes, or one a class. */
function outputsOf(classes: number): number {
  return classes <= 2 ? 1 : classes;
}

function lossOf(classes: number): NetworkLoss {
  if (classes === 0) return 'squared';
  return classes === 2 ? 'binary' : 'classes';
}

function optimiserOf(
  { solver, nesterovs_momentum: nesterov, epsilon }: MlpParams,
  numbers: Readonly<Record<string, Matrix>>,
): Optimiser {
  if (solver === 'sgd') return sgd({ momentum: numbers.momentum!, nesterov });
  const betas = { beta1: numbers.beta_1!, beta2: numbers.beta_2! };
  return adam({ ...betas, epsilon, addsEarly: true });
}

function mlp(
  facts: Pick<RowEstimator, 'name' | 'description' | 'link'> & { readonly task: Task },
): RowEstimator {
  return {
    ...facts,
    solver: 'mini-batches, Adam or gradient descent',
    parameters,
    lists: ['hidden_layer_sizes'],
    takesWeights: false,
    outputs: (_, classes) => outputsOf(classes),
    network: (params, classes) => networkOf(params, outputsOf(classes)),
    reads: 'rows',
    version: 1,
    stacked: STACKED,
    fitsWide: () => true,
    ends: (params) => {
      const { max_iter } = params as unknown as MlpParams;
      return {
        warn: (ending, limit = 'max_iter') =>
          ending === 0
            ? undefined
            : `expected a loss that stands still, got one that still falls after ${max_iter} epochs (${limit}); raise ${limit} or learning_rate_init`,
        fails: failsAtNaN(
          'expected a finite loss, got one beyond numbers; lower learning_rate_init or scale the columns (data.standardize)',
        ),
      };
    },
    train: (rows, numbers, params) => fitNetwork(rows, numbers, params),
  };
}

async function fitNetwork(
  rows: RowData,
  numbers: Readonly<Record<string, Matrix>>,
  params: Params,
): Promise<Fit> {
  const own = params as unknown as MlpParams;
  const { X, design, classes } = rows;
  const network = networkOf(params, outputsOf(classes));
  const size = own.batch_size === 'auto' ? AUTO_ROWS : own.batch_size;
  const { layers, isConverged, loss } = await trainNetwork(rows, {
    network,
    loss: lossOf(classes),
    batchRows: Math.min(size, X.rows),
    shuffles: own.shuffle,
    maxEpochs: own.max_iter,
    patience: own.n_iter_no_change,
    optimiser: optimiserOf(own, numbers),
    rates: own.solver === 'sgd' ? own.learning_rate : 'constant',
    numbers: {
      alpha: numbers.alpha!,
      rate: numbers.learning_rate_init!,
      exponent: numbers.power_t!,
      tolerance: numbers.tol!,
      seed: numbers.random_state!,
    },
  });
  const [first, ...after] = layers.map((layer) => layer.cast('float64'));
  const hasLoss = loss.sub(loss).eq(0);
  return {
    weights: packed(encodedLayer(design, first!, X.cols), after),
    outputs: { ...design.outputs(first!), layers: flattened(after) },
    ending: hasLoss.ifelse(isConverged.not(), Number.NaN),
  };
}

export const mlpClassifier = mlp({
  name: 'mlp-classifier',
  description: 'Multilayer perceptron: a network of fully connected layers, for classes.',
  task: 'classification',
  link: (_, classes) => (classes === 2 ? 'logit' : 'softmax'),
});

export const mlpRegressor = mlp({
  name: 'mlp-regressor',
  description: 'Multilayer perceptron: a network of fully connected layers, for numbers.',
  task: 'regression',
  link: () => 'identity',
});
