/**
 * Images as rows, with their shape: [n, height * width * channels], channels last. Building costs
 * nothing; each method makes nodes over rows, so that images are batched, folded and cut into blocks
 * like other data. What is done by channel, and averages, are compositions of operators.
 */
import type { AttrValue } from '../ir/attrs.js';
import type { DType } from '../ir/dtype.js';
import { type Cells, cellsOf } from '../ir/value.js';
import { type ImageShape, windowOf } from '../operators/image-window.js';
import { ops } from '../operators/index.js';
import { poolOf } from '../operators/pool2d.js';
import { forgetOldest } from '../support/forget-oldest.js';
import { fill, matrix } from './create.js';
import { foldCols, made } from './grouped.js';
import type { Matrix } from './matrix.js';

/** One number for both directions, or [down, across]. */
export type Extent = number | readonly [down: number, across: number];

/**
 * Pixels beyond the border: none (`valid`), as many as give size / stride places (`same`, the odd
 * one below and to the right), a number for every side, or [top, bottom, left, right].
 */
export type Padding =
  | 'valid'
  | 'same'
  | number
  | readonly [top: number, bottom: number, left: number, right: number];

export interface WindowOptions {
  readonly window: Extent;
  /** Default 1; of pools the window's size. */
  readonly stride?: Extent;
  /** Default `valid`. */
  readonly padding?: Padding;
}

export interface ConvolutionOptions extends WindowOptions {
  /** Default 1. */
  readonly dilation?: Extent;
  /** Groups of channels with filters of their own; as many as channels: depthwise. Default 1. */
  readonly groups?: number;
  /** What is added by filter: [1, filters]. */
  readonly bias?: Matrix;
}

export interface AverageOptions extends WindowOptions {
  /** Pixels beyond the border count as zeros rather than as none. Default false. */
  readonly countsPadding?: boolean;
}

/** Of normalisation: [1, channels] each. */
export interface Normalisation {
  /** Default 1 and 0. */
  readonly gamma?: Matrix;
  readonly beta?: Matrix;
  /** Default those of these images: training. */
  readonly mean?: Matrix;
  readonly variance?: Matrix;
  /** Default 1e-5. */
  readonly epsilon?: number;
}

export class Images implements ImageShape {
  /** One image a row. */
  readonly matrix: Matrix;
  readonly height: number;
  readonly width: number;
  readonly channels: number;

  /** Shapes are checked by the operators. */
  constructor(matrix: Matrix, { height, width, channels }: ImageShape) {
    this.matrix = matrix;
    this.height = height;
    this.width = width;
    this.channels = channels;
    Object.freeze(this);
  }

  /** Of rows with channels first (NCHW). */
  static ofChannelsFirst(matrix: Matrix, shape: ImageShape): Images {
    const { height, width, channels } = shape;
    const axes = { shape: [channels, height * width], order: [1, 0] };
    const isSame = channels === 1 || height * width === 1;
    return new Images(isSame ? matrix : made(ops.permuteAxes, [matrix], axes), shape);
  }

