/**
 * Training steps of a multilayer perceptron (784-100-10, batches of 200, Adam, float32) on the
 * processor, one model and ten of them together, against JAX, whose epochs are one compiled scan. Both
 * begin with the same weights and take the same rows in the same order; the loss of the last epoch
 * is compared before a time counts.
 */
import { performance } from 'node:perf_hooks';
import { adam, batch, fill, type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { RowData } from '../jobs/estimators/estimator.js';
import { perceptron } from '../jobs/estimators/networks/layer-list.js';
import { trainNetwork } from '../jobs/estimators/networks/train.js';
import { alternate, type Bench, type Sample, type Side } from './harness.js';
import { benchFile, ownPython } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const [ROWS, INPUTS, HIDDEN, CLASSES, BATCH] = [4000, 784, 100, 10, 200];
const MODELS = 10;

/** Cells that `network-step.py` has too: ((37 i + 11 seed) mod 1009) / 1009 - 0.5, scaled. */
function cells(rows: number, cols: number, seed: number, scale: number): Float32Array {
  return Float32Array.from(
    { length: rows * cols },
    (_, i) => (((i * 37 + seed * 11) % 1009) / 1009 - 0.5) * scale,
  );
}

export const networkStep: Bench = {
  name: 'network-step',
  summary: 'training steps of a multilayer perceptron, one model and ten, against JAX',
  run: async (recorder, { quick }) => {
    const epochs = quick ? 2 : 10;
    const steps = (epochs * ROWS) / BATCH;
    const rival = new PythonRival(undefined, ownPython('jax', ['jax[cpu]']));
    const script = benchFile('rivals/network-step.py');
    const sides: Side[] = [
      { name: 'one', run: () => trained(1, epochs) },
      { name: 'ten', run: () => trained(MODELS, epochs) },
      {
        name: 'jax',
        run: async () => {
          const { seconds, answers } = await rival.run(script, [String(epochs)]);
          return { seconds, answers: answers.flat() };
        },
      },
    ];
    try {
      await alternate(recorder, sides, { rounds: quick ? 2 : 7, tolerance: 1e-3 });
    } finally {
      await rival.close();
    }
    const ms = (recorder.summary('one').median * 1000) / steps;
    recorder.figure('step_ms', ms, undefined, ['one']);
    recorder.ratio('one_by_jax', 'one', 'jax', { atMost: 1.5 });
    // Times of ten by one.
    recorder.ratio('ten_by_one', 'ten', 'one', { atMost: MODELS });
  },
};

async function trained(models: number, epochs: number): Promise<Sample> {
  const session = new Session({ local: await createCpuBackend(), reuse: 'off' });
  const X = matrix(session, ROWS, INPUTS, cells(ROWS, INPUTS, 1, 1), { copy: false });
  const y = matrix(
    session,
    ROWS,
    1,
    Float64Array.from({ length: ROWS }, (_, i) => (i * 7919) % CLASSES),
  );
  const number = (value: number) => ({ shared: fill(session, 1, 1, value) });
  const begun = performance.now();
  const found = await batch(
    session,
    models,
    {
      X: { shared: X },
      y: { shared: y },
      weight: number(1),
      zero: number(0),
      rate: number(0.001),
      alpha: Array.from({ length: models }, () => fill(session, 1, 1, 1e-4)),
      hidden: layer(session, INPUTS, HIDDEN, 2),
      out: layer(session, HIDDEN, CLASSES, 3),
    },
    async (given) => ({ loss: await lossOf(given, epochs) }),
    { name: `bench of ${models} networks`, version: '1', isFresh: true },
  );
  const losses = await Promise.all(found.map(({ loss }) => loss.asScalar().value()));
  const seconds = (performance.now() - begun) / 1000;
  await session.close();
  return { seconds, answers: losses.slice(0, 1) };
}

function layer(session: Session, inputs: number, units: number, seed: number) {
  const weights = cells(inputs + 1, units, seed, 0.2);
  return { shared: matrix(session, inputs + 1, units, weights) };
}

async function lossOf(given: Readonly<Record<string, Matrix>>, epochs: number): Promise<Matrix> {
  const { X, y, weight, zero, rate, alpha, hidden, out } = given;
  const same = (weights: Matrix): Matrix => weights;
  const design = { columns: INPUTS, expand: same } as unknown as RowData['design'];
  const all = y!.mul(0).add(weight!);
  const { loss } = await trainNetwork(
    { X: X!, y: y!, weight: all, design, classes: CLASSES },
    {
      network: perceptron(INPUTS, [HIDDEN], 'relu', CLASSES),
      loss: 'classes',
      batchRows: BATCH,
      shuffles: false,
      maxEpochs: epochs,
      patience: epochs,
      optimiser: adam({ addsEarly: true }),
      rates: 'constant',
      numbers: { alpha: alpha!, rate: rate!, exponent: zero!, tolerance: zero!, seed: zero! },
    },
    [hidden!, out!],
  );
  return loss;
}
