/** `reprise` on pipelines as people run it: streams, exit codes, and the commands on their runs. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { reprise } from '../../../support/cli.js';
import { JobFolder, linearCsv } from '../../../support/job-folder.js';

const STEPS = {
  rows: { sql: 'select a, b, y from t', inputs: { t: 'data.csv' } },
  search: {
    job: {
      data: { target: 'y' },
      model: { type: 'ridge' },
      search: { grid: { lambda: [0.1, 1] } },
    },
    with: { 'data.path': { step: 'rows' } },
  },
  ready: { run: '[ -e ready ]', after: ['search'] },
  last: { run: 'cp {{ steps.search }} last.json', outputs: ['last.json'], after: ['ready'] },
};

describe('reprise on pipelines', function () {
  this.timeout(120_000);
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(200));
    folder.write('nightly.yaml', stringify({ kind: 'pipeline', steps: STEPS }));
  });
  after(() => folder.remove());

  const call = (...args: readonly string[]) =>
    reprise(args, { cwd: folder.path, env: { REPRISE_STORE: folder.file('store') } });

  it('plans, runs, shows, compares, resumes', async () => {
    const plan = await call('plan', 'nightly.yaml');
    assert.equal(plan.code, 0, plan.stderr);
    assert.match(plan.stdout, /^rows +sql +runs +here +\? +it was not done before$/m);
    assert.match(plan.stdout, /^steps {3}2 to run, 2 may run of 4; at most 2 steps at once$/m);
    assert.deepEqual(folder.runs(), []);

    const failed = await call('run', 'nightly.yaml');
    assert.equal(failed.code, 4, failed.stderr);
    assert.match(failed.stderr, /^rows: begins \(it was not done before\)$/m);
    assert.match(
      failed.stdout,
      /^failed {2}ready: nightly.yaml:22:10: steps.ready.run: expected .* got exit code 1/m,
    );
    assert.match(failed.stdout, /^last +run +not-run +ready failed$/m);
    const [id] = folder.runs();
    assert.match(failed.stdout, new RegExp(`^next {4}\`reprise resume ${id}\` goes on`, 'm'));

    const list = await call('runs', 'ls');
    assert.match(list.stdout, new RegExp(`^failed +${id} +2 of 4 steps`, 'm'));
    folder.write('ready', '');
    const resumed = await call('resume', 'latest', '--json');
    assert.equal(resumed.code, 0, resumed.stderr);
    const result = JSON.parse(resumed.stdout);
    assert.deepEqual([result.run, result.state, result.attempts], [id, 'finished', 2]);
    assert.deepEqual(
      result.steps.map(({ state }: { state: string }) => state),
      ['done', 'done', 'done', 'done'],
    );
    assert.doesNotMatch(resumed.stderr, /^(rows|search): begins/m);
    assert.equal((await call('resume', id!)).code, 0);

    const search = JSON.parse((await call('runs', 'show', `${id}/steps/search`, '--json')).stdout);
    assert.deepEqual([search.kind, search.state, search.trials.done], ['job', 'finished', 2]);
    const shown = JSON.parse((await call('runs', 'show', id!, '--json')).stdout);
    assert.deepEqual([shown.kind, shown.steps.done, shown.steps.of], ['pipeline', 4, 4]);
    assert.deepEqual(
      shown.steps.list.map(({ kind }: { kind: string }) => kind),
      ['sql', 'job', 'run', 'run'],
    );

    const again = await call('run', 'nightly.yaml');
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /^steps {3}4 skipped$/m);
    const compared = await call('runs', 'compare', ...folder.runs());
    assert.match(compared.stdout, /^rows +done in .* +skipped$/m);
    const predicted = await call('predict', 'latest', 'data.csv');
    assert.equal(predicted.code, 3);
    assert.match(predicted.stderr, new RegExp(`its searches: ${id}/steps/search$`, 'm'));
    const scored = await call('predict', `${id}/steps/search`, 'data.csv', '--out', 'scored.csv');
    assert.equal(scored.code, 0, scored.stderr);
    const report = await call('report', id!);
    assert.equal(report.stdout.trim(), folder.file(join('runs', id!, 'report.html')));
    assert.match(
      readFileSync(report.stdout.trim(), 'utf8'),
      /<a href="steps\/search\/report.html">/,
    );
    assert.ok(existsSync(folder.file(join('runs', id!, 'steps/search/report.html'))));
  });

  it('says what is wrong with a file with exit code 3, and runs nothing', async () => {
    folder.write('wrong.yaml', 'kind: pipeline\nsteps:\n  a: {run: "true", after: [b]}\n');
    const before = folder.runs().length;
    const { code, stderr } = await call('run', 'wrong.yaml');
    assert.equal(code, 3);
    assert.match(
      stderr,
      /^error: wrong.yaml:3:27: steps.a.after: expected a step of this pipeline/,
    );
    assert.equal(folder.runs().length, before);
  });

  it('keeps the steps that are done when it is told to stop', async () => {
    const steps = { quick: { run: 'true' }, slow: { run: 'sleep 60', after: ['quick'] } };
    folder.write('slow.yaml', stringify({ kind: 'pipeline', steps }));
    let isTold = false;
    const { code, stdout, stderr } = await reprise(['run', 'slow.yaml'], {
      cwd: folder.path,
      onStderr: (text, child) => {
        if (isTold || !/^slow: begins/m.test(text)) return;
        isTold = true;
        child.kill('SIGINT');
      },
    });
    assert.equal(code, 130, stderr);
    assert.match(stdout, /^steps {3}1 done, 1 stopped$/m, stderr);
  });
});
