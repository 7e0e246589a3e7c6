/**
 * Importers of Keras layers, by class. Images lie channels last here as there, so weights are taken
 * as they lie. Defaults are those of Keras 2, which files leave out where they stand.
 */
import { type Extent, gelu, type Matrix, relu } from '../../driver/index.js';
import {
  betweenRows,
  byWeights,
  elu,
  hardSigmoid,
  leakyRelu,
  same,
  within,
} from './cell-importers.js';
import type { Constant } from './graph.js';
import { folding, normalised } from './image-importers.js';
import type { Importer, NodeSite } from './node-site.js';
import { type ConstantCells, RowsValue } from './rows-value.js';

/** Weights of a class in order, each but where the flag named says that there is none. */
export const WEIGHTS: Readonly<
  Record<string, readonly { readonly weight: string; readonly unless?: string }[]>
> = {
  Conv2D: [{ weight: 'kernel' }, { weight: 'bias', unless: 'use_bias' }],
  DepthwiseConv2D: [{ weight: 'depthwise_kernel' }, { weight: 'bias', unless: 'use_bias' }],
  SeparableConv2D: [
    { weight: 'depthwise_kernel' },
    { weight: 'pointwise_kernel' },
    { weight: 'bias', unless: 'use_bias' },
  ],
  Dense: [{ weight: 'kernel' }, { weight: 'bias', unless: 'use_bias' }],
  BatchNormalization: [
    { weight: 'gamma', unless: 'scale' },
    { weight: 'beta', unless: 'center' },
    { weight: 'moving_mean' },
    { weight: 'moving_variance' },
  ],
};

function softmax(x: RowsValue, site: NodeSite): RowsValue {
  const axis = site.number('axis', -1);
  if (axis !== -1 && axis !== x.dims.length) return site.refuse('the last axis');
  const width = x.isImages ? x.images.channels : x.dims.at(-1)!;
  return x.map((cells) => cells.softmax(width));
}

const ACTIVATIONS: Readonly<Record<string, (x: Matrix) => Matrix>> = {
  relu,
  relu6: (x) => within(x, 0, 6),
  elu: (x) => elu(x, 1),
  exponential: (x) => x.exp(),
  sigmoid: (x) => x.sigmoid(),
  hard_sigmoid: (x) => hardSigmoid(x, 0.2, 0.5),
  gelu: (x) => gelu(x, 'none'),
  gelu_new: (x) => gelu(x),
  softplus: (x) => x.softplus(),
  swish: (x) => x.mul(x.sigmoid()),
  silu: (x) => x.mul(x.sigmoid()),
  tanh: (x) => x.tanh(),
};

/** What the layer's `activation` makes of its value. */
function activated(site: NodeSite, x: RowsValue): RowsValue {
  const name = site.text('activation', 'linear');
  if (name === 'linear') return x;
  if (name === 'softmax') return softmax(x, site);
  const cells = ACTIVATIONS[name];
  if (cells === undefined) {
    const known = ['linear', 'softmax', ...Object.keys(ACTIVATIONS)].join(', ');
    return site.refuse(`activation ${known}, got ${name}`);
  }
  return x.map(cells);
}

function extent(site: NodeSite, name: string, absent: Extent): Extent {
  const given = site.list(name) ?? site.number(name, 0);
  if (typeof given === 'number') return given === 0 ? absent : given;
  return given.length === 2 ? [given[0]!, given[1]!] : site.refuse(`${name} of two sizes`);
}

function windowing(site: NodeSite): {
  stride: Extent;
  padding: 'valid' | 'same';
  dilation: Extent;
} {
  const padding = site.text('padding', 'valid');
  if (padding !== 'valid' && padding !== 'same') return site.refuse(`padding valid or same`);
  requireChannelsLast(site);
  const [stride, dilation] = [extent(site, 'strides', 1), extent(site, 'dilation_rate', 1)];
  return { stride, padding, dilation };
}

function requireChannelsLast(site: NodeSite): void {
  if (site.text('data_format', 'channels_last') !== 'channels_last') site.refuse('channels last');
}

