/**
 * Training of networks by mini-batches: one step of an optimiser an iteration of one loop, for all
 * models of a stack. Which rows a batch has follows from the seed, the epoch and the place in it
 * (`shuffledAt`), so that no order of rows is sorted or carried; epochs, how they end and the rate of
 * a step are numbers of the loop's state, each model's own. Rows that are held out to stop early are
 * further batches at the end of an epoch, after which nothing is changed. Steps, losses and ends are
 * scikit-learn's (`MLPClassifier`, `MLPRegressor`): with equal first weights and rows in order its
 * losses are ours; first weights and shuffles are of our own random numbers.
 */
import {
  descentFrom,
  foldCols,
  gradient,
  groupSums,
  iterate,
  type LoopState,
  type Matrix,
  matrix,
  ones,
  seq,
  shuffledAt,
  takeRows,
  uniformAt,
  zeros,
} from '../../../driver/index.js';
import { normalScale } from '../../../driver/matrix/images.js';
import { type Batch, forward, lossesOf, meanOf } from './forward.js';
import type { TrainableNetwork } from './layer-list.js';
import {
  firstLayers,
  normsOf,
  type Rows,
  SEEDS,
  SPLIT_SEED,
  type Training,
  trainedShapes,
} from './training.js';

export interface Trained {
  /** By layer that has one, in the order of `layersOfNetwork`: as `shapeOf` there has it. */
  readonly layers: readonly Matrix[];
  /** 1 where it ended before the last epoch allowed, [1, 1]. */
  readonly isConverged: Matrix;
  /** Mean loss over the rows in the last epoch, [1, 1]. */
  readonly loss: Matrix;
}

/** An adaptive rate that falls to this ends the training. */
const LEAST_RATE = 1e-6;

/** @param first parameters to begin with, by layer; default by Glorot and Bengio */
export async function trainNetwork(
  rows: Rows,
  training: Training,
  first: readonly Matrix[] = firstLayers(rows, training),
): Promise<Trained> {
  const { X, weight } = rows;
  const { session } = X;
  const { numbers, optimiser, maxEpochs, batchRows, network, validation } = training;
  const none = zeros(session, 1, 1);
  const isTraining = weight.cast('float64').gt(0);
  const count = isTraining.sum().asMatrix();
  const norms = normsOf(network).map(({ channels }) => firstMoments(X, channels));
  const learned = { ...named('layer', first), ...named('norm', norms) };
  const trained = validation ? count.sub(count.mul(validation).ceil()) : undefined;
  const start: LoopState = {
    ...{ epoch: none, at: none, sum: none, loss: none, best: none.add(Number.MAX_VALUE) },
    ...{ stale: none, taken: none, rate: numbers.rate.add(0), isConverged: none },
    order: trained ? orderBefore(rows, training, isTraining, trained) : isTraining.not().order(),
    count,
    ...(trained && {
      trained,
      scores: zeros(session, 1, SCORE_SUMS),
      ...prefixed('best', learned),
    }),
    ...stateOf(first.map((layer) => descentFrom(optimiser, layer))),
    ...named('norm', norms),
  };
  const stepsOf = (own: Matrix): Matrix => own.div(batchRows).ceil();
  const steps = trained ? stepsOf(trained).add(stepsOf(count.sub(trained))) : stepsOf(count);
  const end = await iterate(start, (state) => stepOf(rows, training, state), {
    // More epochs are more of the same loop, which goes on where it stood after fewer.
    maxIterations: maxEpochs * (Math.ceil(X.rows / batchRows) + 1),
    most: steps.mul(maxEpochs),
  });
  const kept = validation ? (name: string) => end[`best ${name}`]! : (name: string) => end[name]!;
  return { layers: matricesOf(network, X, kept), isConverged: end.isConverged!, loss: end.loss! };
}

/**
 * Rows that train, in their order, then those that are held out, then the others: [n, 1]. Of each
 * class as large a share is held out: rows are drawn within their class, and the last of all go by
 * their place in it.
 */
export function orderBefore(
  { X: { session, rows }, y, classes }: Rows,
  { shuffles, numbers }: Pick<Training, 'shuffles' | 'numbers'>,
  isTraining: Matrix,
  trained: Matrix,
): Matrix {
  const inOrder = seq(session, 0, rows - 1);
  const seed = numbers.seed.mul(SEEDS).add(SPLIT_SEED);
  const drawn = shuffles ? uniformAt(inOrder, seed, 1) : inOrder.div(rows);
  // A permutation in the order of its cells is its inverse.
  const placesBy = (key: Matrix): Matrix =>
    isTraining.ifelse(key, Number.MAX_VALUE).order().order();
  let key = drawn;
  if (classes > 0) {
    const own = y.cast('float64');
    const counts = groupSums(own, isTraining, classes);
    const numbersOf = seq(session, 0, classes - 1);
    const starts = numbersOf.gt(numbersOf.t()).matmul(counts);
    const place = placesBy(own.add(drawn)).sub(takeRows(own, starts));
    key = place.add(0.5).div(takeRows(own, counts));
  }
  return placesBy(key).ge(trained).add(isTraining.not()).order();
}

