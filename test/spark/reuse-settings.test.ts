/** A search on real Spark under settings of `reuse`: equal scores, and how many jobs each takes. */
import assert from 'node:assert/strict';
import { type ReuseSetting, rand, Session } from '../../driver/index.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { ridge } from '../../jobs/estimators/ridge.js';
import { gridSearch } from '../../jobs/search/grid-search.js';
import { SharedSpark } from '../support/spark-session.js';

const ROWS = 20_000;

async function search(session: Session): Promise<number[]> {
  const X = rand(session, ROWS, 20, { seed: 5, min: -1 });
  const y = X.mul(X).rowSums();
  await session.persist([X.expr, y.expr]);
  const { trials } = await gridSearch(session, {
    ...{ X, y, cv: { folds: 3 }, estimator: ridge, grid: { lambda: [0.1, 10] } },
    scoring: ['neg_mean_squared_error'],
    refit: false,
  });
  return trials.flatMap(({ splitScores }) => splitScores.neg_mean_squared_error!);
}

describe('a search on Spark under the setting reuse', function () {
  this.timeout(300_000);
  let shared: SharedSpark;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED settings of reuse on Spark: ${started}`);
      this.skip();
    } else shared = started;
  });
  after(() => shared?.close());

  /** By setting: jobs of a search, and of the same again in the session. */
  const JOBS: Readonly<Partial<Record<ReuseSetting, readonly [number, number]>>> = {
    // What scores compare with, and six fits.
    off: [7, 7],
    // What this machine makes of the first candidate's sums serves the second, but for its scores.
    operators: [5, 1],
    steps: [7, 0],
    // Fits are there; scores of two candidates and what they compare with are not.
    functions: [7, 3],
    full: [1, 0],
  };

  it('takes a job a fit where nothing of the cluster is kept, and one for all fits together', async () => {
    const cold = await search(new Session({ local: await createCpuBackend() }));
    const jobs: Record<string, readonly number[]> = {};
    for (const reuse of Object.keys(JOBS)) {
      const { session } = await shared.session({}, { reuse: reuse as ReuseSetting });
      const counts: number[] = [];
      for (let run = 0; run < 2; run++) {
        const before = session.statistics.sparkJobs;
        const scores = await search(session);
        counts.push(session.statistics.sparkJobs - before);
        assert.equal(scores.length, cold.length);
        for (const [i, score] of scores.entries()) {
          assert.ok(Math.abs(score - cold[i]!) <= 1e-10 * Math.abs(cold[i]!), `${reuse}: ${score}`);
        }
      }
      jobs[reuse] = counts;
      session.cache.clear();
    }
    assert.deepEqual(jobs, JOBS);
  });
});