const numbersOf =
  ({ cells }: Constant): ConstantCells =>
  () =>
    Float64Array.from(cells);

/** Filters as they lie: (down, across, channel) x filter, of one group each where `isDepthwise`. */
function convolved(
  site: NodeSite,
  x: RowsValue,
  kernel: Constant,
  bias: Constant | undefined,
  isDepthwise = false,
): RowsValue {
  const [height, width, channels, filters] = kernel.dims as [number, number, number, number];
  if (kernel.dims.length !== 4) return site.refuse('filters of two dimensions');
  const [rows, cols] = isDepthwise
    ? [height * width, channels * filters]
    : [height * width * channels, filters];
  const groups = isDepthwise ? channels : site.number('groups', 1);
  site.list('kernel_size');
  const options = { window: [height, width] as const, groups, ...windowing(site) };
  const part = isDepthwise ? 'depthwise ' : '';
  const own = { rows, cols, part, cells: numbersOf(kernel) };
  return folding(site, x.images, own, bias && numbersOf(bias), options);
}

const conv2d: Importer = (site) =>
  activated(site, convolved(site, site.images(), site.constant(1), site.optional(2)));

const depthwiseConv2d: Importer = (site) => {
  site.number('depth_multiplier', 1);
  return activated(site, convolved(site, site.images(), site.constant(1), site.optional(2), true));
};

const separableConv2d: Importer = (site) => {
  site.number('depth_multiplier', 1);
  const deep = convolved(site, site.images(), site.constant(1), undefined, true);
  const constant = site.constant(2);
  const [, , rows, cols] = constant.dims as [number, number, number, number];
  const filters = { rows, cols, cells: numbersOf(constant) };
  const bias = site.optional(3);
  const options = { window: 1, stride: 1, dilation: 1, padding: 'valid', groups: 1 } as const;
  const own = folding(site, deep.images, filters, bias && numbersOf(bias), options);
  return activated(site, own);
};

const batchNormalization: Importer = (site) => {
  const x = site.rows();
  const axis = site.list('axis')?.[0] ?? site.number('axis', -1);
  const isLast = axis === -1 || axis === x.dims.length;
  if (!isLast || x.dims.length === 2) return site.refuse('images or vectors, by the last axis');
  const [gamma, beta] = [site.optional(1), site.optional(2)];
  const [mean, variance] = [site.constant(3), site.constant(4)];
  const epsilon = site.number('epsilon', 1e-3);
  return normalised(site, x, { gamma, beta, mean, variance, epsilon });
};

const dense: Importer = (site) => {
  const x = site.rows();
  const bias = site.optional(2);
  const product = byWeights(site, x, site.constant(1), bias);
  return activated(site, product);
};

/** Slopes below 0, and a greatest value. */
const reluLayer: Importer = (site) => {
  const [slope, most] = [site.number('negative_slope', 0), site.number('max_value', Infinity)];
  if (site.number('threshold', 0) !== 0) return site.refuse('threshold 0');
  return site.rows().map((x) => {
    if (slope !== 0) return within(leakyRelu(x, slope), -Infinity, most);
    return most === Infinity ? relu(x) : within(x, 0, most);
  });
};

function pooling(site: NodeSite) {
  const window = extent(site, 'pool_size', 2);
  const { padding } = windowing(site);
  return { window, padding, stride: extent(site, 'strides', window) };
}

const maxPool: Importer = (site) =>
  RowsValue.ofImages(site.images().images.maxPool2d(pooling(site)));
const averagePool: Importer = (site) =>
  RowsValue.ofImages(site.images().images.avgPool2d(pooling(site)));

function globalPool(site: NodeSite, window: 'maxPool2d' | 'avgPool2d'): RowsValue {
  requireChannelsLast(site);
  const { images } = site.images();
  const pooled = images[window]({ window: [images.height, images.width] });
  const keeps = site.number('keepdims', 0) !== 0;
  return keeps ? RowsValue.ofImages(pooled) : new RowsValue(pooled.matrix, [pooled.channels]);
}

