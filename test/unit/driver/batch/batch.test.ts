/** `batch`: models equal those trained alone, and are trained once. */
import assert from 'node:assert/strict';
import {
  batch,
  createReferenceBackend,
  iterate,
  type Matrix,
  matrix,
  rand,
  Session,
  zeros,
} from '../../../../driver/index.js';
import { assertClose } from '../../../support/close.js';

const open = (): Session => new Session({ local: createReferenceBackend() });

/** Ridge regression by gradient descent, for one model. */
async function descent({ X, y, penalty }: Readonly<Record<string, Matrix>>) {
  const { w, iterations } = await iterate(
    { w: zeros(X!.session, X!.cols, 1) },
    ({ w }) => {
      const gradient = X!.t().matmul(X!.matmul(w).sub(y!)).add(w.mul(penalty!));
      const next = w.sub(gradient.mul(0.02));
      return { state: { w: next }, done: gradient.abs().max().lt(1e-8).asMatrix() };
    },
    { maxIterations: 3000 },
  );
  return { w, iterations };
}

const problem = (s: Session) => ({
  X: rand(s, 50, 4, { seed: 1 }),
  y: rand(s, 50, 1, { seed: 2 }),
});

const PENALTIES = [0.1, 1, 10];

describe('batch', () => {
  it('gives each model what the function gives for it alone', async () => {
    const s = open();
    const { X, y } = problem(s);
    const penalty = matrix(s, [PENALTIES]);
    const args = { X: { shared: X }, y: { shared: y }, penalty: { columns: penalty, cols: 1 } };
    const models = await batch(s, 3, args, descent, { name: 'descent', version: '1' });
    assert.equal(models.length, 3);
    for (const [k, { w, iterations }] of models.entries()) {
      const alone = await descent({ X, y, penalty: matrix(s, [[PENALTIES[k]!]]) });
      assertClose(await w.value(), await alone.w.value(), 1e-12, `model ${k}`);
      assert.deepEqual(await iterations.toArray(), await alone.iterations.toArray());
      const exact = X.tsmm().addDiag(PENALTIES[k]!).solve(X.t().matmul(y));
      assertClose(await w.value(), await exact.value(), 1e-7, `model ${k} and the solution`);
    }
  });

  it('trains only the models that are new', async () => {
    const s = open();
    const { X, y } = problem(s);
    const train = (penalties: readonly number[]) =>
      batch(
        s,
        penalties.length,
        { X: { shared: X }, y: { shared: y }, penalty: penalties.map((p) => matrix(s, [[p]])) },
        descent,
        { name: 'descent', version: '2' },
      );
    const first = await train(PENALTIES);
    const counts = s.functions.countsOf('descent', '2');
    assert.equal(counts.runs, 3);
    const more = await train([0.5, ...PENALTIES, 5]);
    assert.equal(counts.runs, 5);
    assert.deepEqual(
      first.map(({ w }) => w),
      more.slice(1, 4).map(({ w }) => w),
    );
  });
});
