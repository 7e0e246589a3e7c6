/** Importers of what works on images: convolutions, pools, normalisation, sizes. */
import type { Extent, Images, Matrix, Padding } from '../../driver/index.js';
import type { Constant } from './graph.js';
import type { Importer, NodeSite } from './node-site.js';
import { type ConstantCells, RowsValue } from './rows-value.js';

type Two = readonly [down: number, across: number];
type Four = readonly [top: number, bottom: number, left: number, right: number];

function two(site: NodeSite, name: string, absent: Two): Two {
  const list = site.list(name) ?? absent;
  return list.length === 2 ? (list as Two) : site.refuse(`${name} of two sizes`);
}

/** @param beyond pixels that rounding up adds below and to the right */
function paddingOf(site: NodeSite, window: Two, { height, width }: Images): Padding {
  const automatic = site.text('auto_pad', 'NOTSET');
  const [top = 0, left = 0, bottom = 0, right = 0] = site.list('pads') ?? [];
  const isRoundedUp = site.number('ceil_mode', 0) !== 0;
  if (automatic === 'VALID') return 'valid';
  if (automatic === 'SAME_UPPER') return 'same';
  const dilation = two(site, 'dilations', [1, 1]);
  const stride = two(site, 'strides', [1, 1]);
  const sizes = [height, width];
  if (automatic === 'SAME_LOWER') {
    const sides = sizes.flatMap((size, i) => {
      const span = (window[i]! - 1) * dilation[i]! + 1;
      const beyond = Math.max(0, (Math.ceil(size / stride[i]!) - 1) * stride[i]! + span - size);
      return [Math.ceil(beyond / 2), Math.floor(beyond / 2)];
    });
    return sides as unknown as Four;
  }
  if (!isRoundedUp) return [top, bottom, left, right];
  const [below, after] = sizes.map((size, i) => {
    const [first, last] = i === 0 ? [top, bottom] : [left, right];
    const free = size + first + last - window[i]!;
    const places = Math.ceil(free / stride[i]!) + 1;
    // A last window that would begin beyond the image is left out.
    const used = (places - 1) * stride[i]! >= size + first ? places - 1 : places;
    return last + Math.max(0, (used - 1) * stride[i]! - free);
  }) as [number, number];
  return [top, below, left, after];
}

/** Filters [out, in, height, width] as (tap, in) x out. */
function turnedFilters(site: NodeSite, { dims, cells }: Constant): FilterCells {
  const [out, channels, height, width] = dims as [number, number, number, number];
  if (dims.length !== 4) return site.refuse('filters of two dimensions');
  const taps = height * width;
  const turned = (): Float64Array => {
    const all = new Float64Array(cells.length);
    for (let o = 0, from = 0; o < out; o++) {
      for (let c = 0; c < channels; c++) {
        for (let tap = 0; tap < taps; tap++) all[(tap * channels + c) * out + o] = cells[from++]!;
      }
    }
    return all;
  };
  return { rows: taps * channels, cols: out, cells: turned };
}

function filtersOf(site: NodeSite, constant: Constant, beside: Matrix): Matrix {
  const { rows, cols, cells } = turnedFilters(site, constant);
  return site.matrices.matrix(beside, constant, [rows, cols], 'filters', cells);
}

export interface FilterCells {
  readonly rows: number;
  readonly cols: number;
  readonly cells: ConstantCells;
  /** Which of the operation's, where it has several. */
  readonly part?: string;
}

/**
 * A convolution that takes what is done to its channels next into its filters, computed once for a
 * network: constants of their own, of the operation that made them so.
 */
export function folding(
  site: NodeSite,
  images: Images,
  filters: FilterCells,
  bias: ConstantCells | undefined,
  options: { window: Extent; stride: Extent; padding: Padding; dilation: Extent; groups: number },
): RowsValue {
  const { rows, cols, part = '' } = filters;
  const constant = (size: readonly [number, number], form: string, cells: ConstantCells): Matrix =>
    site.matrices.matrix(images.matrix, site.operation as object, size, form, cells);
  const made = images.conv2d(constant([rows, cols], `${part}filters`, filters.cells), {
    ...options,
    ...(bias ? { bias: constant([1, cols], `${part}bias`, bias) } : {}),
  });
  return RowsValue.ofImages(made, (reader, scale, shift) => {
    const moved = bias && scale ? product(bias, scale) : bias;
    const next = moved && shift ? sum(moved, shift) : (moved ?? shift);
    const scaled = scale ? product(filters.cells, scale) : filters.cells;
    return folding(reader, images, { rows, cols, cells: scaled }, next, options);
  });
}

/** Row by row with one number a column. */
const product =
  (cells: ConstantCells, row: ConstantCells): ConstantCells =>
  () => {
    const by = row();
    return cells().map((cell, i) => cell * by[i % by.length]!);
  };