const flatten: Importer = (site) => {
  requireChannelsLast(site);
  const { matrix } = site.rows();
  return new RowsValue(matrix, [matrix.cols]);
};

const reshape: Importer = (site) => {
  const { matrix } = site.rows();
  const given = site.list('target_shape') ?? site.refuse('a shape');
  const known = given.reduce((size, one) => (one === -1 ? size : size * one), 1);
  const sizes = given.map((one) => (one === -1 ? matrix.cols / known : one));
  return RowsValue.channelsLast(matrix, sizes);
};

type Pairing = (a: Matrix, b: Matrix) => Matrix;

const merged =
  (by: Pairing, most = Infinity): Importer =>
  (site) => {
    const [first, ...others] = site.inputs.map((_, at) => site.rows(at)) as [
      RowsValue,
      ...RowsValue[],
    ];
    if (others.length === 0 || others.length >= most) return site.refuse('operands');
    return others.reduce((all, one) => betweenRows(site, all, one, by as never), first);
  };

const average: Importer = (site) =>
  (merged((a, b) => a.add(b))(site) as RowsValue).map((sum) => sum.div(site.inputs.length));

const concatenate: Importer = (site) => {
  const all = site.inputs.map((_, at) => site.rows(at));
  const [first, ...others] = all as [RowsValue, ...RowsValue[]];
  const axis = site.number('axis', -1);
  const { dims } = first;
  if (dims.length === 2 || (axis !== -1 && axis !== dims.length))
    return site.refuse('the last axis');
  if (first.isImages) {
    return RowsValue.ofImages(first.images.bindChannels(...others.map(({ images }) => images)));
  }
  const bound = first.matrix.cbind(...others.map(({ matrix }) => matrix));
  return new RowsValue(bound, [bound.cols]);
};

const zeroPadding: Importer = (site) => {
  requireChannelsLast(site);
  const given = site.list('padding') ?? [site.number('padding', 1)];
  const [down, across] = given.length === 1 ? [given[0]!, given[0]!] : given;
  const sides = given.length === 4 ? given : [down, down, across, across];
  const [top, bottom, left, right] = sides as [number, number, number, number];
  return RowsValue.ofImages(site.images().images.pad([top, bottom, left, right]));
};

const upSampling: Importer = (site) => {
  requireChannelsLast(site);
  const mode = site.text('interpolation', 'nearest');
  if (mode !== 'nearest') return site.refuse(`interpolation nearest, got ${mode}`);
  return RowsValue.ofImages(site.images().images.repeatPixels(extent(site, 'size', 2)));
};

export const layerImporters: Readonly<Record<string, Importer>> = {
  Activation: (site) => activated(site, site.rows()),
  Add: merged((a, b) => a.add(b)),
  Average: average,
  AveragePooling2D: averagePool,
  BatchNormalization: batchNormalization,
  Concatenate: concatenate,
  Conv2D: conv2d,
  Dense: dense,
  DepthwiseConv2D: depthwiseConv2d,
  // Of inference.
  Dropout: same,
  ELU: (site) => site.rows().map((x) => elu(x, site.number('alpha', 1))),
  Flatten: flatten,
  GlobalAveragePooling2D: (site) => globalPool(site, 'avgPool2d'),
  GlobalMaxPooling2D: (site) => globalPool(site, 'maxPool2d'),
  LeakyReLU: (site) => site.rows().map((x) => leakyRelu(x, site.number('alpha', 0.3))),
  MaxPooling2D: maxPool,
  Maximum: merged((a, b) => a.maximum(b)),
  Minimum: merged((a, b) => a.minimum(b)),
  Multiply: merged((a, b) => a.mul(b)),
  ReLU: reluLayer,
  Rescaling: (site) =>
    site.rows().map((x) => x.mul(site.number('scale', 1)).add(site.number('offset', 0))),
  Reshape: reshape,
  SeparableConv2D: separableConv2d,
  Softmax: (site) => softmax(site.rows(), site),
  SpatialDropout2D: same,
  Subtract: merged((a, b) => a.sub(b), 2),
  UpSampling2D: upSampling,
  ZeroPadding2D: zeroPadding,
};
