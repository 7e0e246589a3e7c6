/** Models that train together on Spark: data are made once, and an iteration is one job for all. */
import assert from 'node:assert/strict';
import {
  type BatchFunction,
  batch,
  iterate,
  type Matrix,
  matrix,
  zeros,
} from '../../driver/index.js';
import { rand } from '../../driver/matrix/create.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';
import { SharedSpark } from '../support/spark-session.js';

const [ROWS, COLUMNS, ITERATIONS] = [60_000, 6, 5];
const PENALTIES = [0.1, 1, 10, 100];

/** Logistic regression by Newton's method with weights of each model's own, a fixed number of steps. */
const newton: BatchFunction<{ w: Matrix }> = async ({ X, y, fold, test, penalty }) =>
  iterate(
    { w: zeros(X!.session, X!.cols, 1) },
    ({ w }) => {
      const p = X!.matmul(w).sigmoid();
      const weight = fold!.ne(test!);
      const gradient = X!.t().matmul(p.sub(y!).mul(weight)).add(w.mul(penalty!));
      const curvature = p.mul(p.mul(-1).add(1)).mul(weight);
      const hessian = X!.t().matmul(X!.mul(curvature)).addDiag(penalty!.asScalar());
      const step = hessian.solve(gradient, { assume: 'spd' });
      return { state: { w: w.sub(step) }, done: step.abs().max().lt(0).asMatrix() };
    },
    { maxIterations: ITERATIONS },
  );

async function train(session: Session): Promise<Matrix[]> {
  const X = rand(session, ROWS, COLUMNS, { seed: 3, min: -1 }).mul(2);
  const y = X.rowSums()
    .add(rand(session, ROWS, 1, { seed: 4 }))
    .gt(0.5);
  const fold = rand(session, ROWS, 1, { seed: 5, max: 2 }).floor();
  const args = {
    X: { shared: X },
    y: { shared: y },
    fold: { shared: fold },
    test: PENALTIES.map((_, k) => matrix(session, [[k % 2]])),
    penalty: PENALTIES.map((penalty) => matrix(session, [[penalty]])),
  };
  const models = await batch(session, PENALTIES.length, args, newton, {
    name: 'newton on Spark',
    version: '1',
  });
  return models.map(({ w }) => w);
}

describe('models that train together on Spark', function () {
  this.timeout(300_000);
  let shared: SharedSpark;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED models that train together on Spark: ${started}`);
      this.skip();
    } else shared = started;
  });
  after(() => shared?.close());

  it('takes one job an iteration, over data that are made once', async () => {
    const { session } = await shared.session();
    const before = await shared.jobs();
    const weights = await train(session);
    const { sparkJobs, passes } = session.statistics.counters();
    assert.equal(passes, ITERATIONS + 1, 'the data, then a pass an iteration');
    assert.equal(sparkJobs, ITERATIONS + 1);
    assert.equal((await shared.jobs()) - before, ITERATIONS + 1);
    const here = new Session({ local: await createCpuBackend() });
    for (const [k, w] of (await train(here)).entries()) {
      assertClose(await weights[k]!.value(), await w.value(), 1e-8, `model ${k}`);
    }
    await here.close();
  });
});
