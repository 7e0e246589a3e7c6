/** Optimisers of networks whose layers a job lists, with Keras' names; steps are PyTorch's. */
import * as z from 'zod';
import { adam, adamW, type Optimiser, sgd } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { type FitNumbers, share, TRAINING_NUMBERS, trainingOf, trainingParameters } from './fit.js';
import type { Training } from './training.js';

export const gradientParameters = {
  optimizer: z.enum(['adam', 'adamw', 'sgd']).default('adam').meta({
    description: 'Adam, Adam with decay of the weights, or gradient descent with momentum.',
  }),
  learning_rate: z.number().positive().default(0.001).meta({ description: 'The rate at first.' }),
  learning_rate_decay: z.number().gt(0).max(1).default(1).meta({
    description: 'What the rate is multiplied by after an epoch.',
  }),
  momentum: share.default(0).meta({ description: 'Of `sgd`: share of the last step.' }),
  nesterov: z.boolean().default(false).meta({
    description: 'Of `sgd`: the gradient is as if that share were taken before.',
  }),
  beta_1: share.default(0.9).meta({
    description: 'Of `adam` and `adamw`: share of the last mean of gradients that is kept.',
  }),
  beta_2: share.default(0.999).meta({
    description: 'Of `adam` and `adamw`: the same of their squares.',
  }),
  epsilon: z.number().positive().default(1e-8).meta({
    description: 'Of `adam` and `adamw`: added to the root of the mean of squares.',
  }),
  weight_decay: z.number().nonnegative().default(0.01).meta({
    description: 'Of `adamw`: share of the weights that a step of rate 1 takes away.',
  }),
  batch_size: z.int().min(1).max(1_000_000).default(32).meta({ description: 'Rows of a step.' }),
  ...trainingParameters,
  max_iter: trainingParameters.max_iter.unwrap().default(20).meta({ description: 'Most epochs.' }),
};

const descent = z.strictObject(gradientParameters);
type DescentParams = z.output<typeof descent>;

export const DESCENT_NUMBERS: readonly string[] = [
  ...['learning_rate', 'learning_rate_decay', 'momentum', 'beta_1', 'beta_2', 'weight_decay'],
  ...['dropout', ...TRAINING_NUMBERS],
];

export const dropoutRate = share.default(0.25);

/** How a network is trained by these parameters. */
export function descentOf(
  rows: RowData,
  params: DescentParams,
  numbers: FitNumbers,
): Omit<Training, 'network' | 'loss'> {
  return {
    ...trainingOf(rows, params),
    optimiser: optimiserOf(params, numbers),
    rates: 'exponential',
    numbers: {
      rate: numbers.learning_rate!,
      decay: numbers.learning_rate_decay!,
      dropout: numbers.dropout!,
      tolerance: numbers.tol!,
      seed: numbers.random_state!,
    },
  };
}

function optimiserOf({ optimizer, nesterov, epsilon }: DescentParams, own: FitNumbers): Optimiser {
  if (optimizer === 'sgd') return sgd({ momentum: own.momentum!, nesterov });
  const betas = { beta1: own.beta_1!, beta2: own.beta_2!, epsilon };
  return optimizer === 'adam' ? adam(betas) : adamW({ ...betas, weightDecay: own.weight_decay! });
}
