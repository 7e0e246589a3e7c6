/** TensorFlow.js beside our own kernels: what it computes, who is chosen, that no tensor stays. */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { CostModel } from '../../../../driver/cost/cost-model.js';
import { gradient, Images, type Matrix, matrix, rand, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { loadBlas } from '../../../../gpu-executor/cpu/native/load-blas.js';
import { KernelChoice } from '../../../../gpu-executor/cpu/providers/kernel-choice.js';
import { findTensorFlow } from '../../../../gpu-executor/cpu/providers/tensorflow.js';
import { assertClose } from '../../../support/close.js';

const SHAPE = { height: 12, width: 12, channels: 4 };

/** Two layers and their gradients: passes over many images, on threads. */
function network(session: Session): Matrix[] {
  const cells = (rows: number, cols: number, step: number): Matrix => {
    const from = Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(step + i * 7));
    return matrix(session, rows, cols, from);
  };
  const x = new Images(cells(400, 576, 1), SHAPE);
  const [first, last] = [cells(36, 8, 2), cells(8 * 144, 3, 3)];
  const out = x.conv2d(first, { window: [3, 3], padding: 'same' }).matrix.matmul(last);
  const loss = out.mul(out).sum();
  return [out, ...gradient(loss, [first, last])];
}

async function valuesOf(tensorflow: 'none' | 'always') {
  const local = await createCpuBackend({ tensorflow, helperFlops: 0 });
  const session = new Session({ local, reuse: 'off' });
  try {
    const { provider, provided } = local.choice;
    const before = provider?.held();
    const values = [];
    for (const one of network(session)) values.push(await one.value());
    return { values, provided, before, after: provider?.held() };
  } finally {
    await session.close();
  }
}

describe('TensorFlow.js beside our own kernels', () => {
  before(function () {
    if (findTensorFlow() !== undefined) return;
    console.warn('SKIPPED TensorFlow.js: its packages are not installed');
    this.skip();
  });

  it('gives the values of our own on all threads, and keeps no tensor', async () => {
    const own = await valuesOf('none');
    const theirs = await valuesOf('always');
    for (const [i, value] of theirs.values.entries()) {
      assertClose(value, own.values[i]!, 1e-4, `value ${i}`);
    }
    assert.equal(theirs.after, theirs.before);
    assert.deepEqual([own.provided.size, own.before], [0, undefined]);
    const ran = [...theirs.provided.keys()].sort();
    assert.deepEqual(ran, ['conv2d', 'conv2dFilterGradient', 'matmul']);
  });

  it('runs what costs say it is quicker at, measured once, from some work on', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const { expr } = rand(session, 300, 200, { seed: 1, dtype: 'float32' }).matmul(
      rand(session, 200, 100, { seed: 2, dtype: 'float32' }),
    );
    const choiceBy = (costs: CostModel) => new KernelChoice(loadBlas(), 'auto', costs);
    const met = new CostModel();
    const first = choiceBy(met);
    await first.prepare([expr]);
    assert.equal(first.provider, undefined, 'not loaded for a little work');
    await first.prepare(Array(200).fill(expr));
    first.kernelFor(expr);
    const [entry] = Object.entries(met.learned());
    const [key, { samples }] = entry!;
    assert.match(key, /matmul\/tensorflow-/);
    assert.equal(samples, 1);
    for (const [factor, isTheirs] of [
      [4, false],
      [0.25, true],
    ] as const) {
      const known = new CostModel({ [key]: { factor, samples } });
      const choice = choiceBy(known);
      await choice.prepare(Array(200).fill(expr));
      assert.equal(choice.kernelFor(expr) !== undefined, isTheirs);
      assert.equal(known.changes, 0, 'not measured again');
    }
    await session.close();
  });

  it('refuses another word for its setting', async () => {
    await assert.rejects(
      createCpuBackend({ tensorflow: 'wasm' as 'auto' }),
      /tensorflow: expected auto, none, always, got "wasm"/,
    );
  });
});
