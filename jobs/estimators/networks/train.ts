/**
 * Training of fully connected networks by mini-batches: one step of an optimiser an iteration of one
 * loop, for all models of a stack. Which rows a batch has follows from the seed, the epoch and the
 * place in it (`shuffledAt`), so that no order of rows is sorted or carried; epochs, how they end
 * and the rate of a step are numbers of the loop's state, each model's own. Steps, losses and ends
 * are scikit-learn's (`MLPClassifier`, `MLPRegressor`): with equal first weights and rows in order
 * its losses are ours; first weights and shuffles are of our own random numbers.
 */
import {
  descentFrom,
  gradient,
  iterate,
  type LoopState,
  logSoftmax,
  type Matrix,
  type Optimiser,
  oneHot,
  seq,
  shuffledAt,
  takeRows,
  uniformAt,
  zeros,
} from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import { activated, type Perceptron } from './layers.js';

/** What decision values are compared with the target by. */
export type NetworkLoss = 'squared' | 'binary' | 'classes';

export interface Training {
  readonly network: Perceptron;
  readonly loss: NetworkLoss;
  /** Rows of a step; the last of an epoch may have fewer. */
  readonly batchRows: number;
  readonly shuffles: boolean;
  readonly maxEpochs: number;
  /** Epochs without a better loss before it ends, or the rate falls. */
  readonly patience: number;
  readonly optimiser: Optimiser;
  /** How the rate goes on after an epoch; see `ratesAfter`. */
  readonly rates: 'constant' | 'invscaling' | 'adaptive';
  /** [1, 1] each. */
  readonly numbers: {
    /** Weight of half the squares of weights, intercepts left out. */
    readonly alpha: Matrix;
    readonly rate: Matrix;
    readonly exponent: Matrix;
    /** What a better loss is better by. */
    readonly tolerance: Matrix;
    /** Whole, from 0. */
    readonly seed: Matrix;
  };
}

export interface Trained {
  /** Of the design columns, then of the layers after: [inputs + 1, units], intercepts last. */
  readonly layers: readonly Matrix[];
  /** 1 where it ended before the last epoch allowed, [1, 1]. */
  readonly isConverged: Matrix;
  /** Mean loss over the rows in the last epoch, [1, 1]. */
  readonly loss: Matrix;
}

/** Seeds of one `random_state`: more than epochs and layers. */
const SEEDS = 2 ** 20;
/** Seeds of first weights lie after those of epochs. */
const FIRST_SEED = SEEDS - 64;
/** An adaptive rate that falls to this ends the training. */
const LEAST_RATE = 1e-6;

/** Rows of the design, as layers and as cells of batches. */
type Rows = Pick<RowData, 'X' | 'y' | 'weight' | 'design' | 'classes'>;

/** @param first layers to begin with; default by Glorot and Bengio */
export async function trainNetwork(
  rows: Rows,
  training: Training,
  first: readonly Matrix[] = firstLayers(rows, training),
): Promise<Trained> {
  const { X, weight } = rows;
  const { session } = X;
  const { numbers, optimiser, maxEpochs } = training;
  const none = zeros(session, 1, 1);
  const counters = {
    ...{ epoch: none, at: none, sum: none, loss: none, best: none.add(Number.MAX_VALUE) },
    ...{ stale: none, taken: none, rate: numbers.rate.add(0), isConverged: none },
  };
  const start: LoopState = {
    ...counters,
    // Training rows first, in their order.
    order: weight.cast('float64').gt(0).not().order(),
    count: weight.cast('float64').gt(0).sum().asMatrix(),
    ...stateOf(first.map((layer) => descentFrom(optimiser, layer))),
  };
  const maxSteps = maxEpochs * Math.ceil(X.rows / training.batchRows);
  const end = await iterate(start, (state) => stepOf(rows, training, state), {
    maxIterations: maxSteps,
  });
  const layers = first.map((_, l) => end[`layer ${l}`]!);
  return { layers, isConverged: end.isConverged!, loss: end.loss! };
}

type Layers = readonly { readonly parameter: Matrix; readonly moments: readonly Matrix[] }[];

function stateOf(layers: Layers): LoopState {
  const entries = layers.flatMap(({ parameter, moments }, l) => [
    [`layer ${l}`, parameter] as const,
    ...moments.map((moment, m) => [`layer ${l} moment ${m}`, moment] as const),
  ]);
  return Object.fromEntries(entries);
}

function stepOf(rows: Rows, training: Training, state: LoopState) {
  const { network, optimiser } = training;
  const now: Layers = network.hidden.concat(0).map((_, l) => ({
    parameter: state[`layer ${l}`]!,
    moments: Array.from({ length: optimiser.moments }, (_, m) => state[`layer ${l} moment ${m}`]!),
  }));
  const layers = now.map(({ parameter }) => parameter);
  const batch = batchOf(rows, training, state);
  const loss = lossOf(rows, training, batch, layers);
  const gradients = gradient(loss, layers);
  const numbers = { rate: state.rate!, taken: state.taken! };
  const next = now.map((layer, l) => optimiser.step(layer, gradients[l]!, numbers));
  const { done, ...counters } = countersAfter(training, state, loss.cast('float64'), batch.size);
  const { order, count } = state as Readonly<Record<'order' | 'count', Matrix>>;
  return { state: { ...counters, order, count, ...stateOf(next) }, done };
}

interface Batch {
  readonly x: Matrix;
  /** [batch, 1] */
  readonly y: Matrix;
  /** 1, or 0 for places after the last row of the epoch. */
  readonly isRow: Matrix;
  /** Rows of the batch, [1, 1]. */
  readonly size: Matrix;
}