function named(kind: string, matrices: readonly Matrix[]): LoopState {
  return Object.fromEntries(matrices.map((one, i) => [`${kind} ${i}`, one]));
}

function prefixed(prefix: string, state: LoopState): LoopState {
  return Object.fromEntries(Object.entries(state).map(([name, one]) => [`${prefix} ${name}`, one]));
}

type Parameters = readonly { readonly parameter: Matrix; readonly moments: readonly Matrix[] }[];

function stateOf(layers: Parameters): LoopState {
  const entries = layers.flatMap(({ parameter, moments }, l) => [
    [`layer ${l}`, parameter] as const,
    ...moments.map((moment, m) => [`layer ${l} moment ${m}`, moment] as const),
  ]);
  return Object.fromEntries(entries);
}

/** Mean and variance by channel before any batch: [2, channels]. */
function firstMoments({ session, dtype }: Matrix, channels: number): Matrix {
  return zeros(session, 1, channels, { dtype }).rbind(ones(session, 1, channels, { dtype }));
}

function stepOf(rows: Rows, training: Training, state: LoopState) {
  const { network, optimiser, validation } = training;
  const now: Parameters = trainedShapes(network).map((_, l) => ({
    parameter: state[`layer ${l}`]!,
    moments: Array.from({ length: optimiser.moments }, (_, m) => state[`layer ${l} moment ${m}`]!),
  }));
  const norms = normsOf(network).map((_, i) => state[`norm ${i}`]!);
  const parameters = now.map(({ parameter }) => parameter);
  const batch = batchOf(rows, training, state);
  const { z, moments } = forward(rows, training, batch, parameters, norms);
  const own = lossesOf(rows, training, batch, z);
  const loss = meanOf(training, batch, own, parameters);
  const gradients = gradient(loss, parameters);
  const numbers = { rate: state.rate!, taken: state.taken! };
  const stepped = now.map((layer, l) => optimiser.step(layer, gradients[l]!, numbers));
  const { isTraining } = batch;
  const after = { ...stateOf(stepped), ...named('norm', moments) };
  const before = { ...stateOf(now), ...named('norm', norms) };
  const next: LoopState =
    isTraining === undefined
      ? after
      : mapped(after, (one, name) => isTraining.cast(one.dtype).ifelse(one, before[name]!));
  const scored = validation ? scoresAfter(rows, training, state, batch, z) : undefined;
  const { done, isBetter, ...counters } = countersAfter(
    training,
    state,
    loss.cast('float64'),
    batch,
    scored?.value,
  );
  const { order, count, trained } = state;
  const best =
    scored &&
    prefixed(
      'best',
      mapped({ ...named('layer', parameters), ...named('norm', norms) }, (one, name) =>
        isBetter.cast(one.dtype).ifelse(next[name]!, state[`best ${name}`]!),
      ),
    );
  return {
    state: {
      ...{ ...counters, order: order!, count: count!, ...next, ...best },
      ...(scored && { trained: trained!, scores: scored.sums }),
    },
    done,
  };
}

function mapped(state: LoopState, change: (one: Matrix, name: string) => Matrix): LoopState {
  return Object.fromEntries(Object.entries(state).map(([name, one]) => [name, change(one, name)]));
}

function batchOf({ X, y, weight }: Rows, training: Training, state: LoopState): Batch {
  const { batchRows, shuffles, numbers, validation } = training;
  const { at, epoch, order, count, trained = count } = state as Readonly<Record<string, Matrix>>;
  const isTraining = validation ? at!.lt(trained!) : undefined;
  const places = seq(X.session, 0, batchRows - 1).add(at!);
  const isRow = places.lt(isTraining ? isTraining.ifelse(trained!, count!) : count!);
  const shuffled = shuffles
    ? shuffledAt(places, numbers.seed.mul(SEEDS).add(epoch!), trained!)
    : places;
  const either = isTraining && shuffles ? isTraining.ifelse(shuffled, places) : shuffled;
  const numbersOf = isRow.ifelse(takeRows(either, order!), -1);
  const own = takeRows(numbersOf, weight).cast(X.dtype);
  return {
    x: takeRows(numbersOf, X),
    y: takeRows(numbersOf, y).cast(X.dtype),
    weight: own,
    total: own.sum().asMatrix(),
    size: isRow.sum().asMatrix(),
    numbers: numbersOf,
    isRow: isRow.cast(X.dtype),
    epoch: epoch!,
    isTraining,
  };
}