const sum =
  (a: ConstantCells, b: ConstantCells): ConstantCells =>
  () => {
    const added = b();
    return a().map((cell, i) => cell + added[i]!);
  };

const conv: Importer = (site) => {
  const { images } = site.images();
  const constant = site.constant(1);
  const filters = turnedFilters(site, constant);
  const [height, width] = constant.dims.slice(2) as [number, number];
  const bias = site.optional(2);
  const window: Two = [height, width];
  return folding(site, images, filters, bias && (() => Float64Array.from(bias.cells)), {
    window,
    stride: two(site, 'strides', [1, 1]),
    padding: paddingOf(site, window, images),
    dilation: two(site, 'dilations', [1, 1]),
    groups: site.number('group', 1),
  });
};

/** The way back through a convolution of the result's channels to these. */
const convTranspose: Importer = (site) => {
  const { images, matrix } = site.images();
  const constant = site.constant(1);
  const [, own, height, width] = constant.dims as [number, number, number, number];
  const groups = site.number('group', 1);
  const stride = two(site, 'strides', [1, 1]);
  const dilation = two(site, 'dilations', [1, 1]);
  const [top = 0, left = 0, bottom = 0, right = 0] = site.list('pads') ?? [];
  const [below, after] = two(site, 'output_padding', [0, 0]);
  if (site.text('auto_pad', 'NOTSET') !== 'NOTSET' || site.list('output_shape')) {
    return site.refuse('pads');
  }
  const bias = site.optional(2);
  const spread = images.convTranspose2d(filtersOf(site, constant, matrix), {
    ...(bias ? { bias: site.row(bias, matrix) } : {}),
    ...{ window: [height, width], stride, dilation, groups, padding: [top, bottom, left, right] },
    height: (images.height - 1) * stride[0] - top - bottom + (height - 1) * dilation[0] + 1 + below,
    width: (images.width - 1) * stride[1] - left - right + (width - 1) * dilation[1] + 1 + after,
    channels: own * groups,
  });
  return RowsValue.ofImages(spread);
};

/** One product and one sum by channel, within a convolution where one comes before. */
export function affine(
  site: NodeSite,
  x: RowsValue,
  scale: ConstantCells | undefined,
  shift: ConstantCells | undefined,
): RowsValue {
  if (x.fold) return x.fold(site, scale, shift);
  const size = x.isImages ? x.images.channels : x.matrix.cols;
  const row = (form: string, cells: ConstantCells): Matrix => {
    const numbers = site.matrices.matrix(
      x.matrix,
      site.operation as object,
      [1, size],
      form,
      cells,
    );
    return x.isImages ? x.images.byChannel(numbers) : numbers;
  };
  return x.map((cells) => {
    const scaled = scale ? cells.mul(row('scale', scale)) : cells;
    return shift ? scaled.add(row('shift', shift)) : scaled;
  });
}

export interface KnownMoments {
  readonly mean: Constant;
  readonly variance: Constant;
  readonly epsilon: number;
  readonly gamma?: Constant | undefined;
  readonly beta?: Constant | undefined;
}

/** By known moments: one product and one sum. */
export function normalised(site: NodeSite, x: RowsValue, known: KnownMoments): RowsValue {
  const { mean, variance, epsilon, gamma, beta } = known;
  const scale = (): Float64Array =>
    Float64Array.from(
      variance.cells,
      (one, i) => (gamma?.cells[i] ?? 1) / Math.sqrt(one + epsilon),
    );
  const shift = (): Float64Array =>
    scale().map((one, i) => (beta?.cells[i] ?? 0) - mean.cells[i]! * one);
  return affine(site, x, scale, shift);
}

const batchNormalization: Importer = (site) => {
  const isByPixel = site.number('spatial', 1) === 0;
  if (isByPixel || site.number('training_mode', 0) !== 0) return site.refuse('known moments');
  const x = site.rows();
  if (!x.isImages && x.dims.length !== 1) return site.refuse('images');
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((at) => site.constant(at)) as [
    ...[Constant, Constant, Constant, Constant],
  ];
  return normalised(site, x, {
    gamma,
    beta,
    mean,
    variance,
    epsilon: site.number('epsilon', 1e-5),
  });
};

function poolOptions(site: NodeSite, images: Images) {
  const window = site.list('kernel_shape') as Two | undefined;
  if (window?.length !== 2) return site.refuse('a window of two sizes');
  if (two(site, 'dilations', [1, 1]).some((one) => one !== 1)) return site.refuse('no dilation');
  const padding = paddingOf(site, window, images);
  return { window, stride: two(site, 'strides', [1, 1]), padding };
}

