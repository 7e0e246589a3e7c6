/**
 * Layers as job files list them, with Keras' names, and the network they make of so many columns:
 * every layer with its shape. Invariant: a network that is made trains; what does not fit is refused
 * by the layer's place in the list.
 */
import * as z from 'zod';
import { ConfigError, PlanError } from '../../../driver/index.js';
import { type Padding, paddingOf } from '../../../driver/matrix/images.js';
import { windowOf } from '../../../driver/operators/image-window.js';
import {
  type Augmentation,
  flipOf,
  randomFlip,
  randomTranslation,
  translationOf,
} from './augmentation.js';
import type { Activation, NetworkLayer, Over } from './layers.js';

/** A layer as it is trained. */
export type TrainedLayer =
  | Exclude<NetworkLayer, { readonly kind: 'scale' }>
  /** By channel; moments of a batch while it trains, kept ones afterwards. */
  | {
      readonly kind: 'batch_norm';
      readonly channels: number;
      readonly pixels: number;
      readonly momentum: number;
      readonly epsilon: number;
    }
  /** Undefined: each model's own rate. */
  | { readonly kind: 'dropout'; readonly rate: number | undefined; readonly columns: number }
  | Augmentation
  | { readonly kind: 'rescaling'; readonly scale: number; readonly offset: number };

/** The shape of a network: its layers, the last fully connected. */
export interface TrainableNetwork {
  readonly layers: readonly TrainedLayer[];
}

/** Layers in a job file. */
export const KERAS_ACTIVATIONS = ['linear', 'sigmoid', 'tanh', 'relu', 'gelu'] as const;
type KerasActivation = (typeof KERAS_ACTIVATIONS)[number];
export const OURS: Readonly<Record<KerasActivation, Activation>> = {
  linear: 'identity',
  sigmoid: 'logistic',
  tanh: 'tanh',
  relu: 'relu',
  gelu: 'gelu',
};

const count = z.int().min(1).max(65_536);
const extent = z.union([count, z.tuple([count, count])]);
const activation = z.enum(KERAS_ACTIVATIONS).optional();
const padding = z.enum(['valid', 'same']).optional();
const rate = z.number().min(0).lt(1);
const epsilon = z.number().positive().optional();
const pool = z.union([
  extent,
  z.strictObject({ pool_size: extent.optional(), strides: extent.optional(), padding }),
]);
/** A layer of which nothing has to be said. */
const bare = z.union([z.null(), z.strictObject({})]);

const one = z.union(
  [
    z.enum(['flatten', 'dropout', 'batch_norm', 'layer_norm', 'global_avg_pool', 'random_flip']),
    z.strictObject({
      conv2d: z.strictObject({
        filters: count,
        kernel_size: extent,
        strides: extent.optional(),
        padding,
        groups: count.optional(),
        activation,
      }),
    }),
    z.strictObject({
      depthwise_conv2d: z.strictObject({
        kernel_size: extent,
        strides: extent.optional(),
        padding,
        depth_multiplier: count.optional(),
        activation,
      }),
    }),
    z.strictObject({ max_pool: pool }),
    z.strictObject({ avg_pool: pool }),
    z.strictObject({ global_avg_pool: bare }),
    z.strictObject({
      batch_norm: z.union([z.null(), z.strictObject({ momentum: rate.optional(), epsilon })]),
    }),
    z.strictObject({ layer_norm: z.union([z.null(), z.strictObject({ epsilon })]) }),
    z.strictObject({ dropout: z.union([rate, bare]) }),
    z.strictObject({ flatten: bare }),
    z.strictObject({ dense: z.union([count, z.strictObject({ units: count, activation })]) }),
    z.strictObject({ activation: z.enum(KERAS_ACTIVATIONS) }),
    z.strictObject({
      rescaling: z.strictObject({ scale: z.number(), offset: z.number().optional() }),
    }),
    z.strictObject({ random_flip: randomFlip }),
    z.strictObject({ random_translation: randomTranslation }),
  ],
  {
    error:
      'expected a layer: conv2d, depthwise_conv2d, max_pool, avg_pool, global_avg_pool, batch_norm, layer_norm, dropout, flatten, dense, activation, rescaling, random_flip or random_translation with its settings',
  },
);

