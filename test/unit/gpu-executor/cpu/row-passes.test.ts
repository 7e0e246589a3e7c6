/** Passes over rows of host values: the values of the plain path, whoever computes which rows. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Matrix } from '../../../../driver/index.js';
import type { DType } from '../../../../driver/ir/dtype.js';
import { type Cells, cellsOf, type DenseMatrix, dense } from '../../../../driver/ir/value.js';
import { matrix } from '../../../../driver/matrix/create.js';
import { takeRows } from '../../../../driver/matrix/grouped.js';
import { Session } from '../../../../driver/runtime/session.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';

/** As many as make the products large. */
const rowsOf = (dtype: DType): number => (dtype === 'float32' ? 62_003 : 31_003);
const COLS = 5;
const MODELS = 17;
/** What rows of a fold weigh for each model; a row in five is in no fold. */
const FOLDS = 3;
const foldOf = (i: number): number => [2, 0, Number.NaN, 1, FOLDS][i % 5]!;

function cells(dtype: DType, count: number, step: number): Cells {
  const data = cellsOf(dtype, count);
  for (let i = 0; i < count; i++) data[i] = Math.sin(i * step);
  return data;
}

interface Results {
  readonly gradient: Matrix;
  readonly loss: Matrix;
  readonly total: Matrix;
}

const data = (dtype: DType) => ({
  x: cells(dtype, rowsOf(dtype) * COLS, 0.1),
  w: cells(dtype, COLS * MODELS, 0.7),
  t: cells(dtype, rowsOf(dtype), 0.3),
  shares: cells(dtype, FOLDS * MODELS, 0.9),
});

/** The gradient and the losses of a stack of logistic models. */
function search(session: Session, dtype: DType): Results {
  const { x, w, t, shares } = data(dtype);
  const features = matrix(session, t.length, COLS, x);
  const y = matrix(session, t.length, 1, t).gt(0);
  const z = features.matmul(matrix(session, COLS, MODELS, w));
  const folds = matrix(
    session,
    t.length,
    1,
    Float64Array.from(t, (_, i) => foldOf(i)),
  );
  const weights = takeRows(folds, matrix(session, FOLDS, MODELS, shares));
  const residual = z.sigmoid().sub(y).mul(y.ne(0)).mul(weights);
  // Sums of rows meet the cells again: a second loop over them.
  const share = z.exp().div(z.exp().rowSums()).colSums();
  return {
    gradient: features.t().matmul(residual),
    loss: z.neg().exp().add(1).log().colSums().add(share),
    total: residual.sum().asMatrix(),
  };
}

/** The same by loops. */
function expectedOf(dtype: DType): DenseMatrix[] {
  const { x, w, t, shares } = data(dtype);
  const gradient = dense(COLS, MODELS);
  const loss = dense(1, MODELS);
  const total = dense(1, 1);
  const z = new Float64Array(MODELS);
  for (let i = 0; i < t.length; i++) {
    let sum = 0;
    for (let k = 0; k < MODELS; k++) {
      z[k] = 0;
      for (let j = 0; j < COLS; j++) z[k]! += x[i * COLS + j]! * w[j * MODELS + k]!;
      sum += Math.exp(z[k]!);
    }
    for (let k = 0; k < MODELS; k++) {
      const share = shares[foldOf(i) * MODELS + k] ?? 0;
      const residual = t[i]! > 0 ? (1 / (1 + Math.exp(-z[k]!)) - 1) * share : 0;
      for (let j = 0; j < COLS; j++) gradient.data[j * MODELS + k]! += x[i * COLS + j]! * residual;
      loss.data[k]! += Math.log(1 + Math.exp(-z[k]!)) + Math.exp(z[k]!) / sum;
      total.data[0]! += residual;
    }
  }
  return [gradient, loss, total];
}

async function valuesOf(session: Session, dtype: DType): Promise<DenseMatrix[]> {
  const { gradient, loss, total } = search(session, dtype);
  return Promise.all([gradient.value(), loss.value(), total.value()]);
}

describe('passes over rows of host values', () => {
  for (const dtype of ['float64', 'float32'] as const) {
    it(`give the values of the reference in ${dtype}, the same bits with helpers`, async () => {
      const helped = await createCpuBackend({ threads: 2, helperFlops: 0 });
      const alone = await createCpuBackend({ threads: 1 });
      const sessions = [new Session({ local: helped }), new Session({ local: alone })];
      try {
        const [own, single] = await Promise.all(sessions.map((one) => valuesOf(one, dtype)));
        const expected = expectedOf(dtype);
        assert.deepEqual(own, single);
        // Helpers have come by then.
        for (let i = 0; i < 3; i++) {
          const again = new Session({ local: helped });
          assert.deepEqual(await valuesOf(again, dtype), single);
        }
        const tolerance = dtype === 'float32' ? 1e-4 : 1e-9;
        for (const [i, value] of single!.entries()) {
          assertClose(value, expected[i]!, tolerance, `value ${i}`);
        }
      } finally {
        for (const session of sessions) await session.close();
      }
    });
  }

  it('makes nothing large: one pass, no value of the rows', async () => {
    const local = await createCpuBackend();
    const session = new Session({ local });
    const { gradient, loss } = search(session, 'float64');
    assert.match(session.explain([gradient.expr, loss.expr]), /matmul .*row blocks/);
    await Promise.all([gradient.value(), loss.value()]);
    assert.equal(session.statistics.passes, 1);
    await session.close();
  });

  it('ends when it is aborted, and goes on after', async () => {
    const local = await createCpuBackend({ threads: 2, helperFlops: 0 });
    const session = new Session({ local });
    const stop = new AbortController();
    const run = session.run({ signal: stop.signal });
    const { gradient } = search(session, 'float64');
    const asked = gradient.in(run).value();
    setImmediate(() => stop.abort());
    await assert.rejects(asked, { name: 'AbortError' });
    assert.equal((await gradient.value()).rows, COLS);
    await session.close();
  });

  it('settles when the backend is closed meanwhile', async () => {
    const local = await createCpuBackend({ threads: 2, helperFlops: 0 });
    const session = new Session({ local });
    for (let i = 0; i < 3; i++) await valuesOf(new Session({ local }), 'float64');
    const asked = search(session, 'float64').gradient.value();
    setImmediate(() => void local.close());
    const outcome = await asked.then(
      ({ rows }) => rows,
      (error: Error) => error.message,
    );
    assert.ok(outcome === COLS || /expected a thread to go on/.test(String(outcome)), `${outcome}`);
  });

  it('helpers do not keep a process alive', async () => {
    const here = new URL('../../../../', import.meta.url).href;
    const program = `
      const { Session, matrix } = await import('${here}driver/index.js');
      const { createCpuBackend } = await import('${here}gpu-executor/cpu/index.js');
      const local = await createCpuBackend({ threads: 2, helperFlops: 0 });
      const session = new Session({ local });
      const x = matrix(session, 100000, 8, new Float64Array(800000).fill(0.5));
      const w = matrix(session, 8, 8, new Float64Array(64).fill(0.1));
      console.log((await x.t().matmul(x.matmul(w).sigmoid()).value()).rows);`;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 60_000,
    });
    assert.equal(stdout.trim(), '8');
  });
});
