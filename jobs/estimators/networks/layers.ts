/**
 * Fully connected networks as a fit and a stored model have them. The first layer is what linear
 * models are, weights of the columns and intercepts, so that encoding, imputing and standardising
 * are undone for it as for them; the layers after it act on its decision values. A fit's matrix of
 * weights has these packed in further columns, so that whoever passes weights on need not know.
 */
import { heldOut, type Matrix, matrix, relu, zeros } from '../../../driver/index.js';

export const ACTIVATIONS = ['identity', 'logistic', 'tanh', 'relu'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

/** The shape of a network. */
export interface Perceptron {
  readonly activation: Activation;
  /** Units of the hidden layers, at least one. */
  readonly hidden: readonly number[];
  /** Decision values. */
  readonly outputs: number;
}

/** Layers after the first, as a stored model has them. */
export interface LayersAfter {
  readonly activation: Activation;
  readonly layers: readonly {
    /** By unit of the layer, then unit of the one before. */
    readonly weights: readonly (readonly number[])[];
    readonly intercepts: readonly number[];
  }[];
}

/** What units make of their decision values. */
export function activated(z: Matrix, activation: Activation): Matrix {
  switch (activation) {
    case 'identity':
      return z;
    case 'logistic':
      return z.sigmoid();
    case 'tanh':
      return z.tanh();
    case 'relu':
      return relu(z);
  }
}

/** Shapes of the matrices of the layers after the first, intercepts in the last row. */
export function shapesAfter({
  hidden,
  outputs,
}: Perceptron): (readonly [rows: number, cols: number])[] {
  return hidden.map((units, l) => [units + 1, hidden[l + 1] ?? outputs] as const);
}

function cellsAfter(network: Perceptron): number {
  return shapesAfter(network).reduce((sum, [rows, cols]) => sum + rows * cols, 0);
}

/** Columns of a fit's weights. @param rows of them */
export function packedColumns(network: Perceptron, rows: number): number {
  return network.hidden[0]! + Math.ceil(cellsAfter(network) / rows);
}

/** The first layer's weights and those of the layers after it, one matrix. */
export function packed(first: Matrix, after: readonly Matrix[]): Matrix {
  const flat = flattened(after);
  const columns = Math.ceil(flat.cols / first.rows);
  const missing = first.rows * columns - flat.cols;
  const full = missing === 0 ? flat : flat.cbind(zeros(first.session, 1, missing));
  return first.cbind(full.reshape(first.rows, columns));
}

/** Cells of layers one after the other: [1, cells]. */
export function flattened(layers: readonly Matrix[]): Matrix {
  return beside(layers.map((one) => one.reshape(1, one.rows * one.cols)));
}

function beside([first, ...others]: readonly Matrix[]): Matrix {
  return first!.cbind(...others);
}

function unpacked(weights: Matrix, network: Perceptron): { first: Matrix; after: Matrix[] } {
  const width = network.hidden[0]!;
  const rest = weights.slice(null, [width]);
  const flat = rest.reshape(1, rest.rows * rest.cols);
  let from = 0;
  const after = shapesAfter(network).map(([rows, cols]) => {
    const own = flat.slice(null, [from, from + rows * cols]);
    from += rows * cols;
    return own.reshape(rows, cols);
  });
  return { first: weights.slice(null, [0, width]), after };
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
  { network, splits, models }: { network: Perceptron; splits: number; models: number },
): Matrix {
  const width = packedColumns(network, weights.rows);
  const of = (split: number, model: number) => {
    const from = (split * models + model) * width;
    return unpacked(weights.slice(null, [from, from + width]), network);
  };
  const decisions = Array.from({ length: models }, (_, model) => {
    const own = Array.from({ length: splits }, (_, split) => of(split, model));
    const first = beside(own.map((one) => one.first));
    let z = heldOut(splitOf, X, first, splits).cast('float64');
    for (const l of network.hidden.keys()) {
      const layer = beside(own.map((one) => one.after[l]!));
      z = heldOut(splitOf, activated(z, network.activation), layer, splits);
    }
    return z;
  });
  return beside(decisions);
}

/** The layers of a fit's cells, as `flattened` has them. */
export function storedLayers(network: Perceptron, cells: ArrayLike<number>): LayersAfter {
  let from = 0;
  const layers = shapesAfter(network).map(([rows, cols]) => {
    const at = from;
    from += rows * cols;
    const cell = (row: number, col: number): number => cells[at + row * cols + col]!;
    return {
      weights: Array.from({ length: cols }, (_, unit) =>
        Array.from({ length: rows - 1 }, (_, before) => cell(before, unit)),
      ),
      intercepts: Array.from({ length: cols }, (_, unit) => cell(rows - 1, unit)),
    };
  });
  return { activation: network.activation, layers };
}

/** Decision values of the last layer from those of the first. @shape [n, hidden] -> [n, outputs] */
export function layersOf(z: Matrix, { activation, layers }: LayersAfter): Matrix {
  const { session } = z;
  let values = z;
  for (const { weights, intercepts } of layers) {
    const [units, before] = [intercepts.length, weights[0]!.length];
    const W = matrix(session, units, before, Float64Array.from(weights.flat()));
    const b = matrix(session, 1, units, Float64Array.from(intercepts));
    values = activated(values, activation).matmul(W.t()).add(b);
  }
  return values;
}

const cellsOf: { readonly [A in Activation]: (z: number) => number } = {
  identity: (z) => z,
  logistic: (z) => 1 / (1 + Math.exp(-z)),
  tanh: Math.tanh,
  relu: (z) => Math.max(z, 0),
};

/** The same of plain cells, row by row. */
export function layersOfCells(
  z: Float64Array,
  rows: number,
  { activation, layers }: LayersAfter,
): Float64Array {
  const active = cellsOf[activation];
  let values = z;
  for (const { weights, intercepts } of layers) {
    const units = intercepts.length;
    const before = weights[0]!.length;
    const next = new Float64Array(rows * units);
    const inputs = values.map(active);
    for (let i = 0; i < rows; i++) {
      for (const [unit, own] of weights.entries()) {
        let sum = intercepts[unit]!;
        for (let j = 0; j < before; j++) sum += own[j]! * inputs[i * before + j]!;
        next[i * units + unit] = sum;
      }
    }
    values = next;
  }
  return values;
}
