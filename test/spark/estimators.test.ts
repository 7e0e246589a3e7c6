/** Every estimator on embedded Spark: one pass, and the scores and models of this machine. */
import assert from 'node:assert/strict';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { parseJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import { sklearnFolder } from '../support/sklearn-fixtures.js';

const MODELS: Readonly<Record<string, unknown>> = {
  ridge: { lambda: [0.1, 10] },
  ols: {},
  lasso: { alpha: [0.01, 0.3] },
  'elastic-net': { alpha: [0.01, 0.3], l1_ratio: [0.2, 0.8] },
};

describe('estimators on Spark', function () {
  this.timeout(300_000);
  let local: OpenSession;
  let spark: OpenSession;
  before(async () => {
    [local, spark] = [await openSession('local'), await openSession('spark')];
  });
  after(async () => {
    await Promise.all([local.session.close(), spark.session.close()]);
  });

  it('in float32 as on this machine: the cells are rounded alike', async () => {
    const features = ['x5', { name: 'x1', impute: 'mean' }, { name: 'third', sql: 'x5 / 3' }];
    const data = { path: 'missing.csv', target: 'y', features, dtype: 'float32' };
    const document = { kind: 'grid-search', data, model: { type: 'ridge' } };
    const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
    const scores = [local, spark].map(async (open, i) => {
      const record = await runJob(job, { engine: i === 0 ? 'local' : 'spark', open });
      return record.search.trials[0]!.splitScores.r2!;
    });
    const [ours, theirs] = await Promise.all(scores);
    for (const [f, score] of theirs!.entries()) assert.ok(Math.abs(score - ours![f]!) <= 1e-12);
  });

  for (const [type, grid] of Object.entries(MODELS)) {
    it(`${type} as on this machine, without a pass for another one's moments`, async () => {
      const document = {
        kind: 'grid-search',
        data: {
          path: 'missing.csv',
          target: 'y',
          features: ['x5', { name: 'x1', impute: 'mean' }],
        },
        model: { type },
        search: { grid },
      };
      const job = parseJob(`${sklearnFolder}/job.yaml`, JSON.stringify(document));
      const here = await runJob(job, { engine: 'local', open: local });
      const there = await runJob(job, { engine: 'spark', open: spark });
      assert.equal(there.passes, type === 'ridge' ? 1 : 0);
      const [ours, theirs] = [here.search, there.search];
      for (const [t, trial] of theirs.trials.entries()) {
        for (const [f, score] of trial.splitScores.r2!.entries()) {
          assert.ok(Math.abs(score - ours.trials[t]!.splitScores.r2![f]!) <= 1e-9);
        }
      }
      for (const [j, value] of theirs.model!.coefficients[0]!.entries()) {
        assert.ok(Math.abs(value - ours.model!.coefficients[0]![j]!) <= 1e-9);
      }
    });
  }
});
