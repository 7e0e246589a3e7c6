import assert from 'node:assert/strict';
import { matrix, type Run, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import type { Metric } from '../../../../jobs/search/scoring/metrics.js';
import { cells } from '../../../support/plan.js';

const ROWS = 60_000;
const grid = Array.from({ length: 40 }, (_, i) => 0.1 * 1.3 ** i);
const added = [0.011, 0.5, 7, 99, 12_345];

async function open(metric: Metric): Promise<{
  session: Session;
  search: (lambdas: readonly number[], run?: Run) => Promise<SearchResult>;
}> {
  // Absolute losses have to be summed row by row; squared ones are read from the Gram matrices.
  const session = new Session({ local: await createCpuBackend() });
  const X = matrix(session, cells(ROWS, 20));
  const y = matrix(session, cells(ROWS, 1, 2));
  return {
    session,
    search: (lambdas, run: Run = session) =>
      gridSearch(run, {
        X: X.in(run),
        y: y.in(run),
        cv: { folds: 5 },
        estimator: ridge,
        grid: { lambda: lambdas },
        scoring: [metric],
      }),
  };
}

async function cold(metric: Metric, lambdas: readonly number[]): Promise<SearchResult> {
  const { session, search } = await open(metric);
  const result = await search(lambdas);
  await session.close();
  return result;
}

function assertSame(actual: SearchResult, expected: SearchResult): void {
  assert.equal(actual.trials.length, expected.trials.length);
  actual.trials.forEach((trial, t) => {
    const want = expected.trials[t]!;
    assert.deepEqual(trial.params, want.params);
    const scores = trial.splitScores[actual.refit]!;
    scores.forEach((score, f) => {
      const expectedScore = want.splitScores[actual.refit]![f]!;
      assert.ok(Math.abs(score - expectedScore) <= 1e-12, `trial ${t}, fold ${f}`);
    });
  });
}

const MAE = 'neg_mean_absolute_error';

describe('a second search over the same data', () => {
  it('needs no pass when its penalties were all scored', async () => {
    const { session, search } = await open(MAE);
    await search(grid);
    const run = session.run();
    const { statistics } = run;
    const subset = grid.filter((_, i) => i % 3 === 1).reverse();
    const result = await search(subset, run);
    const counters = statistics.counters();
    assert.equal(counters.passes, 0);
    assert.equal(counters.partial, 1);
    assertSame(result, await cold(MAE, subset));
    await session.close();
  });

  it('scores only the penalties added, in one pass, and remembers the whole', async () => {
    const { session, search } = await open(MAE);
    await search(grid);
    const run = session.run();
    const { statistics } = run;
    const wider = [...grid.slice(0, 20), ...added, ...grid.slice(20)];
    const result = await search(wider, run);
    assert.equal(statistics.counters().passes, 1);
    assert.equal(statistics.counters().partial, 1);
    const scored = statistics.plans
      .flatMap((plan) => plan.nodes)
      .filter(({ expr }) => expr.op.name === 'groupLoss');
    assert.deepEqual(
      scored.map(({ expr }) => expr.cols),
      [5 * added.length],
    );
    assertSame(result, await cold(MAE, wider));
    const again = session.run();
    assertSame(await search(wider, again), result);
    assert.equal(again.statistics.counters().kernels, 0);
    await session.close();
  });

  it('scores penalties added without a pass when squared losses suffice', async () => {
    const { session, search } = await open('r2');
    await search(grid);
    const run = session.run();
    const { statistics } = run;
    const wider = [...grid, ...added];
    const result = await search(wider, run);
    const counters = statistics.counters();
    assert.equal(counters.passes, 0);
    const solved = statistics.plans
      .flatMap((plan) => plan.nodes)
      .filter(({ expr }) => expr.op.name === 'solve');
    assert.equal(solved.length, 5 * added.length + 1, 'the fits added, and the refit');
    assertSame(result, await cold('r2', wider));
    await session.close();
  });
});
