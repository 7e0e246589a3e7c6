/**
 * Training steps of small networks on the processor, Adam, float32: a multilayer perceptron
 * (784-100-10, batches of 200), one model and ten of them together, and a convolutional one (3x3x16,
 * 3x3x32, dense, batches of 100 of 28x28), against JAX and PyTorch. All begin with the same weights
 * and take the same rows in the same order; the loss of the last epoch is compared before a time
 * counts. Our time has the whole training in it: tracing, plans, a planned step, compiling the loop
 * (code of an earlier training in the process is warm). Theirs begins after an epoch that compiled
 * it. What a step takes beside all that is told too, from a training three times as long.
 */
import { performance } from 'node:perf_hooks';
import {
  adam,
  batch,
  descentFrom,
  fill,
  gradient,
  Images,
  iterate,
  type LoopState,
  logSoftmax,
  type Matrix,
  matrix,
  oneHot,
  relu,
  Session,
  seq,
  takeRows,
  zeros,
} from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { RowData } from '../jobs/estimators/estimator.js';
import { perceptron } from '../jobs/estimators/networks/layer-list.js';
import { affineRows } from '../jobs/estimators/networks/layers.js';
import { trainNetwork } from '../jobs/estimators/networks/train.js';
import { alternate, type Bench, type Recorder, type Sample, type Side } from './harness.js';
import { benchFile, ownPython } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';
import { descentsIn, patternCells, stateOf } from './workloads/small-networks.js';

type Given = Readonly<Record<string, Matrix>>;

/** A network as `network_step_data.py` has it too. */
interface Network {
  readonly kind: 'mlp' | 'cnn';
  readonly rows: number;
  readonly batchRows: number;
  /** Rows and columns of each layer, the last row being the intercepts, and its seed. */
  readonly layers: readonly (readonly [rows: number, cols: number, seed: number])[];
  /** The mean loss in the last epoch. */
  readonly train: (given: Given, epochs: number) => Promise<Matrix>;
}

const INPUTS = 784;
const CLASSES = 10;
const HIDDEN = 100;
const MODELS = 10;
/** Times as many epochs. */
const LONG = 3;
const ALPHA = 1e-4;
const RATE = 0.001;

const mlp: Network = {
  kind: 'mlp',
  rows: 4000,
  batchRows: 200,
  layers: [
    [INPUTS + 1, HIDDEN, 2],
    [HIDDEN + 1, CLASSES, 3],
  ],
  train: trainMlp,
};

const cnn: Network = {
  kind: 'cnn',
  rows: 1000,
  batchRows: 100,
  layers: [
    [10, 16, 4],
    [145, 32, 5],
    [7 * 7 * 32 + 1, CLASSES, 6],
  ],
  train: trainCnn,
};

/** Cells that the rivals have too: ((37 i + 11 seed) mod 1009) / 1009 - 0.5, scaled. */
function cells(rows: number, cols: number, seed: number, scale: number): Float32Array {
  return patternCells(rows * cols, seed, scale);
}

export const networkStep: Bench = {
  name: 'network-step',
  summary: 'training steps of small networks, one model and ten, against JAX and PyTorch',
  run: async (recorder, { quick }) => {
    const jax = new PythonRival(undefined, ownPython('jax', ['jax[cpu]']));
    const torch = new PythonRival(2, ownPython('torch', ['torch numpy']));
    try {
      for (const network of [mlp, cnn]) {
        const epochs = quick ? 2 : 10;
        const rivalOf = (name: string, rival: PythonRival, script: string): Side => ({
          name: `${network.kind} ${name}`,
          run: async () => {
            const argv = [network.kind, String(epochs)];
            const { seconds, answers } = await rival.run(benchFile(script), argv);
            return { seconds, answers: answers.flat() };
          },
        });
        const sides: Side[] = [
          { name: `${network.kind} one`, run: () => trained(network, 1, epochs) },
          { name: `${network.kind} ten`, run: () => trained(network, MODELS, epochs) },
          rivalOf('jax', jax, 'rivals/network-step.py'),
          rivalOf('torch', torch, 'rivals/network-step-torch.py'),
        ];
        const long: Side = {
          name: `${network.kind} long`,
          // Another loss than that of the others, so it is not compared.
          run: async () => ({ seconds: (await trained(network, 1, LONG * epochs)).seconds }),
        };
        // The stack of ten convolutional networks has no rival and would take most of the time.
        const run = [...sides.filter((_, i) => network === mlp || i !== 1), long];
        await alternate(recorder, run, { rounds: quick ? 2 : 7, tolerance: 1e-3 });
        report(recorder, network, epochs);
      }
    } finally {
      await jax.close();
      await torch.close();
    }
  },
};

function report(recorder: Recorder, { kind, rows, batchRows }: Network, epochs: number): void {
  const steps = (epochs * rows) / batchRows;
  const one = `${kind} one`;
  const median = (name: string): number => recorder.summary(name).median;
  recorder.figure(`${kind}_step_ms`, (median(one) * 1000) / steps, undefined, [one]);
  const rivals = [`${kind} jax`, `${kind} torch`];
  const [best] = rivals.sort((a, b) => median(a) - median(b));
  recorder.figure(`${kind}_best_ms`, (median(best!) * 1000) / steps, undefined, [best!]);
  recorder.ratio(`${kind}_one_by_best`, one, best!, { atMost: 1.5 });
  const long = `${kind} long`;
  const further = (median(long) - median(one)) / (LONG - 1);
  recorder.figure(`${kind}_further_step_ms`, (further * 1000) / steps, undefined, [long, one]);
  const from = [long, one, best!];
  recorder.figure(`${kind}_further_by_best`, further / median(best!), { atMost: 1.5 }, from);
  if (kind !== 'mlp') return;
  // Times of ten by one.
  recorder.ratio('mlp_ten_by_one', 'mlp ten', one, { atMost: MODELS });
}

