/** Files only Spark can list: identity by path, length, time, checksum, checked at the end. */
import assert from 'node:assert/strict';
import { mkdirSync, utimesSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { stringify } from 'yaml';
import { verifyUnchanged } from '../../driver/index.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import type { OpenSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import { dailyJob, writeDay } from '../support/daily-files.js';
import { farAddress } from '../support/far-storage.js';
import { duckdb, JobFolder } from '../support/job-folder.js';
import { createTestSpark } from '../support/spark.js';

describe('files in storage that Spark lists', function () {
  this.timeout(300_000);
  let folder: JobFolder;
  let open: OpenSession;
  before(async function () {
    const spark = await createTestSpark();
    if (typeof spark === 'string') {
      console.log(`SKIPPED: ${spark}`);
      this.skip();
    }
    const session = new Session({ local: await createCpuBackend(), blocks: spark });
    open = { session, engine: 'spark', frames: spark.frames };
  });
  after(() => open?.session.close());
  beforeEach(async () => {
    folder = new JobFolder();
    for (const day of [0, 1]) await writeDay(folder.file('data'), day);
    const path = farAddress(folder.file('data'));
    folder.write('job.yaml', stringify({ ...dailyJob, data: { ...dailyJob.data, path } }));
  });
  afterEach(() => folder.remove());

  const describeData = () => open.frames.describe(farAddress(folder.file('data')));

  it('are the same while nothing changes, and others once the time or the length does', async () => {
    const first = await describeData();
    assert.deepEqual(
      (await describeData()).source.files.map((file) => file.digest),
      first.source.files.map((file) => file.digest),
    );
    await verifyUnchanged(first.source);
    utimesSync(folder.file('data/day-001.parquet'), 1_000_000, 1_000_000);
    await assert.rejects(verifyUnchanged(first.source), /day-001\.parquet .*another/);
    const again = await describeData();
    await verifyUnchanged(again.source);
    assert.equal(again.source.files[0]!.digest, first.source.files[0]!.digest);
    assert.notEqual(again.source.files[1]!.digest, first.source.files[1]!.digest);
    await rm(folder.file('data/day-000.parquet'));
    await assert.rejects(verifyUnchanged(again.source), /day-000\.parquet .*gone/);
  });

  it('end a run when they change while it reads, and are read one by one when they are new', async () => {
    const job = await readJob(folder.file('job.yaml'), { overrides: [] });
    const first = await runJob(job, { engine: 'spark', open });
    assert.deepEqual([first.passes, first.rowsRead], [1, 2 * 807]);
    await writeDay(folder.file('data'), 2);
    const more = await runJob(job, { engine: 'spark', open });
    assert.deepEqual([more.passes, more.rowsRead], [1, 2 * 414]);
    await writeDay(folder.file('data'), 3);
    await assert.rejects(
      runJob(job, {
        engine: 'spark',
        open,
        onEvent: (event) => {
          if (event.kind !== 'phase' || event.phase !== 'fit') return;
          utimesSync(folder.file('data/day-003.parquet'), 2_000_000, 2_000_000);
        },
      }),
      { code: 'DATA' },
    );
  });

  it('lie in folders of partitions as on this machine', async () => {
    const [old, young] = ['year=2023/month=01', 'year=2024/month=%2C'];
    for (const [at, name] of [old, young, '_temporary/0'].entries()) {
      mkdirSync(folder.file(`parted/${name}`), { recursive: true });
      await duckdb(
        `COPY (SELECT i AS a, i + ${at} AS y FROM range(5) t(i)) TO '${folder.file(`parted/${name}/p.parquet`)}'`,
      );
    }
    const local = await open.frames.describe(folder.file('parted'));
    for (const path of ['parted', 'parted/**/*.parquet', 'parted/*/*/*.parquet']) {
      const far = await open.frames.describe(farAddress(folder.file(path)));
      assert.deepEqual(far.columns, local.columns, path);
      const parted = (files: typeof far.source.files) => files.map(({ partition }) => partition);
      assert.deepEqual(parted(far.source.files), parted(local.source.files), path);
    }
    for (const pattern of ['a*a*a*a*b.csv', '**/**/**/**/*.csv']) {
      const far = open.frames.describe(farAddress(folder.file(pattern)));
      await assert.rejects(far, /expected at most 3 stars in a name/);
    }
    assert.deepEqual(
      local.columns.map(({ name, engineType }) => `${name} ${engineType}`),
      ['a bigint', 'y bigint', 'year bigint', 'month string'],
    );
  });
});
