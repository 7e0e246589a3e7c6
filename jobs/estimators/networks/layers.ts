/**
 * The layers of networks as fits, scores and stored models have them. Where the first is fully
 * connected it is what linear models are, weights of the columns and intercepts, so that encoding,
 * imputing and standardising are undone for it as for them; other networks begin at the columns. A
 * fit's matrix of weights has what follows packed in further columns, so that whoever passes weights
 * on need not know.
 */
import {
  gelu,
  heldOut,
  type ImageShape,
  Images,
  layerNorm,
  type Matrix,
  relu,
  takeRows,
  zeros,
} from '../../../driver/index.js';
import { placesOf, windowOf } from '../../../driver/operators/image-window.js';

export const ACTIVATIONS = ['identity', 'logistic', 'tanh', 'relu', 'gelu'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

type Pair = readonly [down: number, across: number];

/** A window that moves over images [height, width, channels], as attributes of operators have it. */
export type Over = {
  readonly image: readonly [height: number, width: number, channels: number];
  readonly window: Pair;
  readonly stride: Pair;
  /** Pixels beyond the border: [top, bottom, left, right]. */
  readonly padding: readonly [number, number, number, number];
};

/** A layer that says something of one row alone, without its numbers. */
export type NetworkLayer =
  | { readonly kind: 'dense'; readonly inputs: number; readonly units: number }
  | {
      readonly kind: 'conv2d';
      readonly over: Over;
      readonly filters: number;
      /** Of channels, with as many of the filters each; absent: one. */
      readonly groups?: number;
    }
  /** Products and sums by channel, of which each of `pixels` has as many; 1: one for all cells. */
  | { readonly kind: 'scale'; readonly channels: number; readonly pixels: number }
  /** The channels of each pixel less their mean, over their deviation; then as `scale`. */
  | {
      readonly kind: 'layer_norm';
      readonly channels: number;
      readonly pixels: number;
      readonly epsilon: number;
    }
  | { readonly kind: 'activation'; readonly activation: Activation }
  | { readonly kind: 'max_pool' | 'avg_pool'; readonly over: Over };

/** Layers in their order; the last is fully connected. */
export type Layers = readonly NetworkLayer[];

/** Shape of a layer's matrix: intercepts in the last row, of scales what is added. */
export function layerShape(layer: NetworkLayer): readonly [rows: number, cols: number] | undefined {
  switch (layer.kind) {
    case 'dense':
      return [layer.inputs + 1, layer.units];
    case 'conv2d': {
      const { window, image } = layer.over;
      const channels = image[2] / (layer.groups ?? 1);
      return [window[0] * window[1] * channels + 1, layer.filters];
    }
    case 'scale':
    case 'layer_norm':
      return [2, layer.channels];
    default:
      return undefined;
  }
}

/** Values that go in and come out, of so many if it takes any number. */
export function widthsOf(
  layer: NetworkLayer,
  width: number,
): readonly [inputs: number, outputs: number] {
  switch (layer.kind) {
    case 'dense':
      return [layer.inputs, layer.units];
    case 'activation':
      return [width, width];
    case 'layer_norm':
    case 'scale': {
      const own =
        layer.kind === 'scale' && layer.channels === 1 ? width : layer.channels * layer.pixels;
      return [own, own];
    }
    default: {
      const { image } = layer.over;
      const channels = layer.kind === 'conv2d' ? layer.filters : image[2];
      return [image[0] * image[1] * image[2], placesIn(layer.over) * channels];
    }
  }
}

/** Units of the first layer, where it is what linear models are; 0: networks of columns. */
export function firstUnits([first]: Layers): number {
  return first?.kind === 'dense' ? first.units : 0;
}

export function layersAfter(layers: Layers): Layers {
  return layers.slice(firstUnits(layers) > 0 ? 1 : 0);
}

function cellsAfter(layers: Layers): number {
  return layersAfter(layers).reduce((sum, layer) => {
    const [rows, cols] = layerShape(layer) ?? [0, 0];
    return sum + rows * cols;
  }, 0);
}

/** Columns of a fit's weights. @param rows of them */
export function packedColumns(layers: Layers, rows: number): number {
  return firstUnits(layers) + Math.ceil(cellsAfter(layers) / rows);
}

/** The first layer's weights, if it is what linear models are, and those after it, one matrix. */
export function packed(rows: number, first: Matrix | undefined, after: readonly Matrix[]): Matrix {
  const flat = flattened(after);
  const columns = Math.ceil(flat.cols / rows);
  const missing = rows * columns - flat.cols;
  const full = missing === 0 ? flat : flat.cbind(zeros(flat.session, 1, missing));
  const rest = full.reshape(rows, columns);
  return first === undefined ? rest : first.cbind(rest);
}

/** Cells of matrices one after the other: [1, cells]. */
export function flattened(layers: readonly Matrix[]): Matrix {
  return beside(layers.map((one) => one.reshape(1, one.rows * one.cols)));
}

function beside([first, ...others]: readonly Matrix[]): Matrix {
  return first!.cbind(...others);
}

/** The matrices of layers, by layer. */
function unpacked(weights: Matrix, layers: Layers): (Matrix | undefined)[] {
  const width = firstUnits(layers);
  const rest = weights.slice(null, [width]);
  const flat = rest.reshape(1, rest.rows * rest.cols);
  let from = 0;
  const after = layersAfter(layers).map((layer) => {
    const shape = layerShape(layer);
    if (shape === undefined) return undefined;
    const [rows, cols] = shape;
    const own = flat.slice(null, [from, from + rows * cols]);
    from += rows * cols;
    return own.reshape(rows, cols);
  });
  return width === 0 ? after : [weights.slice(null, [0, width]), ...after];
}

/** What units make of their decision values. */
function activated(z: Matrix, activation: Activation): Matrix {
  switch (activation) {
    case 'identity':
      return z;
    case 'logistic':
      return z.sigmoid();
    case 'tanh':
      return z.tanh();
    case 'relu':
      return relu(z);
    case 'gelu':
      return gelu(z, 'none');
  }
}

export function imagesOf(x: Matrix, { image }: Pick<Over, 'image'>): Images {
  const [height, width, channels] = image;
  return new Images(x, { height, width, channels });
}

/** x W + b, b being the last row. */
export function affineRows(x: Matrix, layer: Matrix): Matrix {
  const last = layer.rows - 1;
  return x.matmul(layer.slice([0, last])).add(layer.slice(last));
}

/** A number a channel beside every pixel. */
export function byChannel(numbers: Matrix, pixels: number): Matrix {
  if (numbers.cols === 1) return numbers;
  const shape: ImageShape = { height: pixels, width: 1, channels: numbers.cols };
  return new Images(numbers, shape).byChannel(numbers);
}

/** What a layer makes of rows. @param own its matrix, as `shapeOf` has it */
export function applied(layer: NetworkLayer, x: Matrix, own: Matrix | undefined): Matrix {
  switch (layer.kind) {
    case 'dense':
      return affineRows(x, own!);
    case 'activation':
      return activated(x, layer.activation);
    case 'conv2d': {
      const last = own!.rows - 1;
      const [filters, bias] = [own!.slice([0, last]), own!.slice(last)];
      const { over, groups } = layer;
      const options = { ...over, bias, ...(groups && { groups }) };
      return imagesOf(x, over).conv2d(filters, options).matrix;
    }
    case 'max_pool':
      return imagesOf(x, layer.over).maxPool2d(layer.over).matrix;
    case 'avg_pool':
      return imagesOf(x, layer.over).avgPool2d(layer.over).matrix;
    case 'layer_norm': {
      const { channels, pixels, epsilon } = layer;
      const wide = (row: number): Matrix => byChannel(own!.slice(row), pixels);
      return layerNorm(x, { gamma: wide(0), beta: wide(1), epsilon, width: channels });
    }
    case 'scale': {
      const [scale, shift] = [own!.slice(0), own!.slice(1)];
      return x.mul(byChannel(scale, layer.pixels)).add(byChannel(shift, layer.pixels));
    }
  }
}

/** The same of rows of several splits, each with its split's matrix. */
function appliedBySplit(
  layer: NetworkLayer,
  x: Matrix,
  own: readonly (Matrix | undefined)[],
  splitOf: Matrix,
): Matrix {
  const [first] = own;
  if (first === undefined || own.length === 1) return applied(layer, x, first);
  const all = own as readonly Matrix[];
  if (layer.kind === 'dense') return heldOut(splitOf, x, beside(all), all.length);
  if (layer.kind === 'scale') {
    const rowOf = (row: number): Matrix => {
      const [one, ...others] = all.map((both) => both.slice(row));
      return byChannel(takeRows(splitOf, one!.rbind(...others)), layer.pixels);
    };
    return x.mul(rowOf(0)).add(rowOf(1));
  }
  return all
    .map((one) => applied(layer, x, one))
    .reduce((others, one, split) => splitOf.eq(split).ifelse(one, others));
}

/**
 * Decision values of rows under the networks of their split.
 * @shape X: [n, d], weights: by split and model [d + 1, splits * models * packed] -> [n, models *
 *   outputs]
 */
export function heldOutNetworks(
  splitOf: Matrix,
  X: Matrix,
  weights: Matrix,
  { network, splits, models }: { network: Layers; splits: number; models: number },
): Matrix {
  const width = packedColumns(network, weights.rows);
  const decisions = Array.from({ length: models }, (_, model) => {
    const own = Array.from({ length: splits }, (_, split) => {
      const from = (split * models + model) * width;
      return unpacked(weights.slice(null, [from, from + width]), network);
    });
    return network.reduce((x, layer, l) => {
      const matrices = own.map((all) => all[l]);
      // Of columns in float32 the first layer alone sees them as they are.
      if (l === 0 && layer.kind === 'dense') {
        return heldOut(splitOf, x, beside(matrices as Matrix[]), splits).cast('float64');
      }
      return appliedBySplit(layer, l === 0 ? x.cast('float64') : x, matrices, splitOf);
    }, X);
  });
  return beside(decisions);
}

/** Places of a window. */
export function placesIn(over: Over): number {
  return placesOf(windowOf('layer', over));
}
