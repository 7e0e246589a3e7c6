/**
 * Layers as a stored model has them, and what they make of rows: as expressions and as plain cells.
 * Invariant: both say the same, up to the order of sums.
 */

import { InternalError } from '../../../driver/errors.js';
import { type Matrix, matrix } from '../../../driver/index.js';
import { cellOf } from '../../../driver/ir/cell-program.js';
import { erfProgram } from '../../../driver/operators/cell-functions.js';
import {
  type Activation,
  applied,
  type Layers,
  layerShape,
  layersAfter,
  type NetworkLayer,
  type Over,
} from './layers.js';

/** A layer of a stored model. */
export type StoredLayer =
  | {
      readonly kind: 'dense';
      /** By unit of the layer, then unit of the one before. */
      readonly weights: readonly (readonly number[])[];
      readonly intercepts: readonly number[];
    }
  | {
      readonly kind: 'conv2d';
      readonly over: Over;
      readonly groups?: number | undefined;
      /** By filter, then pixel of the window and channel (of its group). */
      readonly weights: readonly (readonly number[])[];
      readonly intercepts: readonly number[];
    }
  | {
      readonly kind: 'scale';
      readonly pixels: number;
      readonly scale: readonly number[];
      readonly shift: readonly number[];
    }
  | {
      readonly kind: 'layer_norm';
      readonly pixels: number;
      readonly epsilon: number;
      readonly scale: readonly number[];
      readonly shift: readonly number[];
    }
  | Extract<NetworkLayer, { readonly kind: 'activation' | 'max_pool' | 'avg_pool' }>;

/** The layers after a linear first one, with the cells of a fit as `flattened` has them. */
export function storedLayers(network: Layers, cells: ArrayLike<number>): StoredLayer[] {
  let from = 0;
  return layersAfter(network).map((layer): StoredLayer => {
    const [rows, cols] = layerShape(layer) ?? [0, 0];
    const at = from;
    from += rows * cols;
    const column = (col: number, length: number): number[] =>
      Array.from({ length }, (_, row) => cells[at + row * cols + col]!);
    const row = (place: number): number[] =>
      Array.from({ length: cols }, (_, col) => cells[at + place * cols + col]!);
    const linear = () => ({
      weights: Array.from({ length: cols }, (_, unit) => column(unit, rows - 1)),
      intercepts: row(rows - 1),
    });
    switch (layer.kind) {
      case 'dense':
        return { kind: 'dense', ...linear() };
      case 'conv2d':
        return {
          ...{ kind: 'conv2d', over: layer.over },
          ...(layer.groups && { groups: layer.groups }),
          ...linear(),
        };
      case 'scale':
        return { kind: 'scale', pixels: layer.pixels, scale: row(0), shift: row(1) };
      case 'layer_norm': {
        const { pixels, epsilon } = layer;
        return { kind: 'layer_norm', pixels, epsilon, scale: row(0), shift: row(1) };
      }
      default:
        return layer;
    }
  });
}

/** Values that come out of stored layers; undefined: as many as go in. */
export function layersWidth(layers: readonly StoredLayer[] | undefined): number | undefined {
  const last = layers?.findLast((layer) => layer.kind === 'dense');
  return last?.kind === 'dense' ? last.intercepts.length : undefined;
}

/** What stored layers make of values. @shape [n, values] -> [n, outputs] */
export function layersOf(z: Matrix, layers: readonly StoredLayer[]): Matrix {
  return layers.reduce((x, layer) => {
    const { cells, ...own } = withCells(layer);
    const shape = layerShape(own.layer);
    return applied(own.layer, x, shape && matrix(z.session, ...shape, cells!));
  }, z);
}

/** A stored layer as fits have it: what it is, and the cells of its matrix. */
export function withCells(layer: StoredLayer): {
  readonly layer: NetworkLayer;
  readonly cells?: Float64Array;
} {
  switch (layer.kind) {
    case 'dense':
    case 'conv2d': {
      const { weights, intercepts } = layer;
      const [units, inputs] = [intercepts.length, weights[0]!.length];
      const cells = new Float64Array((inputs + 1) * units);
      for (const [unit, own] of weights.entries()) {
        for (const [row, weight] of own.entries()) cells[row * units + unit] = weight;
      }
      cells.set(intercepts, inputs * units);
      if (layer.kind === 'dense') return { layer: { kind: 'dense', inputs, units }, cells };
      const { over, groups } = layer;
      return { layer: { kind: 'conv2d', over, filters: units, ...(groups && { groups }) }, cells };
    }
    case 'layer_norm': {
      const { pixels, epsilon, scale, shift } = layer;
      const cells = Float64Array.from([...scale, ...shift]);
      return { layer: { kind: 'layer_norm', pixels, epsilon, channels: scale.length }, cells };
    }
    case 'scale': {
      const { pixels, scale, shift } = layer;
      const cells = Float64Array.from([...scale, ...shift]);
      return { layer: { kind: 'scale', pixels, channels: scale.length }, cells };
    }
    default:
      return { layer };
  }
}

