/**
 * Two small networks and their training by mini-batches as a loop of steps, for what a step takes on
 * a device: a multilayer perceptron with dropout, and convolutions with normalisation over the batch
 * and pools. Rows are shuffled by position, cells dropped by row number, and the steps Adam's.
 */
import {
  adam,
  crossEntropy,
  type Descent,
  descentFrom,
  dropout,
  gradient,
  Images,
  iterate,
  type LoopState,
  type Matrix,
  oneHot,
  relu,
  type Scalar,
  seq,
  shuffledAt,
  takeRows,
  zeros,
} from '../../driver/index.js';
import { affineRows } from '../../jobs/estimators/networks/layers.js';

export interface SmallNetwork {
  readonly classes: number;
  /** Cells of a row. */
  readonly inputs: number;
  /** Rows and columns of each parameter. */
  readonly layers: readonly (readonly [rows: number, cols: number])[];
  /** Decision values of a batch. @param rows their numbers @param seed of this step */
  readonly decisions: (x: Matrix, layers: readonly Matrix[], rows: Matrix, seed: Matrix) => Matrix;
}

export function perceptron(inputs: number, hidden: number, classes: number): SmallNetwork {
  return {
    ...{ inputs, classes },
    layers: [
      [inputs + 1, hidden],
      [hidden + 1, classes],
    ],
    decisions: (x, [first, last], rows, seed) => {
      const active = dropout(relu(affineRows(x, first!)), { rate: 0.2, rows, seed });
      return affineRows(active, last!);
    },
  };
}

/** A convolution, normalised over the batch, a pool, and a layer. */
export function convolutions(side: number, filters: number, classes: number): SmallNetwork {
  const shape = { height: side, width: side, channels: 1 };
  return {
    inputs: side * side,
    classes,
    layers: [
      [9, filters],
      [1, filters],
      [1, filters],
      [9 * filters, filters],
      [(side / 2) ** 2 * filters + 1, classes],
    ],
    decisions: (x, [first, gamma, beta, second, last]) => {
      const window = { window: 3, padding: 'same' } as const;
      const seen = new Images(x, shape).conv2d(first!, window);
      const normal = seen.batchNorm({ gamma: gamma!, beta: beta! }).map(relu);
      const pooled = normal.maxPool2d({ window: 2 }).conv2d(second!, window).map(relu);
      return affineRows(pooled.matrix, last!);
    },
  };
}

export interface SmallTraining {
  readonly network: SmallNetwork;
  readonly batchRows: number;
  readonly steps: number;
}

/** The last loss of a training, [1, 1]. @param layers before it, in their order */
export async function trainSmall(
  { X, y, ...layers }: Readonly<Record<string, Matrix>>,
  { network, batchRows, steps }: SmallTraining,
): Promise<Matrix> {
  const { session, rows: count } = X!;
  const optimiser = adam();
  const none = zeros(session, 1, 1);
  const begin = Object.values(layers).map((layer) => descentFrom(optimiser, layer));
  const places = seq(session, 0, batchRows - 1);
  const end = await iterate(
    { taken: none, loss: none, ...stateOf(begin) } as LoopState,
    (state) => {
      const taken = state.taken!;
      const now = descentsIn(state, begin);
      // Each step goes on where the last has ended, epochs in an order of their own.
      const first = taken.mul(batchRows).mod(count);
      const epoch = taken.mul(batchRows).div(count).floor();
      const size = zeros(session, 1, 1).add(count);
      const numbers = shuffledAt(places.add(first), epoch, size);
      const parameters = now.map(({ parameter }) => parameter);
      const z = network.decisions(takeRows(numbers, X!), parameters, numbers, taken);
      const shares = oneHot(takeRows(numbers, y!).cast(z.dtype), network.classes);
      const loss: Scalar = crossEntropy(z, shares);
      const gradients = gradient(loss, parameters);
      const rate = zeros(session, 1, 1).add(0.01);
      const next = now.map((one, l) => optimiser.step(one, gradients[l]!, { rate, taken }));
      const done = taken.add(1).ge(steps);
      const counters = { taken: taken.add(1), loss: loss.asMatrix().cast('float64') };
      return { state: { ...counters, ...stateOf(next) }, done };
    },
    { maxIterations: steps },
  );
  return end.loss!;
}

/** Layers on their way, as a loop has them. */
export function stateOf(layers: readonly Descent[]): LoopState {
  const entries = layers.flatMap(({ parameter, moments }, l) => [
    [`layer ${l}`, parameter] as const,
    ...moments.map((moment, m) => [`moment ${m} of ${l}`, moment] as const),
  ]);
  return Object.fromEntries(entries);
}

/** The layers that `stateOf` put into a state. @param begin as many, with as many moments */
export function descentsIn(state: LoopState, begin: readonly Descent[]): Descent[] {
  return begin.map(({ moments }, l) => ({
    parameter: state[`layer ${l}`]!,
    moments: moments.map((_, m) => state[`moment ${m} of ${l}`]!),
  }));
}

/** Cells that differ, and are the same each time. @param scale from the least to the greatest */
export function patternCells(count: number, seed: number, scale: number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, i) => (((i * 37 + seed * 11) % 1009) / 1009 - 0.5) * scale,
  );
}
