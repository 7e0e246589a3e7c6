/** Gradients in the matrix API: of a network, of a batch, and what has none. */
import assert from 'node:assert/strict';
import {
  batch,
  createReferenceBackend,
  crossEntropy,
  gradient,
  type Matrix,
  matrix,
  oneHot,
  relu,
  Session,
  zeros,
} from '../../../../driver/index.js';
import { assertClose } from '../../../support/close.js';
import { cells, leaf } from '../../../support/plan.js';

const session = new Session({ local: createReferenceBackend() });

/** Of a network with one hidden layer, by its weights. */
function lossOf(X: Matrix, y: Matrix, hidden: Matrix, out: Matrix): Matrix {
  return crossEntropy(relu(X.matmul(hidden)).matmul(out), oneHot(y, 3)).asMatrix();
}

describe('gradient', () => {
  after(() => session.close());

  const X = leaf(session, 7, 4);
  const y = matrix(session, [[0], [2], [1], [1], [0], [2], [2]]);

  it('is zeros where the loss does not follow from it, and of its shape always', async () => {
    const [a, b] = [leaf(session, 3, 2, 3), leaf(session, 3, 2, 4)];
    const [byA, byB] = gradient(a.sum(), [a, b]);
    assert.deepEqual(await byA!.toArray(), [
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    assert.deepEqual(byB, zeros(session, 3, 2));
  });

  it('binds rows that are read by parts, and adds those that overlap', async () => {
    const w = leaf(session, 6, 2, 5);
    const sums = (from: number, to: number, factor: number): Matrix =>
      w.slice([from, to]).mul(factor).sum().asMatrix();
    const [apart] = gradient(sums(4, 5, 3).add(sums(0, 2, 2)), [w]);
    assert.equal(apart!.expr.op.name, 'rbind');
    const rows = (...factors: number[]): number[][] => factors.map((one) => [one, one]);
    assert.deepEqual(await apart!.toArray(), rows(2, 2, 0, 0, 3, 0));
    const [over] = gradient(sums(0, 3, 2).add(sums(2, 5, 3)), [w]);
    assert.deepEqual(await over!.toArray(), rows(2, 2, 5, 3, 3, 0));
  });

  it('is by made matrices as by leaves', async () => {
    const [hidden, out] = [leaf(session, 4, 5, 2), leaf(session, 5, 3, 3)];
    const z = X.matmul(hidden);
    const loss = crossEntropy(relu(z).matmul(out), oneHot(y, 3));
    const [byZ, byHidden] = gradient(loss, [z, hidden]);
    assertClose(await X.t().matmul(byZ!).value(), await byHidden!.value(), 1e-12, 'by hidden');
  });

  it('of a batch is each model alone', async () => {
    const weights = [1, 2, 3].map((k) => [leaf(session, 4, 5, k), leaf(session, 5, 3, k + 7)]);
    const gradientsOf = async ({ X, y, hidden, out }: Readonly<Record<string, Matrix>>) => {
      const [byHidden, byOut] = gradient(lossOf(X!, y!, hidden!, out!), [hidden!, out!]);
      return { byHidden: byHidden!, byOut: byOut! };
    };
    const together = await batch(
      session,
      3,
      {
        X: { shared: X },
        y: { shared: y },
        hidden: weights.map(([one]) => one!),
        out: weights.map(([, one]) => one!),
      },
      gradientsOf,
      { name: 'gradients of a batch', version: '1' },
    );
    for (const [k, [hidden, out]] of weights.entries()) {
      const alone = await gradientsOf({ X, y, hidden: hidden!, out: out! });
      for (const name of ['byHidden', 'byOut'] as const) {
        assertClose(await together[k]![name].value(), await alone[name].value(), 1e-12, name);
      }
    }
  });

  it('refuses a loss of several cells, and says the way to an operator without a rule', () => {
    const w = leaf(session, 4, 1, 2);
    assert.throws(
      () => gradient(X.matmul(w), [w]),
      /expected a loss of 1x1, got 7x1; take its sum/,
    );
    const vectors = w.matmul(w.t()).eigen();
    assert.throws(
      () => gradient(vectors.mul(2).sum(), [w]),
      /expected operators with a gradient, got eigen \(sum of mul of eigen\)/,
    );
    const other = new Session({ local: createReferenceBackend() });
    assert.throws(() => gradient(X.sum(), [matrix(other, cells(1, 1))]), /one session/);
  });
});