function batchOf({ X, y }: Rows, training: Training, state: LoopState): Batch {
  const { batchRows, shuffles, numbers } = training;
  const { at, epoch, order, count } = state as Readonly<Record<string, Matrix>>;
  const places = seq(X.session, 0, batchRows - 1).add(at!);
  const isRow = places.lt(count!);
  const seed = numbers.seed.mul(SEEDS).add(epoch!);
  const shuffled = shuffles ? shuffledAt(places, seed, count!) : places;
  const numbersOf = isRow.ifelse(takeRows(shuffled, order!), -1);
  return {
    x: takeRows(numbersOf, X),
    y: takeRows(numbersOf, y).cast(X.dtype),
    isRow: isRow.cast(X.dtype),
    size: isRow.sum().asMatrix(),
  };
}

/** Mean over the rows of a batch, and the penalty over as many. [1, 1] */
function lossOf(
  rows: Rows,
  { network, loss, numbers }: Training,
  { x, y, isRow, size }: Batch,
  layers: readonly Matrix[],
): Matrix {
  const { dtype } = x;
  const z = decisionsOf(rows, network, x, layers);
  const own =
    loss === 'squared'
      ? z.sub(y).square().mul(0.5)
      : loss === 'binary'
        ? z.softplus().sub(z.mul(y))
        : logSoftmax(z).mul(oneHot(y, network.outputs)).rowSums().neg();
  const squares = layers.map((layer) => layer.slice([0, layer.rows - 1]).sumSq());
  const penalty = squares
    .reduce((sum, one) => sum.add(one))
    .asMatrix()
    .mul(numbers.alpha.mul(0.5).cast(dtype));
  return own.mul(isRow).sum().asMatrix().add(penalty).div(size.cast(dtype));
}

/** Decision values of encoded rows by layers whose first is of the design columns. */
function decisionsOf(
  { design }: Rows,
  { activation }: Perceptron,
  x: Matrix,
  [first, ...after]: readonly Matrix[],
): Matrix {
  let z = affine(x, encodedLayer(design, first!, x.cols));
  for (const layer of after) z = affine(activated(z, activation), layer);
  return z;
}

/** The first layer's weights of encoded columns; designs are in float64. */
export function encodedLayer(design: RowData['design'], first: Matrix, encoded: number): Matrix {
  const probe = zeros(first.session, encoded + 1, 1);
  if (design.columns === encoded && design.expand(probe) === probe) return first;
  return design.expand(first.cast('float64')).cast(first.dtype);
}

/** x W + b, b being the last row. */
function affine(x: Matrix, layer: Matrix): Matrix {
  const last = layer.rows - 1;
  return x.matmul(layer.slice([0, last])).add(layer.slice(last));
}

/** What is counted, after a step with this loss over so many rows. */
function countersAfter(training: Training, state: LoopState, loss: Matrix, size: Matrix) {
  const { batchRows, maxEpochs, patience, rates, numbers } = training;
  const now = state as Readonly<Record<string, Matrix>>;
  const sum = now.sum!.add(loss.mul(size));
  const isEnd = now.at!.add(batchRows).ge(now.count!);
  const mean = sum.div(now.count!);
  const isStale = mean.gt(now.best!.sub(numbers.tolerance));
  const stale = isStale.ifelse(now.stale!.add(1), 0);
  const isOver = stale.gt(patience);
  const epoch = now.epoch!.add(isEnd);
  const isAdaptive = rates === 'adaptive';
  const stops = isAdaptive ? isOver.and(now.rate!.le(LEAST_RATE)) : isOver;
  const falls = isOver.and(stops.not());
  const isConverged = isEnd.and(stops);
  const rateAfter = {
    constant: () => now.rate!,
    // Its time is rows seen.
    invscaling: () => numbers.rate.div(epoch.mul(now.count!).add(1).pow(numbers.exponent)),
    adaptive: () => falls.ifelse(now.rate!.div(5), now.rate!),
  }[rates]();
  const atEnd = (value: Matrix, otherwise: Matrix): Matrix => isEnd.ifelse(value, otherwise);
  return {
    epoch,
    at: isEnd.ifelse(0, now.at!.add(batchRows)),
    sum: isEnd.ifelse(0, sum),
    loss: atEnd(mean, now.loss!),
    best: atEnd(now.best!.minimum(mean), now.best!),
    stale: atEnd(isAdaptive ? falls.ifelse(0, stale) : stale, now.stale!),
    taken: now.taken!.add(1),
    rate: atEnd(rateAfter, now.rate!),
    isConverged,
    done: isConverged.or(epoch.ge(maxEpochs)),
  };
}

/**
 * Uniform on [-b, b], b = sqrt(6 / (inputs + units)), 2 in place of 6 for the logistic function.
 * Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
 * networks" (AISTATS 2010), as scikit-learn has it.
 */
function firstLayers({ X, design }: Rows, { network, numbers }: Training): Matrix[] {
  const sizes = [design.columns, ...network.hidden, network.outputs];
  return sizes.slice(1).map((units, l) => {
    const inputs = sizes[l]!;
    const bound = Math.sqrt((network.activation === 'logistic' ? 2 : 6) / (inputs + units));
    const seed = numbers.seed.mul(SEEDS).add(FIRST_SEED + l);
    const drawn = uniformAt(seq(X.session, 0, inputs), seed, units);
    return drawn
      .mul(2 * bound)
      .sub(bound)
      .cast(X.dtype);
  });
}