const maxPool: Importer = (site) => {
  if (site.operation.outputs.length > 1) return site.refuse('one output');
  const { images } = site.images();
  return RowsValue.ofImages(images.maxPool2d(poolOptions(site, images)));
};

const averagePool: Importer = (site) => {
  const { images } = site.images();
  const countsPadding = site.number('count_include_pad', 0) !== 0;
  if (countsPadding && site.number('ceil_mode', 0) !== 0) return site.refuse('no ceil_mode');
  return RowsValue.ofImages(images.avgPool2d({ ...poolOptions(site, images), countsPadding }));
};

const globalAveragePool: Importer = (site) =>
  RowsValue.ofImages(site.images().images.globalAvgPool2d());

const globalMaxPool: Importer = (site) => {
  const { images } = site.images();
  return RowsValue.ofImages(images.maxPool2d({ window: [images.height, images.width] }));
};

/** x / (bias + alpha / size * the sum of squares of near channels) ^ beta. */
const lrn: Importer = (site) => {
  const { images } = site.images();
  const { channels, matrix } = images;
  const size = site.number('size', 1);
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const near = (): Float64Array =>
    Float64Array.from({ length: channels * channels }, (_, i) => {
      const distance = Math.floor(i / channels) - (i % channels);
      return distance >= -before && distance <= after ? 1 : 0;
    });
  const band = [channels, channels] as const;
  const filters = site.matrices.matrix(
    matrix,
    site.operation as object,
    band,
    'near channels',
    near,
  );
  const sums = images.map((cells) => cells.square()).conv2d(filters, { window: 1 });
  const share = site.number('alpha', 1e-4) / size;
  const factors = sums.matrix.mul(share).add(site.number('bias', 1));
  return RowsValue.ofImages(
    images.map((cells) => cells.div(factors.pow(site.number('beta', 0.75)))),
  );
};

const pad: Importer = (site) => {
  const x = site.images();
  const pads = site.listOr('pads', 1) ?? [];
  const value = site.optional(2)?.cells[0] ?? site.number('value', 0);
  const [rows, channels, top, left, endRows, endChannels, bottom, right] = pads;
  const isPlain = pads.length === 8 && !rows && !channels && !endRows && !endChannels;
  if (site.text('mode', 'constant') !== 'constant' || value !== 0 || !isPlain) {
    return site.refuse('zeros around images');
  }
  return RowsValue.ofImages(x.images.pad([top!, bottom!, left!, right!]));
};

/** Where the first pixels of an enlargement lie in the image, in pixels of it. */
const centred = (at: number, times: number): number => (at + 0.5) / times - 0.5;
const POSITIONS: Readonly<Record<string, (at: number, times: number) => number>> = {
  half_pixel: centred,
  half_pixel_symmetric: centred,
  pytorch_half_pixel: centred,
  asymmetric: (at, times) => at / times,
  tf_half_pixel_for_nn: (at, times) => (at + 0.5) / times,
};
const ROUNDINGS: Readonly<Record<string, (position: number) => number>> = {
  round_prefer_floor: (position) => Math.ceil(position - 0.5),
  round_prefer_ceil: (position) => Math.floor(position + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Whether each pixel stands so many times, by the modes of newer files. */
function isRepeating(site: NodeSite, times: number): boolean {
  const position = POSITIONS[site.text('coordinate_transformation_mode', 'half_pixel')];
  const rounding = ROUNDINGS[site.text('nearest_mode', 'round_prefer_floor')];
  if (position === undefined || rounding === undefined) return false;
  const places = Array.from({ length: times }, (_, at) => rounding(position(at, times)));
  return places.every((place) => place === 0);
}

/** Nearest neighbours by whole factors. */
const resize: Importer = (site) => {
  const { images } = site.images();
  const isOld = site.operation.inputs.length < 3;
  const scales = site.list('scales') ?? [...(site.optional(isOld ? 1 : 2)?.cells ?? [])];
  const sizes = site.optional(3)?.cells;
  const [deep, down, across] = sizes
    ? [sizes[1]! / images.channels, sizes[2]! / images.height, sizes[3]! / images.width]
    : (scales.slice(1) as [number, number, number]);
  const isWhole = [down, across].every((one) => Number.isInteger(one) && one! >= 1);
  if (site.text('mode', 'nearest') !== 'nearest' || deep !== 1 || !isWhole) {
    return site.refuse('nearest neighbours by whole factors');
  }
  if (!isOld && ![down, across].every((times) => isRepeating(site, times!))) {
    return site.refuse('modes by which pixels are repeated');
  }
  return RowsValue.ofImages(images.repeatPixels([down!, across!]));
};

export const imageImporters: Readonly<Record<string, Importer>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  BatchNormalization: batchNormalization,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  LRN: lrn,
  Pad: pad,
  Resize: resize,
  Upsample: resize,
};
