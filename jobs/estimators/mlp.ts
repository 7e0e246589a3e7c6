/**
 * Multilayer perceptrons: networks of fully connected layers, trained by gradient descent on
 * mini-batches (scikit-learn's `MLPClassifier` and `MLPRegressor`, solvers `adam` and `sgd`).
 * Models of one shape train together, whatever else they differ in by numbers, seeds among them.
 */
import * as z from 'zod';
import { adam, type Optimiser, sgd } from '../../driver/index.js';
import type { Params, RowEstimator, Task } from './estimator.js';
import {
  classLink,
  type FitNumbers,
  fitNetwork,
  lossOf,
  outputsOf,
  share,
  sizesOf,
  TRAINING_NUMBERS,
  trainingEnds,
  trainingOf,
  trainingParameters,
  units,
} from './networks/fit.js';
import { layersOfNetwork, perceptron, type TrainableNetwork } from './networks/layer-list.js';

const parameters = z.strictObject({
  hidden_layer_sizes: z
    .union([units, z.array(units).min(1).max(32)])
    .default(100)
    .meta({ description: 'Units of each hidden layer.' }),
  activation: z.enum(['identity', 'logistic', 'tanh', 'relu']).default('relu').meta({
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
  ...trainingParameters,
  momentum: share.default(0.9).meta({ description: 'Of `sgd`: share of the last step.' }),
  nesterovs_momentum: z.boolean().default(true).meta({
    description: 'Of `sgd`: the gradient is as if that share were taken before.',
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

/** A perceptron of so many columns and outputs. */
function networkOf(params: MlpParams, columns: number, outputs: number): TrainableNetwork {
  const { hidden_layer_sizes: sizes, activation } = params;
  return perceptron(columns, sizesOf(sizes), activation, outputs);
}

function optimiserOf(
  { solver, nesterovs_momentum: nesterov, epsilon }: MlpParams,
  numbers: FitNumbers,
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
    outputs: (_, classes) => outputsOf(classes),
    network: (params, classes, columns) => {
      return layersOfNetwork(networkOf(mlpParams(params), columns, outputsOf(classes)));
    },
    reads: 'rows',
    version: 2,
    stacked: [
      ...['alpha', 'learning_rate_init', 'power_t', ...TRAINING_NUMBERS],
      ...['momentum', 'beta_1', 'beta_2'],
    ],
    fitsWide: () => true,
    ends: trainingEnds('learning_rate_init'),
    train: (rows, numbers, params) => {
      const own = mlpParams(params);
      return fitNetwork(rows, {
        ...trainingOf(rows, own),
        network: networkOf(own, rows.design.columns, outputsOf(rows.classes)),
        loss: lossOf(rows.classes),
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
    },
  };
}

function mlpParams(params: Params): MlpParams {
  return params as unknown as MlpParams;
}

export const mlpClassifier = mlp({
  name: 'mlp-classifier',
  description: 'Multilayer perceptron: a network of fully connected layers, for classes.',
  task: 'classification',
  link: classLink,
});

export const mlpRegressor = mlp({
  name: 'mlp-regressor',
  description: 'Multilayer perceptron: a network of fully connected layers, for numbers.',
  task: 'regression',
  link: () => 'identity',
});
