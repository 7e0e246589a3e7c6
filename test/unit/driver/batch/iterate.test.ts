/** `iterate`: one plan an iteration, and the state between iterations. */
import assert from 'node:assert/strict';
import {
  createReferenceBackend,
  iterate,
  matrix,
  rand,
  Session,
  ShapeError,
  zeros,
} from '../../../../driver/index.js';
import { assertClose } from '../../../support/close.js';

const open = (): Session => new Session({ local: createReferenceBackend() });

describe('iterate', () => {
  it('descends to the least squares solution, and says in how many steps', async () => {
    const s = open();
    const X = rand(s, 40, 3, { seed: 1 });
    const y = rand(s, 40, 1, { seed: 2 });
    const { w, iterations, finished } = await iterate(
      { w: zeros(s, 3, 1) },
      ({ w }) => {
        const step = X.t().matmul(X.matmul(w).sub(y)).mul(0.04);
        return { state: { w: w.sub(step) }, done: step.abs().max().lt(1e-12).asMatrix() };
      },
      { maxIterations: 2000 },
    );
    assertClose(await w.value(), await X.tsmm().solve(X.t().matmul(y)).value(), 1e-9, 'w');
    assert.equal(await finished.asScalar().value(), 1);
    const taken = await iterations.asScalar().value();
    assert.ok(taken > 10 && taken < 2000, `${taken} iterations`);
    assert.equal(w.expr.inputs.length, 0, 'state is cells, not the expression of all iterations');
  });

  it('stops after the iterations allowed, with the state of the last', async () => {
    const s = open();
    const { a, iterations, finished } = await iterate(
      { a: matrix(s, [[1, 2]]) },
      ({ a }) => ({ state: { a: a.mul(2) }, done: a.max().gt(1000).asMatrix() }),
      { maxIterations: 5 },
    );
    assert.deepEqual(await a.toArray(), [[32, 64]]);
    assert.deepEqual(await iterations.toArray(), [[5]]);
    assert.deepEqual(await finished.toArray(), [[0]]);
  });

  it('refuses a step that changes the shape of the state', async () => {
    const s = open();
    const a = matrix(s, [[1, 2]]);
    const growing = iterate(
      { a },
      (state) => ({ state: { a: state.a.rbind(state.a) }, done: a.max().asMatrix() }),
      { maxIterations: 2 },
    );
    await assert.rejects(growing, (error) => {
      assert.ok(error instanceof ShapeError);
      assert.match(error.message, /expected a 1x2 float64 after a step as before, got 2x2/);
      return true;
    });
  });
});
