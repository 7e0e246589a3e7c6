/** What `reprise plan` tells people, before a run and after one whose results are kept. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planPage } from '../../../jobs/cli/plan-page.js';
import { parseJob } from '../../../jobs/job-file/read-job.js';
import { planJob } from '../../../jobs/plan-job.js';
import { runJob } from '../../../jobs/run-job.js';
import { resultsCsv } from '../../../jobs/runs/results-csv.js';
import type { PlanReport } from '../../../jobs/runs/run-events.js';
import { JobFolder, linearCsv } from '../../support/job-folder.js';

describe('the page of a plan', () => {
  const store = process.env.REPRISE_STORE;
  let folder: JobFolder;
  before(() => {
    delete process.env.REPRISE_STORE;
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(3000));
  });
  after(() => {
    if (store !== undefined) process.env.REPRISE_STORE = store;
    folder.remove();
  });

  const jobOf = (model: string) =>
    parseJob(
      join(folder.path, 'small.yaml'),
      `kind: grid-search
data: {path: data.csv, target: y, features: [a, {name: b, encode: bin, bins: 3}], standardize: true}
${model}
cv: {folds: 4}
`,
    );
  const planned = (model: string): Promise<PlanReport> =>
    planJob(jobOf(model), { engine: 'local' });

  it('says data, features, passes, what is reused, cost and where it runs, a line each', async () => {
    const ridge = 'model: {type: ridge}\nsearch: {grid: {lambda: [1, 2]}}';
    const report = await planned(ridge);
    const page = planPage(report, false);
    assert.deepEqual(
      page.split('\n').map((line) => line.slice(0, 8).trim()),
      [
        'job',
        'data',
        'from',
        'engine',
        'fits',
        'by',
        'solver',
        'reused',
        'store',
        'cost',
        'memory',
        'steps',
        '',
      ],
    );
    const bytes = readFileSync(join(folder.path, 'data.csv')).length;
    assert.equal(report.data.bytes, bytes);
    const lines = [
      /^job {5}small: ridge by lambda of y, scored by r2$/m,
      new RegExp(
        `^data {4}${folder.path}/data\\.csv: 1 file, [\\d.]+ KiB, 3,000 rows, target y$`,
        'm',
      ),
      /^from {4}2 features as 4 columns: a, b \(bin in 3\), standardized on the training rows$/m,
      /^engine {2}local \(asked for\)$/m,
      /^fits {4}8: 2 candidates on 4 folds$/m,
      /^reused {2}0 of \d+ results$/m,
      /^store {3}.*\.reprise\/store holds \d+ results? in .*; none answer this plan$/m,
      /^cost {4}1 pass over the data, about /m,
      /^steps {3}\d+, printed by --verbose$/m,
    ];
    for (const line of lines) assert.match(page, line);
    const run = await runJob(jobOf(ridge), { engine: 'local' });
    const after = await planned(ridge);
    assert.deepEqual([after.passes, after.cached > 0], [0, true]);
    const traced = await planJob(jobOf(ridge), { engine: 'local', verbose: true });
    const [written, ...steps] = traced.plan.split(/^(?=== )/m);
    assert.match(written!, /groupGram/);
    assert.ok(steps.at(-1)!.endsWith(after.plan), steps.at(-1));
    assert.notEqual(after.plan, report.plan);
    assert.match(planPage(after, false), new RegExp(`answer this plan, made by ${run.run}$`, 'm'));
    assert.equal((await runJob(jobOf(ridge), { engine: 'local' })).passes, after.passes);
  });

  it('says the rungs of a halving, which the run then has', async () => {
    const model = `model: {type: ridge}
search: {type: halving, grid: {lambda: {logspace: [-3, 3, 9]}}, min_resources: 300}`;
    const report = await planned(model);
    const page = planPage(report, false);
    assert.match(page, /^fits {4}52: 13 trials on 4 folds$/m);
    assert.match(page, /^rungs {3}9 with 300 rows, 3 with 900 rows, 1 with 2,700 rows$/m);
    const { search } = await runJob(jobOf(model), { engine: 'local' });
    const rungs = search.trials.map(({ rung, budget }) => [rung, budget?.rows]);
    assert.deepEqual(rungs, [...Array(9).fill([0, 300]), ...Array(3).fill([1, 900]), [2, 2700]]);
    const lines = resultsCsv(search).split('\n');
    assert.match(lines[0]!, /^iter,n_resources,param_lambda,params,split0_test_r2,/);
    assert.match(lines[13]!, /^2,2700,/);
  });

  it('counts fits that are kept, and the training of the others alone', async () => {
    const huber = (alphas: string) => `model: {type: huber}\nsearch: {grid: {alpha: ${alphas}}}`;
    const before = await planned(huber('[0.1, 1]'));
    assert.deepEqual([before.keptFits, before.training.map(({ fits }) => fits)], [0, [8]]);
    await runJob(jobOf(huber('[0.1, 1]')), { engine: 'local' });
    const same = await planned(huber('[0.1, 1]'));
    assert.deepEqual([same.keptFits, same.training, same.passes], [8, [], 0]);
    assert.match(planPage(same, false), /^reused .* and 8 of 8 fits$/m);
    const more = await planned(huber('[0.1, 1, 2]'));
    assert.deepEqual([more.keptFits, more.training.map(({ fits }) => fits)], [8, [4]]);
    const again = await runJob(jobOf(huber('[0.1, 1]')), { engine: 'local' });
    assert.equal(again.passes, 0, 'as planned');
  });
});
