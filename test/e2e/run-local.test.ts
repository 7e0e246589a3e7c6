/** `reprise run --engine local` as users see it: answers, folders, overrides, streams, signals. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { reprise } from '../support/cli.js';
import { duckdb, JobFolder, linearCsv } from '../support/job-folder.js';
import { summaryKeys } from '../support/run-records.js';

const dataOf = (...features: string[]) => ({ path: 'data.csv', target: 'y', features });

const LOCAL = ['--engine', 'local'];

describe('reprise run on this machine', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(200));
  });
  afterEach(() => folder.remove());

  const run = (...args: string[]) =>
    reprise(['run', 'job.yaml', ...LOCAL, ...args], { cwd: folder.path });

  it('prints one JSON document and leaves a run folder', async () => {
    folder.job();
    const { code, stdout, stderr } = await run('--json');
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim().split('\n').length, 1);
    const answer = JSON.parse(stdout);
    assert.deepEqual(Object.keys(answer), summaryKeys);
    assert.deepEqual(answer.best.params, { lambda: 0.01 });
    assert.equal(answer.best.metric, 'neg_mean_squared_error');
    assert.ok(answer.best.score < 0 && answer.best.score > -0.002, `${answer.best.score}`);
    assert.equal(answer.trials, 3);
    assert.equal(answer.folds, 4);
    assert.equal(answer.engine, 'local');
    assert.equal(answer.passes, 1);
    assert.equal(answer.sparkJobs, 0);
    assert.ok(answer.kernels > 0 && answer.seconds.total > 0);
    assert.deepEqual(folder.runs(), [answer.run]);
    assert.equal(basename(answer.path), answer.run);
    for (const name of [
      'results.csv',
      'report.html',
      'model.json',
      'lineage.json',
      'timeline.json',
    ])
      assert.ok(existsSync(join(answer.path, name)), name);
  });

  it('finds the coefficients the data were made with', async () => {
    folder.write('data.csv', linearCsv(200, 0));
    folder.job({ search: { grid: { lambda: [1e-9] } } });
    const answer = JSON.parse((await run('--json')).stdout);
    const model = JSON.parse(readFileSync(join(answer.path, 'model.json'), 'utf8'));
    assert.deepEqual(model.columns, ['a', 'b']);
    const [a, b] = model.coefficients[0];
    for (const [got, expected] of [
      [a, 3],
      [b, -2],
      [model.intercepts[0], 1],
    ] as const)
      assert.ok(Math.abs(got - expected) < 1e-6, `${got} and ${expected}`);
  });

  it('writes a table with a row a candidate and a column a fold', async () => {
    folder.job();
    const answer = JSON.parse((await run('--json')).stdout);
    const [head, ...rows] = readFileSync(join(answer.path, 'results.csv'), 'utf8')
      .trim()
      .split('\n');
    const columns = head?.split(',') ?? [];
    for (const column of [
      'param_lambda',
      'split0_test_r2',
      'split3_test_r2',
      'mean_test_r2',
      'std_test_r2',
      'rank_test_r2',
      'mean_test_neg_mean_squared_error',
    ])
      assert.ok(columns.includes(column), column);
    assert.equal(rows.length, 3);
  });

  it('splits rows by class and by time, and says what is wrong with a split', async () => {
    const lines = linearCsv(200).trim().split('\n');
    const classes = lines.map((line, i) => `${line},${i === 0 ? 'kind' : 'abacab'[i % 6]}`);
    folder.write('data.csv', `${classes.join('\n')}\n`);
    folder.job({ cv: { stratify: 'kind', repeats: 2 }, data: dataOf('a', 'b') });
    const answer = JSON.parse((await run('--json')).stdout);
    assert.equal(answer.folds, 10);
    const table = readFileSync(join(answer.path, 'results.csv'), 'utf8');
    assert.match(table, /split9_test_r2/);
    const series = JSON.parse((await run('--json', 'cv={type: time-series, gap: 2}')).stdout);
    assert.equal(series.folds, 5);
    assert.ok(series.best.score > -0.002, `${series.best.score}`);
    const nested = await run('cv={folds: 3, outer: {folds: 4}}');
    assert.match(nested.stdout, /outer {3}neg_mean_squared_error .* of 4 outer splits/);
    const page = readFileSync(nested.stdout.match(/report {2}(.*)/)![1]!, 'utf8');
    assert.match(page, /<section id="nested"/);
    const wrong = await run('cv={stratify: a}');
    assert.equal(wrong.code, 3);
    assert.match(wrong.stderr, /stratify a: expected classes .*, got the number/);
  });

  it('gives the same bytes for the same job', async () => {
    folder.job({ cv: { folds: 3, shuffle: true, seed: 1 } });
    const paths = [];
    for (let i = 0; i < 2; i++) paths.push(JSON.parse((await run('--json')).stdout).path as string);
    for (const name of ['results.csv', 'model.json', 'job.yaml'])
      assert.deepEqual(
        readFileSync(join(paths[0]!, name)),
        readFileSync(join(paths[1]!, name)),
        name,
      );
  });

  it('takes overrides', async () => {
    folder.job();
    const { code, stdout, stderr } = await run(
      'search.grid.lambda=[5, 6]',
      'cv.folds=3',
      'scoring=r2',
      '--json',
    );
    assert.equal(code, 0, stderr);
    const answer = JSON.parse(stdout);
    assert.deepEqual([answer.trials, answer.folds, answer.best.metric], [2, 3, 'r2']);
    const table = readFileSync(join(answer.path, 'results.csv'), 'utf8');
    assert.match(table, /mean_test_score/);
    assert.match(readFileSync(join(answer.path, 'job.yaml'), 'utf8'), /folds: 3/);
  });

  it('puts data on standard output and the rest on standard error, without escape codes', async () => {
    folder.job();
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /best +lambda 0\.01: neg_mean_squared_error -0\.00/);
    assert.match(stdout, /fits +12: 3 candidates on 4 folds of 200 rows x 2 columns/);
    assert.match(stderr, /engine: local/);
    assert.ok(!(stdout + stderr).includes('\u001b'));
  });

  it('says nothing on standard error when asked to be quiet', async () => {
    folder.job();
    assert.equal((await run('--quiet', '--json')).stderr, '');
  });

  it('puts run folders where asked', async () => {
    folder.job();
    const { stdout } = await run('--json', '--output', 'elsewhere');
    const answer = JSON.parse(stdout);
    assert.equal(answer.path, join(folder.path, 'elsewhere', answer.run));
    assert.deepEqual(folder.runs(), []);
  });

  it('reads Parquet, JSON lines, folders and globs alike', async () => {
    folder.job();
    const csv = folder.file('data.csv');
    await duckdb(`copy (from '${csv}') to '${folder.file('data.parquet')}' (format parquet)`);
    await duckdb(`copy (from '${csv}') to '${folder.file('data.jsonl')}' (format json)`);
    const scores = new Set<number>();
    for (const path of ['data.csv', 'data.parquet', 'data.jsonl', 'data.par*']) {
      const { code, stdout, stderr } = await run('--json', `data.path=${path}`);
      assert.equal(code, 0, `${path}: ${stderr}`);
      scores.add(JSON.parse(stdout).best.score);
    }
    assert.equal(scores.size, 1, [...scores].join(' '));
  });

  it('plans without running', async () => {
    folder.job();
    const { code, stdout, stderr } = await reprise(['plan', 'job.yaml', ...LOCAL, '--json'], {
      cwd: folder.path,
    });
    assert.equal(code, 0, stderr);
    const plan = JSON.parse(stdout);
    assert.equal(plan.engine, 'local');
    assert.deepEqual([plan.rows, plan.columns, plan.trials, plan.folds], [200, 2, 3, 4]);
    assert.ok(plan.estimatedSeconds >= 0 && plan.plan.length > 0);
    assert.deepEqual(folder.runs(), []);
  });

  it('writes a report again', async () => {
    folder.job();
    const answer = JSON.parse((await run('--json')).stdout);
    const before = readFileSync(join(answer.path, 'report.html'), 'utf8');
    for (const name of [answer.run, 'latest', answer.path]) {
      const { code, stdout, stderr } = await reprise(['report', name], { cwd: folder.path });
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trim(), join(answer.path, 'report.html'));
    }
    assert.equal(readFileSync(join(answer.path, 'report.html'), 'utf8'), before);
    const missing = await reprise(['report', 'nothing'], { cwd: folder.path });
    assert.equal(missing.code, 3);
  });

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    it(`stops on ${signal} and leaves no run`, async () => {
      await duckdb(
        `COPY (SELECT i % 1000 AS a, (i * 7919) % 1009 AS b, i % 13 AS y FROM range(3000000) t(i))
         TO '${folder.file('long.parquet')}'`,
      );
      const job = folder.job({ data: { path: 'long.parquet', target: 'y' } });
      let sent = false;
      const { code, stdout, stderr } = await reprise(
        ['run', job, ...LOCAL, '--output', folder.file('runs')],
        {
          onStderr: (text, child) => {
            if (sent || !text.includes('engine:')) return;
            sent = true;
            setTimeout(() => child.kill(signal), 300);
          },
        },
      );
      assert.equal(code, expected, stderr);
      assert.match(stderr, new RegExp(`stopped by ${signal}`));
      assert.equal(stdout, '');
      assert.deepEqual(folder.runs(), []);
    });
});