/** So many that each has seeds of its own. */
export const layerList = z
  // One definition, wherever a job file may have layers.
  .array(one.meta({ id: 'networkLayer' }))
  .min(1)
  .max(60);
export type LayerList = z.output<typeof layerList>;

export const imageInput = z.strictObject({ height: count, width: count, channels: count });
export type ImageInput = z.output<typeof imageInput>;

interface Size {
  readonly columns: number;
  /** Absent where cells are no pixels, or no longer. */
  readonly image?: Over['image'];
}

/**
 * The network of a list, with a fully connected layer of so many outputs at the end.
 * @param columns of the design
 * @throws ConfigError for a layer that does not fit what comes before it
 */
export function listedNetwork(
  list: LayerList,
  input: ImageInput | null,
  columns: number,
  outputs: number,
): TrainableNetwork {
  let size: Size = { columns };
  if (input !== null) {
    const { height, width, channels } = input;
    const cells = height * width * channels;
    if (cells !== columns) {
      throw new ConfigError(
        `model.input: expected as many cells as columns (${columns}), got ${height} x ${width} x ${channels} = ${cells}`,
        { key: 'model.input', value: cells },
      );
    }
    size = { columns, image: [height, width, channels] };
  }
  const layers: TrainedLayer[] = [];
  for (const [place, given] of list.entries()) {
    const [name, settings] = typeof given === 'string' ? [given, null] : Object.entries(given)[0]!;
    const made = MAKERS[name as LayerName](settings as never, size, place);
    layers.push(...made.layers);
    ({ size } = made);
  }
  return { layers: [...layers, { kind: 'dense', inputs: size.columns, units: outputs }] };
}

interface Made {
  readonly layers: readonly TrainedLayer[];
  readonly size: Size;
}

type Named = Exclude<LayerList[number], string>;
type LayerName = Named extends infer L ? (L extends object ? keyof L : never) : never;
type Settings<N extends LayerName> = Extract<Named, Readonly<Record<N, unknown>>>[N];
type Makers = {
  readonly [N in LayerName]: (settings: Settings<N>, size: Size, place: number) => Made;
};

const MAKERS: Makers = {
  conv2d: (settings, size, place) => convolution('conv2d', settings, size, place),
  depthwise_conv2d: ({ depth_multiplier = 1, ...settings }, size, place) => {
    const channels = size.image?.[2] ?? 1;
    const own = { ...settings, filters: channels * depth_multiplier, groups: channels };
    return convolution('depthwise_conv2d', own, size, place);
  },
  max_pool: (settings, size, place) => pooling('max_pool', settings, size, place),
  avg_pool: (settings, size, place) => pooling('avg_pool', settings, size, place),
  global_avg_pool: (_, size, place) => {
    const { image } = size;
    const whole = image ? ([image[0], image[1]] as [number, number]) : 1;
    return pooling('avg_pool', whole, size, place);
  },
  batch_norm: (settings, size) => {
    const { momentum = 0.99, epsilon = 1e-3 } = settings ?? {};
    return { layers: [{ kind: 'batch_norm', ...pixelsOf(size), momentum, epsilon }], size };
  },
  layer_norm: (settings, size) => {
    const { epsilon = 1e-3 } = settings ?? {};
    return { layers: [{ kind: 'layer_norm', ...pixelsOf(size), epsilon }], size };
  },
  dropout: (settings, size) => ({
    layers: [
      {
        kind: 'dropout',
        rate: typeof settings === 'number' ? settings : undefined,
        columns: size.columns,
      },
    ],
    size,
  }),
  flatten: (_, { columns }) => ({ layers: [], size: { columns } }),
  dense: (settings, { columns }) => {
    const { units, activation: own } =
      typeof settings === 'number' ? { units: settings } : settings;
    const layer: TrainedLayer = { kind: 'dense', inputs: columns, units };
    return { layers: [layer, ...activationOf(own)], size: { columns: units } };
  },
  activation: (own, size) => ({ layers: activationOf(own), size }),
  rescaling: ({ scale, offset = 0 }, size) => ({
    layers: [{ kind: 'rescaling', scale, offset }],
    size,
  }),
  random_flip: (mode, size, place) => ({
    layers: [flipOf(mode, imageOf('random_flip', size, place))],
    size,
  }),
  random_translation: (settings, size, place) => ({
    layers: [translationOf(settings, imageOf('random_translation', size, place))],
    size,
  }),
};