async function trained(network: Network, models: number, epochs: number): Promise<Sample> {
  const session = new Session({ local: await createCpuBackend(), reuse: 'off' });
  const { kind, rows, layers } = network;
  const X = matrix(session, rows, INPUTS, cells(rows, INPUTS, 1, 1), { copy: false });
  const classes = Float64Array.from({ length: rows }, (_, i) => (i * 7919) % CLASSES);
  const weights = layers.map(([r, c, seed], l) => {
    return [`layer ${l}`, { shared: matrix(session, r, c, cells(r, c, seed, 0.2)) }] as const;
  });
  const begun = performance.now();
  const found = await batch(
    session,
    models,
    {
      X: { shared: X },
      y: { shared: matrix(session, rows, 1, classes) },
      // Each model has another, so that it is trained for itself.
      alpha: Array.from({ length: models }, (_, k) => fill(session, 1, 1, ALPHA * (1 + k / 10))),
      ...Object.fromEntries(weights),
    },
    async (given) => ({ loss: await network.train(given, epochs) }),
    { name: `bench of ${models} networks, ${kind}`, version: '1', isFresh: true },
  );
  const losses = await Promise.all(found.map(({ loss }) => loss.asScalar().value()));
  const seconds = (performance.now() - begun) / 1000;
  await session.close();
  return { seconds, answers: losses.slice(0, 1) };
}

async function trainMlp(given: Given, epochs: number): Promise<Matrix> {
  const { X, y, alpha } = given;
  const same = (weights: Matrix): Matrix => weights;
  const design = { columns: INPUTS, expand: same } as unknown as RowData['design'];
  const zero = alpha!.mul(0);
  const { loss } = await trainNetwork(
    { X: X!, y: y!, weight: y!.mul(0).add(1), design, classes: CLASSES },
    {
      network: perceptron(INPUTS, [HIDDEN], 'relu', CLASSES),
      loss: 'classes',
      batchRows: mlp.batchRows,
      shuffles: false,
      maxEpochs: epochs,
      patience: epochs,
      optimiser: adam({ addsEarly: true }),
      rates: 'constant',
      numbers: {
        alpha: alpha!,
        ...{ rate: zero.add(RATE), exponent: zero, tolerance: zero, seed: zero },
      },
    },
    [given['layer 0']!, given['layer 1']!],
  );
  return loss;
}

async function trainCnn(given: Given, epochs: number): Promise<Matrix> {
  const { X, y, alpha } = given;
  const { batchRows, rows, layers } = cnn;
  const { session } = X!;
  const optimiser = adam({ addsEarly: true });
  const begin = layers.map((_, l) => descentFrom(optimiser, given[`layer ${l}`]!));
  const none = zeros(session, 1, 1);
  const start: LoopState = { ...stateOf(begin), at: none, taken: none, sum: none, loss: none };
  const { loss } = await iterate(
    start,
    (now) => {
      const descents = descentsIn(now, begin);
      const weights = descents.map(({ parameter }) => parameter);
      const places = seq(session, 0, batchRows - 1).add(now.at!);
      const x = takeRows(places, X!);
      const shares = oneHot(takeRows(places, y!).cast(X!.dtype), CLASSES);
      const penalty = weights
        .map((layer) =>
          layer
            .slice([0, layer.rows - 1])
            .sumSq()
            .asMatrix(),
        )
        .reduce((sum, one) => sum.add(one))
        .mul(alpha!.mul(0.5).cast(X!.dtype));
      const own = logSoftmax(decisions(x, weights)).mul(shares).sum().neg().asMatrix();
      const mean = own.add(penalty).div(batchRows);
      const gradients = gradient(mean, weights);
      const numbers = { rate: alpha!.mul(0).add(RATE), taken: now.taken! };
      const next = descents.map((layer, l) => optimiser.step(layer, gradients[l]!, numbers));
      const sum = now.sum!.add(mean.cast('float64'));
      const isEnd = now.at!.add(batchRows).ge(rows);
      const state = {
        ...stateOf(next),
        at: isEnd.ifelse(0, now.at!.add(batchRows)),
        taken: now.taken!.add(1),
        sum: isEnd.ifelse(0, sum),
        loss: isEnd.ifelse(sum.div(rows / batchRows), now.loss!),
      };
      return { state, done: now.taken!.lt(0) };
    },
    { maxIterations: (epochs * rows) / batchRows },
  );
  return loss!;
}

function decisions(x: Matrix, [first, second, last]: readonly Matrix[]): Matrix {
  const convolved = (images: Images, layer: Matrix): Images => {
    const end = layer.rows - 1;
    const options = { window: 3, padding: 'same', bias: layer.slice(end) } as const;
    return images
      .conv2d(layer.slice([0, end]), options)
      .map(relu)
      .maxPool2d({ window: 2 });
  };
  const images = new Images(x, { height: 28, width: 28, channels: 1 });
  const { matrix: cells } = convolved(convolved(images, first!), second!);
  return affineRows(cells, last!);
}
