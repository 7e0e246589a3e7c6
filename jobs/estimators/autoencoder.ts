/**
 * Autoencoders: networks that say their columns again through a narrow layer, whose values are the
 * code of a row. Fits are by the mean squared difference of columns as the model sees them (imputed,
 * standardised); scores are the negative squared distance, as those of other decompositions.
 * Source: Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks"
 * (Science 2006), trained by gradient descent from the start.
 */
import * as z from 'zod';
import type { Params, RowEstimator } from './estimator.js';
import { DESCENT_NUMBERS, descentOf, dropoutRate, gradientParameters } from './networks/descent.js';
import { fitNetwork, sizesOf, trainingEnds, units } from './networks/fit.js';
import {
  KERAS_ACTIVATIONS,
  layersOfNetwork,
  OURS,
  type TrainableNetwork,
  type TrainedLayer,
} from './networks/layer-list.js';

const parameters = z.strictObject({
  hidden_layer_sizes: z
    .union([units, z.array(units).min(1).max(31)])
    .default([100, 10, 100])
    .meta({ description: 'Units of each hidden layer; the (first) narrowest is the code.' }),
  activation: z.enum(KERAS_ACTIVATIONS).default('tanh').meta({
    description: 'What hidden units make of their decision values.',
  }),
  dropout: dropoutRate.unwrap().default(0).meta({
    description: 'Share of the units of each hidden layer but the code that a step leaves out.',
  }),
  ...gradientParameters,
});
type AutoencoderParams = z.output<typeof parameters>;

/** The hidden layer that is the code. */
function codeOf(params: AutoencoderParams): number {
  const sizes = sizesOf(params.hidden_layer_sizes);
  return sizes.indexOf(Math.min(...sizes));
}

function networkOf(params: AutoencoderParams, columns: number): TrainableNetwork {
  const sizes = sizesOf(params.hidden_layer_sizes);
  const code = codeOf(params);
  const hidden = sizes.flatMap((own, l): TrainedLayer[] => {
    const dense = { kind: 'dense', inputs: sizes[l - 1] ?? columns, units: own } as const;
    const active = { kind: 'activation', activation: OURS[params.activation] } as const;
    const drops = { kind: 'dropout', rate: undefined, columns: own } as const;
    return l === code ? [dense, active] : [dense, active, drops];
  });
  return { layers: [...hidden, { kind: 'dense', inputs: sizes.at(-1)!, units: columns }] };
}

const ownParams = (params: Params) => params as unknown as AutoencoderParams;

export const autoencoder: RowEstimator = {
  name: 'autoencoder',
  description: 'Autoencoder: a network that says the columns again through a narrow layer.',
  solver: 'mini-batches, Adam or gradient descent',
  parameters,
  task: 'decomposition',
  lists: ['hidden_layer_sizes'],
  link: () => 'identity',
  outputs: (_params, _classes, columns) => columns,
  projects: () => 'rows',
  network: (params, _, columns) => layersOfNetwork(networkOf(ownParams(params), columns)),
  // Each hidden layer is weights, then an activation.
  codeLayers: (params) => 2 * (codeOf(ownParams(params)) + 1),
  reads: 'rows',
  version: 2,
  stacked: DESCENT_NUMBERS,
  fitsWide: () => true,
  ends: trainingEnds('learning_rate'),
  train: (rows, numbers, params) => {
    const own = ownParams(params);
    return fitNetwork(rows, {
      ...descentOf(rows, own, numbers),
      network: networkOf(own, rows.design.columns),
      loss: 'reconstruction',
    });
  },
};