const erfOf = cellOf(erfProgram);

const cellsOf: { readonly [A in Activation]: (z: number) => number } = {
  identity: (z) => z,
  logistic: (z) => 1 / (1 + Math.exp(-z)),
  tanh: Math.tanh,
  relu: (z) => Math.max(z, 0),
  gelu: (z) => (z / 2) * (1 + erfOf(z * Math.SQRT1_2, 0, 0)),
};

/** `layersOf` of plain cells, row by row. Images are made by kernels, as expressions. */
export function layersOfCells(
  z: Float64Array,
  rows: number,
  layers: readonly StoredLayer[],
): Float64Array {
  return layers.reduce((x, layer) => appliedToCells(x, rows, layer), z);
}

/** `withCells` with filters over all channels: those of other groups count 0 times. */
export function withAllChannels(stored: StoredLayer): ReturnType<typeof withCells> {
  const known = withCells(stored);
  const { layer, cells: own } = known;
  if (layer.kind !== 'conv2d' || layer.groups === undefined) return known;
  const { groups, ...whole } = layer;
  const { over, filters } = whole;
  const channels = over.image[2] / groups;
  const last = own!.length - filters;
  const cells = new Float64Array(last * groups + filters);
  for (let at = 0; at < last; at++) {
    const [row, filter] = [Math.floor(at / filters), at % filters];
    const group = Math.floor((filter * groups) / filters);
    const tap = Math.floor(row / channels);
    const channel = (tap * groups + group) * channels + (row % channels);
    cells[channel * filters + filter] = own![at]!;
  }
  cells.set(own!.subarray(last), last * groups);
  return { layer: whole, cells };
}

/** Of layers that rows pass block by block. */
const knownCells = new WeakMap<StoredLayer, ReturnType<typeof withCells>>();

function appliedToCells(x: Float64Array, rows: number, stored: StoredLayer): Float64Array {
  const known = knownCells.get(stored) ?? withCells(stored);
  knownCells.set(stored, known);
  const { layer, cells } = known;
  switch (layer.kind) {
    case 'activation':
      return x.map(cellsOf[layer.activation]);
    case 'layer_norm':
      return normalised(x, layer, cells!);
    case 'scale': {
      const { channels } = layer;
      return x.map((cell, i) => cell * cells![i % channels]! + cells![channels + (i % channels)]!);
    }
    case 'dense': {
      const { inputs: taps, units: filters } = layer;
      return windowProducts(x, { rows, taps, filters }, cells!);
    }
    case 'conv2d':
    case 'max_pool':
    case 'avg_pool':
      throw new InternalError(`layersOfCells: expected layers of no images, got ${layer.kind}`);
  }
}

function normalised(
  x: Float64Array,
  { channels, epsilon }: Extract<NetworkLayer, { readonly kind: 'layer_norm' }>,
  cells: Float64Array,
): Float64Array {
  const out = new Float64Array(x.length);
  for (let from = 0; from < x.length; from += channels) {
    const own = x.subarray(from, from + channels);
    const mean = own.reduce((sum, cell) => sum + cell, 0) / channels;
    const squares = own.reduce((sum, cell) => sum + (cell - mean) ** 2, 0);
    const deviation = Math.sqrt(squares / channels + epsilon);
    for (let c = 0; c < channels; c++) {
      out[from + c] = ((own[c]! - mean) / deviation) * cells[c]! + cells[channels + c]!;
    }
  }
  return out;
}

/** Rows times a matrix whose last row is added. */
export function windowProducts(
  x: Float64Array,
  { rows, taps, filters }: { rows: number; taps: number; filters: number },
  cells: Float64Array,
): Float64Array {
  const out = new Float64Array(rows * filters);
  for (let row = 0; row < rows; row++) {
    const own = out.subarray(row * filters, (row + 1) * filters);
    own.set(cells.subarray(taps * filters));
    for (let tap = 0; tap < taps; tap++) {
      const factor = x[row * taps + tap]!;
      for (let f = 0; f < filters; f++) own[f]! += factor * cells[tap * filters + f]!;
    }
  }
  return out;
}
