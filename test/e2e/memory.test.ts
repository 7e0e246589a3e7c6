/** The memory setting on the command line: small jobs, and jobs that stop before they overrun. */
import assert from 'node:assert/strict';
import { reprise } from '../support/cli.js';
import { duckdb, JobFolder, linearCsv } from '../support/job-folder.js';

describe('memory of a run', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
  });
  afterEach(() => folder.remove());

  it('runs an ordinary job in 512 MiB, says what it forecast and took', async () => {
    folder.write('data.csv', linearCsv(20_000));
    const job = folder.job();
    const env = { REPRISE_MEMORY: '512MiB' };
    const { code, stdout, stderr } = await reprise(['run', job, '--json'], {
      cwd: folder.path,
      env,
    });
    assert.equal(code, 0, stderr);
    const { memory } = JSON.parse(stdout);
    assert.ok(memory.peakBytes < 512 * 1024 ** 2, `${memory.peakBytes}`);
    const ratio = memory.forecastBytes / memory.peakBytes;
    assert.ok(ratio > 0.6 && ratio < 1.7, `forecast over peak: ${ratio}`);
    const plan = await reprise(['plan', job], { cwd: folder.path, env });
    assert.match(
      plan.stdout,
      /^memory {2}about .* at the peak, of 512\.0 MiB \(REPRISE_MEMORY\): /m,
    );
    const json = await reprise(['plan', job, '--json', '--memory', '50%'], { cwd: folder.path });
    assert.match(JSON.parse(json.stdout).memory.limitFrom, /^--memory, 50% of /);
  });

  it('stops a one-hot column of too many categories before it starts, and says what would do', async () => {
    await duckdb(
      `COPY (SELECT 'c' || (i % 6000) AS city, sin(i) AS a, cos(i) AS y FROM range(60000) t(i)) TO '${folder.file('data.parquet')}'`,
    );
    const features = ['a', { name: 'city', encode: 'onehot' }];
    // It needs products of all columns; ridge and lasso would be fitted by rows.
    const huber = { model: { type: 'huber' }, search: { grid: { alpha: [0.1, 1, 10] } } };
    const job = folder.job({ ...huber, data: { path: 'data.parquet', target: 'y', features } });
    const env = { REPRISE_MEMORY: '1GiB' };
    const { code, stderr } = await reprise(['run', job], { cwd: folder.path, env });
    assert.equal(code, 3, stderr);
    assert.match(
      stderr,
      /memory: expected a run that fits 1\.0 GiB \(REPRISE_MEMORY\), got one that takes about 2\.\d GiB/,
    );
    assert.match(stderr, /1\.1 GiB for moments of 6,001 columns in 4 folds/);
    const top = Number(/say top: (\d+) for feature city \(6,000 columns\)/.exec(stderr)?.[1]);
    assert.deepEqual(folder.runs(), []);
    const within = folder.job({
      ...huber,
      data: {
        path: 'data.parquet',
        target: 'y',
        features: ['a', { name: 'city', encode: 'onehot', top }],
      },
    });
    const plan = await reprise(['plan', within, '--json'], { cwd: folder.path, env });
    const { memory } = JSON.parse(plan.stdout);
    assert.ok(memory.neededBytes <= memory.limitBytes, 'what is advised fits');
  });

  it('refuses a setting that is none', async () => {
    folder.write('data.csv', linearCsv(50));
    const { code, stderr } = await reprise(['run', folder.job()], {
      cwd: folder.path,
      env: { REPRISE_MEMORY: 'much' },
    });
    assert.equal(code, 3);
    assert.match(stderr, /REPRISE_MEMORY: expected a size of at least 384\.0 MiB such as 8GiB/);
  });
});
