/** Solvers of smooth losses: each of them ends at the same point, and the cheapest is taken. */
import assert from 'node:assert/strict';
import { type Matrix, matrix, Session, zeros } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import {
  chooseSolver,
  type FitSize,
  type SmoothSolver,
  solves,
} from '../../../../../jobs/estimators/solvers/choice.js';
import type { Intercept } from '../../../../../jobs/estimators/solvers/coordinates.js';
import {
  halfDeviance,
  logLoss,
  multinomialLoss,
  type SmoothLoss,
  squaredHinge,
} from '../../../../../jobs/estimators/solvers/losses.js';
import { fitSmooth } from '../../../../../jobs/estimators/solvers/smooth.js';
import { assertClose } from '../../../../support/close.js';
import { cells } from '../../../../support/plan.js';
import { rowData } from '../../../../support/row-data.js';

const ROWS = 60;
const LOSSES: Readonly<Record<string, SmoothLoss>> = {
  'log loss': logLoss,
  'squared hinge': squaredHinge,
  Poisson: halfDeviance(1),
  gamma: halfDeviance(2),
  Tweedie: halfDeviance(1.5),
};

describe('solvers of smooth losses', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  /** Columns of very different sizes, one far from 0, one constant, two that depend on each other. */
  const columns = (): Matrix => {
    const plain = matrix(session, cells(ROWS, 3)).mul(matrix(session, [[1, 1e3, 1e-3]]));
    const far = plain.col(0).square().add(30);
    return plain.cbind(far, zeros(session, ROWS, 1).add(7), plain.col(0).mul(2));
  };

  const fitted = async (
    loss: SmoothLoss,
    target: Matrix,
    intercept: Intercept,
    solver: SmoothSolver,
    begin?: Matrix,
  ): Promise<{ readonly decisions: Matrix; readonly weights: Matrix }> => {
    const weight = matrix(session, ROWS, 1, new Float64Array(ROWS).fill(1));
    const total = matrix(session, [[ROWS]]);
    const X = columns();
    const { weights } = await fitSmooth({
      rows: { ...rowData(X, target.col(0), weight, 0), ...(begin ? { begin } : {}) },
      ...{ target, weight, total, mean: target.colMeans(), loss, intercept, solver },
      l2: matrix(session, [[0.3]]),
      joint: target.cols > 1,
      tol: 1e-8,
      maxIterations: begin ? 1 : 3000,
    });
    return { weights, decisions: X.matmul(weights.slice([0, X.cols])).add(weights.slice(X.cols)) };
  };
  const decided = async (...given: Parameters<typeof fitted>) =>
    (await fitted(...given)).decisions.value();

  const y = (): Matrix => matrix(session, cells(ROWS, 1, 2)).gt(0.1);
  for (const [name, loss] of Object.entries(LOSSES)) {
    for (const intercept of ['free', 'none', 2] as const) {
      it(`end at the same decision values: ${name}, intercept ${intercept}`, async () => {
        const target = y().add(loss === squaredHinge || loss === logLoss ? 0 : 0.5);
        const wanted = await decided(loss, target, intercept, 'gram');
        for (const solver of ['newton', 'columns'] as const) {
          const got = await decided(loss, target, intercept, solver);
          assertClose(got, wanted, 1e-5, solver);
        }
      });
    }
  }

  it('begin at weights they are given: one pass there ends where they are', async () => {
    const target = y();
    const three = target.cbind(target.neg().add(1), target.mul(0));
    for (const solver of ['newton', 'gram', 'columns'] as const) {
      for (const intercept of ['free', 'none', 2] as const) {
        const { weights, decisions } = await fitted(logLoss, target, intercept, solver);
        const again = await decided(logLoss, target, intercept, solver, weights);
        assertClose(again, await decisions.value(), 1e-6, `${solver} ${intercept}`);
      }
      if (solver === 'newton') continue;
      const { weights, decisions } = await fitted(multinomialLoss, three, 'free', solver);
      const shifted = weights.add(matrix(session, cells(weights.rows, 1)));
      const again = await decided(multinomialLoss, three, 'free', solver, shifted);
      const own = (z: Matrix): Matrix => z.sub(z.rowSums().div(3));
      assertClose(again, await own(decisions).value(), 1e-5, `${solver}, three classes`);
    }
  });

  it('end at the same decision values: three classes', async () => {
    const first = y().mul(matrix(session, cells(ROWS, 1)).gt(0));
    const second = y().sub(first);
    const target = first.cbind(second, y().neg().add(1));
    const wanted = await decided(multinomialLoss, target, 'free', 'gram');
    const got = await decided(multinomialLoss, target, 'free', 'columns');
    assertClose(got, wanted, 1e-5, 'columns');
  });

  it('take few passes where losses are far flatter than at the start', async () => {
    const rows = 600;
    const X = matrix(session, cells(rows, 20));
    const y = X.col(0).mul(3).add(X.col(1)).sub(X.col(2)).gt(0);
    const weight = zeros(session, rows, 1).add(1);
    const run = session.run();
    const own = (of: Matrix): Matrix => of.in(run);
    for (const solver of ['gram', 'columns'] as const) {
      const before = run.statistics.counters().passes;
      await fitSmooth({
        rows: rowData(own(X), own(y), own(weight), 0),
        ...{ target: own(y), weight: own(weight), total: own(weight).sum().asMatrix() },
        ...{ mean: own(y).colMeans(), loss: logLoss, intercept: 'free', solver },
        l2: matrix(run, [[0.01]]),
        tol: 1e-4,
        maxIterations: 1000,
      });
      const passes = run.statistics.counters().passes - before;
      assert.ok(passes > 5 && passes <= 100, `${passes} passes of ${solver}`);
    }
  });

  it('are chosen by rows, columns, classes and models', () => {
    const size: FitSize = { rows: 1000, columns: 10, outputs: 1, models: 50 };
    const chosen = (own: Partial<FitSize>, bends = true): SmoothSolver =>
      chooseSolver({ ...size, ...own }, bends).solver;
    assert.equal(chosen({}), 'newton');
    assert.equal(chosen({}, false), 'gram');
    assert.equal(chosen({ rows: 50_000, columns: 100, models: 200 }), 'gram');
    assert.equal(chosen({ rows: 48_000, columns: 784, outputs: 10 }, false), 'gram');
    assert.equal(chosen({ rows: 5000, columns: 4000 }), 'columns');
    assert.match(
      solves(size, true),
      /^Newton on weighted Gram matrices: about 6 passes, 0\.\d+ s; L-BFGS in .* s, L-BFGS in .* s$/,
    );
    assert.doesNotMatch(solves({ ...size, outputs: 3 }, true), /Newton/);
  });
});