  /** Rows with channels first. @shape [n, channels * height * width] */
  channelsFirst(): Matrix {
    const axes = { shape: [this.#pixels, this.channels], order: [1, 0] };
    if (this.channels === 1 || this.#pixels === 1) return this.matrix;
    return made(ops.permuteAxes, [this.matrix], axes);
  }

  /**
   * Correlation with filters, as TensorFlow's `conv2d`.
   * @shape filters: [windowHeight * windowWidth * channels / groups, filters], by tap, then channel
   * @throws ShapeError, PlanError
   */
  conv2d(filters: Matrix, options: ConvolutionOptions): Images {
    const { bias } = options;
    const attrs = this.#attrs(options);
    const operands = [this.matrix, filters, ...(bias ? [bias] : [])] as const;
    return this.#after(made(ops.conv2d, operands, attrs), attrs, filters.cols);
  }

  /** The greatest cell of each window, channel by channel. @throws PlanError */
  maxPool2d(options: WindowOptions): Images {
    const attrs = this.#attrs({ stride: options.window, ...options });
    return this.#after(made(ops.maxPool2d, [this.matrix], attrs), attrs, this.channels);
  }

  /** The mean of each window, channel by channel: a depthwise convolution. @throws PlanError */
  avgPool2d(options: AverageOptions): Images {
    const [down, across] = both(options.window);
    const padded = { stride: options.window, ...options, groups: this.channels };
    const taps = down * across;
    if (options.countsPadding || paddingOf(this, padded).every((pixels) => pixels === 0)) {
      return this.conv2d(this.#constant(taps, 1 / taps), padded);
    }
    // No window may be without a pixel.
    poolOf('avgPool2d', this.#attrs(padded));
    const filters = this.#constant(taps, 1);
    const sums = this.conv2d(filters, padded);
    const one = fill(this.matrix.session, 1, this.matrix.cols, 1, { dtype: this.matrix.dtype });
    const counts = new Images(one, this).conv2d(filters, padded);
    return sums.map((cells) => cells.div(counts.matrix));
  }

  /** The mean of each channel: an image of one pixel. */
  globalAvgPool2d(): Images {
    return this.avgPool2d({ window: [this.height, this.width] });
  }

  /** The same with zeros around it. */
  pad(padding: readonly [top: number, bottom: number, left: number, right: number]): Images {
    const filters = this.#constant(1, 1);
    return this.conv2d(filters, { window: 1, padding, groups: this.channels });
  }

  /**
   * The way back through a convolution of images of that shape to these: transposed convolution.
   * @shape filters: as of that convolution, [window * channels / groups, these channels]
   * @throws ShapeError, PlanError
   */
  convTranspose2d(filters: Matrix, options: ConvolutionOptions & ImageShape): Images {
    const { bias } = options;
    const attrs = new Images(this.matrix, options).#attrs(options);
    const back = new Images(made(ops.conv2dInputGradient, [this.matrix, filters], attrs), options);
    return bias ? back.map((cells) => cells.add(back.byChannel(bias))) : back;
  }

  /** Each pixel as so many down and across: nearest neighbours. */
  repeatPixels(times: Extent): Images {
    const [down, across] = both(times);
    const { height, width, channels } = this;
    return this.convTranspose2d(this.#constant(down * across, 1), {
      ...{ window: times, stride: times, groups: channels, channels },
      ...{ height: height * down, width: width * across },
    });
  }

  /**
   * Bilinear interpolation at the centres of pixels, as TensorFlow 2 and PyTorch have it without
   * `align_corners` and without smoothing: by rows, then by columns, each a small product a pixel.
   */
  resize(height: number, width: number): Images {
    if (height === this.height && width === this.width) return this;
    const { channels } = this;
    const across = this.#interpolation(this.width, width, channels);
    // A row of pixels is one pixel of many channels.
    const rows = new Images(this.matrix, { height: this.height, width: 1, channels: across.rows });
    const wide = rows.conv2d(across, { window: 1 }).matrix;
    const axes = { shape: [this.height, across.cols], order: [1, 0] };
    const turned = made(ops.permuteAxes, [wide], axes);
    const cols = { height: across.cols, width: 1, channels: this.height };
    const down = this.#interpolation(this.height, height, 1);
    const tall = new Images(turned, cols).conv2d(down, { window: 1 }).matrix;
    const back = { shape: [across.cols, height], order: [1, 0] };
    return new Images(made(ops.permuteAxes, [tall], back), { height, width, channels });
  }

  #interpolation(from: number, to: number, channels: number): Matrix {
    const { dtype, session } = this.matrix;
    const cells = interpolation(from, to, channels, dtype);
    return matrix(session, from * channels, to * channels, cells, { copy: false });
  }

  /** A function of cells, or of rows, that keeps their number. */
  map(cells: (matrix: Matrix) => Matrix): Images {
    return new Images(cells(this.matrix), this);
  }

  /** One number a channel beside every pixel. @shape [r, channels] -> [r, pixels * channels] */
  byChannel(numbers: Matrix): Matrix {
    if (this.#pixels === 1) return numbers;
    return made(ops.repeatCols, [numbers], { width: this.channels, times: this.#pixels });
  }

  /** The channels of the others after these. @throws ShapeError for images of another size */
  bindChannels(...others: readonly Images[]): Images {
    if (others.length === 0) return this;
    const operands = [this.matrix, ...others.map(({ matrix }) => matrix)] as const;
    const channels = others.reduce((sum, other) => sum + other.channels, this.channels);
    const { height, width } = this;
    return new Images(made(ops.bindRuns, operands, { runs: this.#pixels }), {
      ...{ height, width, channels },
    });
  }

  /** Channels [from, to). */
  sliceChannels(from: number, to: number): Images {
    const { height, width, channels } = this;
    const attrs = { width: channels, from, to };
    const shape = { height, width, channels: to - from };
    return new Images(made(ops.sliceRuns, [this.matrix], attrs), shape);
  }

  /** Mean and variance (over all, not one less) of each channel: [1, channels]. */
  channelMoments(): { readonly mean: Matrix; readonly variance: Matrix } {
    const count = this.matrix.rows * this.#pixels;
    const sumsOf = (sums: Matrix): Matrix => sums.reshape(this.#pixels, this.channels).colSums();
    const mean = sumsOf(this.matrix.colSums()).div(count);
    const centred = this.matrix.sub(this.byChannel(mean));
    return { mean, variance: sumsOf(centred.colSumSqs()).div(count) };
  }

  /** (x - mean) / sqrt(variance + epsilon) * gamma + beta, by channel. */
  batchNorm({ gamma, beta, epsilon = 1e-5, ...given }: Normalisation = {}): Images {
    const { mean, variance } = { ...this.channelMoments(), ...given };
    const { scale, shift } = normalScale({ mean, variance, epsilon, gamma, beta });
    return this.map((x) => x.mul(this.byChannel(scale)).add(this.byChannel(shift)));
  }

  get #pixels(): number {
    return this.height * this.width;
  }

  #constant(taps: number, value: number): Matrix {
    const { session, dtype } = this.matrix;
    return fill(session, taps, this.channels, value, { dtype });
  }

  /** Canonical: what is the default is left out, so that equal windows are equal nodes. */
  #attrs(options: ConvolutionOptions): Record<string, AttrValue> {
    const { height, width, channels } = this;
    const { groups = 1 } = options;
    const stride = both(options.stride ?? 1);
    const dilation = both(options.dilation ?? 1);
    const padding = paddingOf(this, options);
    return {
      image: [height, width, channels],
      window: both(options.window),
      ...(stride.some((one) => one !== 1) && { stride }),
      ...(dilation.some((one) => one !== 1) && { dilation }),
      ...(padding.some((one) => one !== 0) && { padding }),
      ...(groups !== 1 && { groups }),
    };
  }

  #after(matrix: Matrix, attrs: Record<string, AttrValue>, channels: number): Images {
    const { outHeight, outWidth } = windowOf(matrix.expr.op.name, attrs);
    return new Images(matrix, { height: outHeight, width: outWidth, channels });
  }
}

/**
 * Normalisation by known moments as one product and one sum by channel: x * scale + shift. After a
 * convolution without anything between, filters and bias may take both.
 */
export function normalScale(given: {
  readonly mean: Matrix;
  readonly variance: Matrix;
  readonly epsilon: number;
  readonly gamma?: Matrix | undefined;
  readonly beta?: Matrix | undefined;
}): { readonly scale: Matrix; readonly shift: Matrix } {
  const deviation = given.variance.add(given.epsilon).sqrt();
  const scale = given.gamma ? given.gamma.div(deviation) : deviation.recip();
  const centre = given.mean.mul(scale);
  return { scale, shift: given.beta ? given.beta.sub(centre) : centre.neg() };
}

/**
 * Each run of `width` columns of a row less its mean, over its deviation, times gamma, plus beta.
 * @param options width: default all columns; those of a pixel are its channels
 * @shape X: [n, d], gamma, beta: [1, d] -> [n, d]
 */
export function layerNorm(
  X: Matrix,
  {
    gamma,
    beta,
    epsilon = 1e-5,
    width = X.cols,
  }: Pick<Normalisation, 'gamma' | 'beta' | 'epsilon'> & { readonly width?: number } = {},
): Matrix {
  const isWhole = width === X.cols;
  const meansOf = (cells: Matrix): Matrix =>
    isWhole ? cells.rowMeans() : foldCols(cells, { width, fold: 'sum' }).div(width);
  const wide = (means: Matrix): Matrix =>
    isWhole ? means : made(ops.repeatCols, [means], { width: 1, times: width });
  const centred = X.sub(wide(meansOf(X)));
  const normal = centred.div(wide(meansOf(centred.square()).add(epsilon).sqrt()));
  const scaled = gamma ? normal.mul(gamma) : normal;
  return beta ? scaled.add(beta) : scaled;
}

/**
 * The rows of a table that whole numbers name, those of one row side by side: words as vectors.
 * @shape numbers: [n, words], table: [count, d] -> [n, words * d]; zeros for other numbers
 */
export function embedding(numbers: Matrix, table: Matrix): Matrix {
  const { rows, cols } = numbers;
  const vectors = made(ops.takeRows, [numbers.reshape(rows * cols, 1), table]);
  return vectors.reshape(rows, cols * table.cols);
}

function both(extent: Extent): readonly [number, number] {
  return typeof extent === 'number' ? [extent, extent] : extent;
}

/** Pixels beyond the border of each side. */
export function paddingOf(
  { height, width }: Pick<ImageShape, 'height' | 'width'>,
  { padding = 'valid', ...options }: ConvolutionOptions,
): readonly [number, number, number, number] {
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  if (padding === 'valid') return [0, 0, 0, 0];
  if (padding !== 'same') return padding;
  const [window, stride, dilation] = [
    options.window,
    options.stride ?? 1,
    options.dilation ?? 1,
  ].map(both) as [readonly [number, number], readonly [number, number], readonly [number, number]];
  const sides = [height, width].flatMap((size, i) => {
    const span = (window[i]! - 1) * dilation[i]! + 1;
    const places = Math.ceil(size / stride[i]!);
    const beyond = Math.max(0, (places - 1) * stride[i]! + span - size);
    return [Math.floor(beyond / 2), Math.ceil(beyond / 2)];
  });
  return sides as [number, number, number, number];
}

const interpolations = new Map<string, Cells>();
const MAX_INTERPOLATIONS = 32;

/**
 * What each of the new places takes of the old ones: [from * channels, to * channels]. The same
 * cells each time, as large matrices are known by their memory: others would make a network behind
 * them another one.
 */
function interpolation(from: number, to: number, channels: number, dtype: DType): Cells {
  const key = `${from},${to},${channels},${dtype}`;
  const known = interpolations.get(key);
  if (known !== undefined) return known;
  const cells = cellsOf(dtype, from * channels * to * channels);
  for (let place = 0; place < to; place++) {
    const at = Math.max(0, ((place + 0.5) * from) / to - 0.5);
    const first = Math.min(Math.floor(at), from - 1);
    const second = Math.min(first + 1, from - 1);
    for (let c = 0; c < channels; c++) {
      const col = place * channels + c;
      cells[(first * channels + c) * to * channels + col]! += 1 - (at - first);
      cells[(second * channels + c) * to * channels + col]! += at - first;
    }
  }
  interpolations.set(key, cells);
  forgetOldest(interpolations, MAX_INTERPOLATIONS);
  return cells;
}
