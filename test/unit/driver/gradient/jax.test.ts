/** Values, gradients, second derivatives, optimisers and rates as JAX and Optax have them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  adam,
  adamW,
  binaryCrossEntropy,
  cosineLoss,
  cosineRate,
  createReferenceBackend,
  crossEntropy,
  descentFrom,
  fill,
  gelu,
  gradient,
  type Matrix,
  matrix,
  type Optimiser,
  oneHot,
  relu,
  type Scalar,
  Session,
  sgd,
  squaredLoss,
  stepRate,
} from '../../../../driver/index.js';
import { dense } from '../../../../driver/ir/value.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { assertClose } from '../../../support/close.js';
import { leaf } from '../../../support/plan.js';

interface Fixture {
  readonly losses: readonly {
    readonly name: string;
    readonly shapes: readonly (readonly [number, number])[];
    readonly value: number;
    readonly first: readonly (readonly number[])[];
    readonly second: readonly (readonly number[])[];
  }[];
  readonly descents: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly rates: Readonly<Record<string, readonly number[]>>;
}

const path = join(packageRoot(), 'test/fixtures/gradients/jax.json');
const fixture = JSON.parse(readFileSync(path, 'utf8')) as Fixture;
const session = new Session({ local: createReferenceBackend() });
const X = leaf(session, 7, 4);
const labels = matrix(session, 7, 1, [0, 2, 1, 1, 0, 2, 2]);

const network =
  (activation: (z: Matrix) => Matrix) =>
  (w: Matrix, b: Matrix, v: Matrix): Scalar =>
    crossEntropy(activation(X.matmul(w).add(b)).matmul(v), oneHot(labels, 3));

const losses: Readonly<Record<string, (...at: [Matrix, Matrix, Matrix]) => Scalar>> = {
  relu: network(relu),
  gelu: network(gelu),
  geluByErf: network((z) => gelu(z, 'none')),
  tanh: network((z) => z.tanh()),
  sigmoid: network((z) => z.sigmoid()),
  softmax: (w) =>
    X.matmul(w)
      .softmax()
      .mul(leaf(session, 7, 3, 9))
      .sum(),
  binary: (w) => binaryCrossEntropy(X.matmul(w), labels.gt(0)),
  squared: (w, b) => squaredLoss(X.matmul(w).add(b), leaf(session, 7, 2, 3)),
  cosine: (w) => cosineLoss(X.matmul(w), leaf(session, 7, 3, 3)),
  greatest: (w) => X.matmul(w).rowMaxs().sum().add(X.matmul(w).min()),
  norm: (x, scale) => {
    const about = x.sub(x.colMeans());
    const variance = about.colSumSqs().div(x.rows);
    const standard = about.div(variance.add(1e-5).sqrt());
    return standard
      .mul(scale)
      .mul(leaf(session, 7, 4, 8))
      .sum();
  },
};

const operandsOf = (shapes: readonly (readonly [number, number])[], seed: number): Matrix[] =>
  shapes.map(([rows, cols], k) => leaf(session, rows, cols, k + seed));

async function compare(
  actual: readonly Matrix[],
  expected: readonly (readonly number[])[],
  what: string,
): Promise<void> {
  const values = await Promise.all(actual.map((one) => one.value()));
  for (const [i, value] of values.entries()) {
    const { rows, cols } = value;
    assertClose(value, dense(rows, cols, Float64Array.from(expected[i]!)), 1e-11, what);
  }
}

describe('agreement with JAX', () => {
  after(() => session.close());

  for (const { name, shapes, value, first, second } of fixture.losses) {
    it(`of ${name}: value, gradient, second derivative`, async () => {
      const operands = operandsOf(shapes, 2);
      const loss = losses[name]!(...(operands as [Matrix, Matrix, Matrix]));
      assert.ok(Math.abs((await loss.value()) - value) < 1e-12, name);
      const gradients = gradient(loss, operands);
      await compare(gradients, first, name);
      const along = operandsOf(shapes, 12).map((v, i) => gradients[i]!.mul(v).sum());
      const slope = along.reduce((sum, one) => sum.add(one));
      await compare(gradient(slope, operands), second, `twice ${name}`);
    });
  }

  const optimisers: Readonly<Record<string, Optimiser>> = {
    sgd: sgd(),
    momentum: sgd({ momentum: 0.9 }),
    nesterov: sgd({ momentum: 0.9, nesterov: true }),
    adam: adam(),
    adamW: adamW(),
  };
  for (const [name, optimiser] of Object.entries(optimisers)) {
    it(`of five steps of ${name}`, async () => {
      const { shapes } = fixture.losses.find((loss) => loss.name === 'tanh')!;
      const rate = fill(session, 1, 1, 0.1);
      let at = operandsOf(shapes, 2).map((one) => descentFrom(optimiser, one));
      for (let taken = 0; taken < 5; taken++) {
        const now = at.map(({ parameter }) => parameter) as [Matrix, Matrix, Matrix];
        const gradients = gradient(losses.tanh!(...now), now);
        const numbers = { rate, taken: fill(session, 1, 1, taken) };
        at = at.map((one, i) => optimiser.step(one, gradients[i]!, numbers));
      }
      const reached = at.map(({ parameter }) => parameter);
      await compare(reached, fixture.descents[name]!, name);
    });
  }

  it('of rates by steps taken', async () => {
    const rates = { cosine: cosineRate(0.3, 10, 0.03), step: stepRate(0.3, 4, 0.5) };
    for (const [name, rate] of Object.entries(rates)) {
      const taken = matrix(
        session,
        13,
        1,
        Float64Array.from({ length: 13 }, (_, t) => t),
      );
      await compare([rate(taken)], [fixture.rates[name]!], name);
    }
  });
});
