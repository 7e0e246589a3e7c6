/**
 * A file that is another while Spark reads it, and what it was again afterwards: the run ends, and
 * the session keeps nothing it learned meanwhile, so the next run is right.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import { dailyJob, writeDay } from '../support/daily-files.js';
import { farAddress } from '../support/far-storage.js';
import { JobFolder } from '../support/job-folder.js';
import { createTestSpark } from '../support/spark.js';

describe('a session on Spark over a file that changes for a while', function () {
  this.timeout(300_000);
  let folder: JobFolder;
  let spark: OpenSession;
  let local: OpenSession;
  before(async function () {
    const backend = await createTestSpark();
    if (typeof backend === 'string') {
      console.log(`SKIPPED: ${backend}`);
      this.skip();
    }
    const session = new Session({ local: await createCpuBackend(), blocks: backend });
    spark = { session, engine: 'spark', frames: backend.frames };
    local = await openSession('local');
  });
  after(async () => {
    await spark?.session.close();
    await local?.session.close();
  });
  beforeEach(() => {
    folder = new JobFolder();
  });
  afterEach(() => folder.remove());

  const scores = ({ search }: RunRecord): number[] =>
    search.trials.map((trial) => trial.meanScore.r2!);

  // Each over other days, as the session knows what it has read.
  const cases = [
    { phase: 'profile', days: [0, 1], where: 'here' },
    { phase: 'gram', days: [2, 3], where: 'here' },
    { phase: 'profile', days: [4], where: 'here' },
    { phase: 'gram', days: [5], where: 'here' },
    { phase: 'profile', days: [6, 7], where: 'in storage that Spark lists' },
    { phase: 'gram', days: [8, 9], where: 'in storage that Spark lists' },
  ] as const;
  for (const { phase, days, where } of cases) {
    it(`keeps nothing of it: ${days.length} files ${where}, from phase ${phase} on`, async () => {
      for (const day of days) await writeDay(folder.file('data'), day);
      const path = folder.file(`data/day-00${days[0]}.parquet`);
      const [was, times] = [readFileSync(path), statSync(path)];
      await writeDay(folder.file('data'), days[0], { draw: 5 });
      const other = readFileSync(path);
      const restore = (): void => {
        writeFileSync(path, was);
        utimesSync(path, times.atime, times.mtime);
      };
      restore();
      const href = where === 'here' ? 'data' : farAddress(folder.file('data'));
      // Folds by a column: those that are shuffled follow a file's identity, which is another in
      // storage.
      const { data } = dailyJob;
      const own = { ...dailyJob, data: { ...data, path: href }, cv: { predefined: 'fold' } };
      folder.write('job.yaml', stringify(own));
      const job = await readJob(folder.file('job.yaml'), { overrides: [] });
      await assert.rejects(
        runJob(job, {
          engine: 'spark',
          open: spark,
          onEvent: (event) => {
            if (event.kind === 'phase' && event.phase === phase) writeFileSync(path, other);
          },
        }),
        (error: Error) => /changed while being read/.test(error.message),
      );
      restore();
      const back = await runJob(job, { engine: 'spark', open: spark });
      assert.ok(back.rowsRead > 0);
      const overrides = [`data.path=${folder.file('data')}`];
      const there = await readJob(folder.file('job.yaml'), { overrides });
      const expected = scores(await runJob(there, { engine: 'local', open: local }));
      for (const [i, score] of scores(back).entries()) {
        assert.ok(Math.abs(score - expected[i]!) < 1e-9, `${score} and ${expected[i]}`);
      }
    });
  }

  it('names the change as the cause when a file can no longer be read', async () => {
    for (const day of [10, 11]) await writeDay(folder.file('data'), day);
    folder.write('job.yaml', stringify(dailyJob));
    const job = await readJob(folder.file('job.yaml'), { overrides: [] });
    await assert.rejects(
      runJob(job, {
        engine: 'spark',
        open: spark,
        onEvent: (event) => {
          if (event.kind !== 'phase' || event.phase !== 'gram') return;
          truncateSync(folder.file('data/day-011.parquet'), 1000);
        },
      }),
      (error: Error) => /day-011.parquet .*changed while being read/.test(error.message),
    );
  });
});
