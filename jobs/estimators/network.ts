/**
 * Networks by a list of layers: `network-classifier` and `network-regressor` as a job lists them, and
 * `cnn`, a list of convolutions for images that a few parameters make. The last layer, of as many
 * outputs as the target asks for, is added. Models that differ in numbers alone, rates of dropout
 * among them, train together.
 */
import * as z from 'zod';
import { ConfigError } from '../../driver/index.js';
import type { Params, RowEstimator, Task } from './estimator.js';
import { DESCENT_NUMBERS, descentOf, dropoutRate, gradientParameters } from './networks/descent.js';
import { classLink, fitNetwork, lossOf, outputsOf, trainingEnds, units } from './networks/fit.js';
import {
  type ImageInput,
  imageInput,
  KERAS_ACTIVATIONS,
  type LayerList,
  layerList,
  layersOfNetwork,
  listedNetwork,
  type TrainableNetwork,
} from './networks/layer-list.js';

const listed = z.strictObject({
  layers: layerList.default([{ dense: { units: 64, activation: 'relu' } }]).meta({
    description: 'Layers in their order, each `name: settings`; see docs/networks.md.',
  }),
  input: z.union([imageInput, z.null()]).default(null).meta({
    description:
      'Where rows are images: their height, width and channels, pixel by pixel; null: columns.',
  }),
  dropout: dropoutRate.meta({ description: 'Rate of `dropout` layers that say none.' }),
  ...gradientParameters,
});

const convolutions = z.strictObject({
  input: z.union([imageInput, z.null()]).default(null).meta({
    description: 'Height, width and channels of images, which rows are pixel by pixel; required.',
  }),
  filters: z
    .array(units)
    .min(1)
    .max(12)
    .default([32, 64])
    .meta({ description: 'Filters of each convolution; a pool of 2 by 2 follows each.' }),
  kernel_size: units.default(3).meta({ description: 'Height and width of filters.' }),
  dense: units.default(64).meta({ description: 'Units of the fully connected layer.' }),
  activation: z.enum(KERAS_ACTIVATIONS).default('relu').meta({
    description: 'What units and filters make of their decision values.',
  }),
  dropout: dropoutRate.meta({ description: 'Share of those units that a step leaves out.' }),
  ...gradientParameters,
});

type ListedParams = z.output<typeof listed>;
type CnnParams = z.output<typeof convolutions>;

function layersOfCnn({ filters, kernel_size, dense, activation }: CnnParams): LayerList {
  return [
    ...filters.flatMap(
      (own): LayerList => [
        { conv2d: { filters: own, kernel_size, padding: 'same', activation } },
        { max_pool: 2 },
      ],
    ),
    'flatten',
    { dense: { units: dense, activation } },
    'dropout',
  ];
}

interface Facts extends Pick<RowEstimator, 'name' | 'alias' | 'description' | 'link'> {
  readonly task: Task;
  readonly parameters: z.ZodObject;
  readonly lists: readonly string[];
  readonly list: (params: Params) => {
    readonly layers: LayerList;
    readonly input: ImageInput | null;
  };
}

function network({ list, ...facts }: Facts): RowEstimator {
  const networkOf = (params: Params, columns: number, classes: number): TrainableNetwork => {
    const { layers, input } = list(params);
    return listedNetwork(layers, input, columns, outputsOf(classes));
  };
  return {
    ...facts,
    solver: 'mini-batches, Adam or gradient descent',
    outputs: (_, classes) => outputsOf(classes),
    network: (params, classes, columns) => layersOfNetwork(networkOf(params, columns, classes)),
    reads: 'rows',
    version: 2,
    stacked: DESCENT_NUMBERS,
    fitsWide: () => true,
    ends: trainingEnds('learning_rate'),
    train: (rows, numbers, params) => {
      const { classes, design } = rows;
      return fitNetwork(rows, {
        ...descentOf(rows, params as unknown as ListedParams, numbers),
        network: networkOf(params, design.columns, classes),
        loss: lossOf(classes),
      });
    },
  };
}

const asListed = (params: Params) => params as unknown as ListedParams;

export const networkClassifier = network({
  name: 'network-classifier',
  alias: 'network',
  description: 'A network of the layers that are listed, for classes.',
  task: 'classification',
  parameters: listed,
  lists: ['layers', 'input'],
  link: classLink,
  list: asListed,
});

export const networkRegressor = network({
  name: 'network-regressor',
  description: 'A network of the layers that are listed, for numbers.',
  task: 'regression',
  parameters: listed,
  lists: ['layers', 'input'],
  link: () => 'identity',
  list: asListed,
});

export const cnn = network({
  name: 'cnn',
  description:
    'Convolutional network: filters of images, then fully connected layers, for classes.',
  task: 'classification',
  parameters: convolutions,
  lists: ['filters', 'input'],
  link: classLink,
  list: (params) => {
    const own = params as unknown as CnnParams;
    if (own.input === null) {
      throw new ConfigError(
        'model.input: expected height, width and channels of the images, got nothing; say input: {height: .., width: .., channels: ..}',
        { key: 'model.input' },
      );
    }
    return { layers: layersOfCnn(own), input: own.input };
  },
});