/** Sums that a score is made of: of weights, of what is right or squared errors, of y, of y^2. */
const SCORE_SUMS = 4;

/** Sums after a batch of rows that are held out, and what is to be small of all of them so far. */
function scoresAfter(
  rows: Rows,
  { loss }: Training,
  { scores, at }: LoopState,
  batch: Batch,
  z: Matrix,
): { readonly sums: Matrix; readonly value: Matrix } {
  const { y, weight, isTraining } = batch;
  const own = {
    squared: () => z.sub(y).square(),
    binary: () => z.gt(0).eq(y),
    classes: () => foldCols(z, { width: z.cols, fold: 'indexMax' }).eq(y),
    reconstruction: () => z.sub(rows.design.rows(batch.x)).rowSumSqs().div(z.cols),
  }[loss]();
  const cells = [own.mul(0).add(1), own, y, y.square()].map((one) =>
    one.cast('float64').mul(weight.cast('float64')).colSums(),
  );
  const added = cells[0]!.cbind(...cells.slice(1)).mul(isTraining!.not());
  const sums = at!.gt(0).ifelse(scores!, 0).add(added);
  const [all, right, sum, squares] = [0, 1, 2, 3].map((k) => sums.slice(null, k));
  const value = {
    squared: () => right!.div(squares!.sub(sum!.square().div(all!))).sub(1),
    binary: () => right!.div(all!).neg(),
    classes: () => right!.div(all!).neg(),
    reconstruction: () => right!.div(all!),
  }[loss]();
  return { sums, value };
}

/**
 * What is counted, after a step with this loss.
 * @param score what is to be small of the rows that are held out, once all of them were seen
 */
function countersAfter(
  training: Training,
  state: LoopState,
  loss: Matrix,
  { size, isTraining }: Batch,
  score: Matrix | undefined,
) {
  const { batchRows, patience, rates, numbers } = training;
  const now = state as Readonly<Record<string, Matrix>>;
  const { count, trained = count } = now;
  const isLearned = (one: Matrix): Matrix => (isTraining ? one.mul(isTraining) : one);
  const sum = now.sum!.add(isLearned(loss.mul(size)));
  const next = now.at!.add(batchRows);
  const at = isTraining ? next.minimum(isTraining.ifelse(trained!, count!)) : next;
  const isEnd = at.ge(count!);
  const mean = sum.div(trained!);
  const value = score ?? mean;
  const isStale = value.gt(now.best!.sub(numbers.tolerance));
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
    invscaling: () => numbers.rate.div(epoch.mul(trained!).add(1).pow(numbers.exponent!)),
    adaptive: () => falls.ifelse(now.rate!.div(5), now.rate!),
    exponential: () => numbers.rate.mul(numbers.decay!.pow(epoch)),
  }[rates]();
  const atEnd = (one: Matrix, otherwise: Matrix): Matrix => isEnd.ifelse(one, otherwise);
  return {
    epoch,
    at: isEnd.ifelse(0, at),
    sum: isEnd.ifelse(0, sum),
    loss: atEnd(mean, now.loss!),
    best: atEnd(now.best!.minimum(value), now.best!),
    stale: atEnd(isAdaptive ? falls.ifelse(0, stale) : stale, now.stale!),
    taken: now.taken!.add(isTraining ?? 1),
    rate: atEnd(rateAfter, now.rate!),
    isConverged,
    isBetter: isEnd.and(value.lt(now.best!)),
    done: isConverged,
  };
}

/** What came out of training, as layers have it when they say something of new rows. */
function matricesOf(network: TrainableNetwork, X: Matrix, of: (name: string) => Matrix): Matrix[] {
  let [l, i] = [0, 0];
  return network.layers.flatMap((layer): Matrix[] => {
    switch (layer.kind) {
      case 'dense':
      case 'conv2d':
      case 'layer_norm':
        return [of(`layer ${l++}`)];
      case 'batch_norm': {
        const [parameter, moments] = [of(`layer ${l++}`), of(`norm ${i++}`)];
        const { scale, shift } = normalScale({
          ...{ mean: moments.slice(0), variance: moments.slice(1), epsilon: layer.epsilon },
          ...{ gamma: parameter.slice(0), beta: parameter.slice(1) },
        });
        return [scale.rbind(shift)];
      }
      case 'rescaling':
        return [matrix(X.session, 2, 1, Float64Array.of(layer.scale, layer.offset))];
      default:
        return [];
    }
  });
}