function pixelsOf({ image, columns }: Size): {
  readonly channels: number;
  readonly pixels: number;
} {
  const [height, width, channels] = image ?? [1, 1, columns];
  return { channels, pixels: height * width };
}

/** @throws ConfigError */
function convolution(
  name: string,
  { filters, kernel_size, activation: own, groups = 1, ...settings }: Settings<'conv2d'>,
  size: Size,
  place: number,
): Made {
  const over = overOf(name, size, place, kernel_size, settings);
  const channels = over.image[2];
  if (channels % groups !== 0 || filters % groups !== 0) {
    const key = `model.layers.${place}.groups`;
    throw new ConfigError(
      `${key}: expected a number that divides channels (${channels}) and filters (${filters}), got ${groups}`,
      { key, value: groups },
    );
  }
  const layer: TrainedLayer = { kind: 'conv2d', over, filters, ...(groups > 1 && { groups }) };
  return { layers: [layer, ...activationOf(own)], size: after(over, filters) };
}

function activationOf(own: KerasActivation | undefined): TrainedLayer[] {
  if (own === undefined || own === 'linear') return [];
  return [{ kind: 'activation', activation: OURS[own] }];
}

function pooling(
  kind: 'max_pool' | 'avg_pool',
  settings: z.output<typeof pool>,
  size: Size,
  place: number,
): Made {
  const isPlain = typeof settings === 'number' || Array.isArray(settings);
  const { pool_size = 2, ...others } = isPlain ? { pool_size: settings } : settings;
  const over = overOf(kind, size, place, pool_size, { strides: pool_size, ...others });
  return { layers: [{ kind, over }], size: after(over, over.image[2]) };
}

type Extent = number | readonly [number, number];

const both = (given: Extent): readonly [number, number] =>
  typeof given === 'number' ? [given, given] : given;

/** @throws ConfigError where rows are no images */
function imageOf(name: string, { image }: Size, place: number): Over['image'] {
  if (image !== undefined) return image;
  const key = `model.layers.${place}`;
  throw new ConfigError(
    `${key}: expected images before ${name}, got columns; say \`input\` with height, width and channels, and no dense or flatten before it`,
    { key },
  );
}

/** @throws ConfigError without an image, or with a window larger than it */
function overOf(
  name: string,
  before: Size,
  place: number,
  window: Extent,
  settings: { readonly strides?: Extent | undefined; readonly padding?: Padding | undefined },
): Over {
  const key = `model.layers.${place}`;
  const image = imageOf(name, before, place);
  const [height, width] = image;
  const { strides = 1, padding: own = 'valid' } = settings;
  const [size, stride] = [both(window), both(strides)];
  const beyond = paddingOf({ height, width }, { window: size, stride, padding: own });
  const over = { image, window: size, stride, padding: beyond };
  try {
    windowOf(name, over);
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    throw new ConfigError(`${key}: ${error.message}`, { key }, { cause: error });
  }
  return over;
}

function after(over: Over, channels: number): Size {
  const { outHeight, outWidth } = windowOf('layer', over);
  return {
    columns: outHeight * outWidth * channels,
    image: [outHeight, outWidth, channels],
  };
}

/** Fully connected layers of these units with an activation between. @param columns of the design */
export function perceptron(
  columns: number,
  hidden: readonly number[],
  activation: Activation,
  outputs: number,
): TrainableNetwork {
  const widths = [columns, ...hidden, outputs];
  const layers = widths.slice(1).flatMap((units, l): TrainedLayer[] => {
    const layer = { kind: 'dense', inputs: widths[l]!, units } as const;
    return l === 0 ? [layer] : [{ kind: 'activation', activation }, layer];
  });
  return { layers };
}

/** Layers of a trained network as they say something of new rows. */
export function layersOfNetwork({ layers }: TrainableNetwork): NetworkLayer[] {
  return layers.flatMap((layer): NetworkLayer[] => {
    switch (layer.kind) {
      case 'dropout':
      case 'random_flip':
      case 'random_translation':
        return [];
      case 'batch_norm':
        return [{ kind: 'scale', channels: layer.channels, pixels: layer.pixels }];
      case 'rescaling':
        return [{ kind: 'scale', channels: 1, pixels: 1 }];
      default:
        return [layer];
    }
  });
}
