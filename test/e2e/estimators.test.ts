/** A lasso job as users run it: plan, run, report, difference, and a run from its lineage. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

describe('a lasso job', function () {
  this.timeout(120_000);
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(300));
    folder.job({
      model: { type: 'lasso', max_iter: 5000 },
      search: { grid: { alpha: { logspace: [-4, 0, 5] } } },
    });
  });
  afterEach(() => folder.remove());

  it('is planned and run in one pass, and its report draws alpha along a log axis', async () => {
    const plan = JSON.parse(await folder.call('plan', 'job.yaml', '--engine', 'local', '--json'));
    assert.deepEqual([plan.trials, plan.passes], [5, 1]);
    const answer = await folder.run();
    assert.equal(answer.passes, 1);
    assert.ok(Math.abs(answer.best.params.alpha - 1e-4) < 1e-15);
    const read = (name: string) => readFileSync(join(answer.path, name), 'utf8');
    assert.match(read('results.csv'), /^param_alpha,params,split0_test_/);
    assert.match(read('job.yaml'), /type: lasso\n {2}max_iter: 5000/);
    const { coefficients } = JSON.parse(read('model.json'));
    assert.deepEqual(coefficients[0].map(Math.round), [3, -2]);
    const page = read('report.html');
    assert.match(page, /Best is <strong>alpha 1/);
    assert.match(page, /"axis":"alpha","scale":"log","kind":"curve"/);
  });

  it('fits what is new only, knows why, and gives the same again from its lineage', async () => {
    const first = await folder.run();
    const second = await folder.run('search.grid.alpha=[0.0001, 0.001, 0.01, 0.1, 1, 0.5]');
    assert.equal(second.passes, 0);
    const difference = await folder.call('diff', first.path, second.path);
    assert.match(difference, /search\.grid\.alpha .* changes scalar/);
    const replayed = await folder.call('replay', second.path, '--engine', 'local');
    assert.match(replayed, /scores: 48 compared, agree \(largest difference 0\)/);
    assert.match(replayed, /coefficients: 2 compared, agree \(largest difference 0\)/);
  });

  it('says what is wrong with its parameters', async () => {
    const refused = await reprise(['run', 'job.yaml', 'search.grid.l1_ratio=0.5'], {
      cwd: folder.path,
    });
    assert.equal(refused.code, 3);
    assert.match(
      refused.stderr,
      /l1_ratio: expected a known key, got `l1_ratio`; .*known keys: alpha, max_iter, tol, fit_intercept/,
    );
  });
});

describe('a job with classes as text', function () {
  this.timeout(120_000);
  const row = (i: number): string =>
    `${Math.sin(i * 2)},${Math.cos(i * 3)},${['low', 'mid', 'high'][(i * 7) % 3]}`;

  it('is scored, kept and reported by class', async () => {
    const folder = new JobFolder();
    const rows = Array.from({ length: 90 }, (_, i) => row(i));
    folder.write('data.csv', ['a,b,kind', ...rows].join('\n'));
    folder.job({
      data: {
        path: 'data.csv',
        target: 'kind',
        features: [{ name: 'a', impute: 'mean' }, 'b'],
      },
      model: { type: 'linear-svm' },
      search: { grid: { C: [0.1, 1] } },
      scoring: ['accuracy', 'f1_macro', 'average_precision'],
    });
    const answer = await folder.run();
    assert.equal(answer.best.metric, 'accuracy');
    const read = (name: string) => readFileSync(join(answer.path, name), 'utf8');
    const model = JSON.parse(read('model.json'));
    assert.deepEqual(model.classes, ['high', 'low', 'mid']);
    assert.equal(model.coefficients.length, 3);
    const mean = rows.reduce((sum, _, i) => sum + Math.sin(i * 2), 0) / rows.length;
    assert.ok(Math.abs(model.features[0].impute - mean) < 1e-12, 'what fills gaps of new rows');
    const { confusion } = JSON.parse(read('result.json')).search.classReport;
    assert.deepEqual(
      confusion.map((own: number[]) => own.reduce((a, b) => a + b)),
      [30, 30, 30],
    );
    assert.match(read('report.html'), /<section id="classes".*Rows by class \(down\)/s);
    assert.match(read('results.csv'), /,mean_test_f1_macro,/);
    const refused = await reprise(['run', 'job.yaml', 'scoring=neg_log_loss'], {
      cwd: folder.path,
    });
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /scoring: expected a metric that needs no probabilities/);
    folder.remove();
  });
});
