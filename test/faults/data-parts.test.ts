/** Files that change, vanish or break during a run over many: noticed; nothing wrong is kept. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { openSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import { dailyJob, writeDay } from '../support/daily-files.js';
import { JobFolder } from '../support/job-folder.js';

const ROWS = [400, 407, 414];
const ALL_ROWS = ROWS.reduce((sum, rows) => sum + rows, 0);

describe('a run over files, one of which changes', () => {
  let folder: JobFolder;
  beforeEach(async () => {
    folder = new JobFolder();
    for (const day of [0, 1, 2]) await writeDay(folder.file('data'), day);
    folder.write('job.yaml', stringify(dailyJob));
    process.env.REPRISE_STORE = folder.file('store');
  });
  afterEach(() => {
    process.env.REPRISE_STORE = 'off';
    folder.remove();
  });

  /** A run in a session of its own; `at` is called as the phase begins. */
  const run = async (phase = '', at: () => Promise<void> | void = () => {}): Promise<RunRecord> => {
    const job = await readJob(folder.file('job.yaml'), { overrides: [] });
    const open = await openSession('local');
    let changing: Promise<void> | undefined;
    try {
      return await runJob(job, {
        engine: 'local',
        open,
        onEvent: (event) => {
          if (event.kind === 'phase' && event.phase === phase) changing = Promise.resolve(at());
        },
      });
    } finally {
      await changing;
      await open.session.close();
    }
  };

  /** The scores of a run that keeps nothing. */
  const coldTrials = async (): Promise<RunRecord['search']['trials']> => {
    const store = process.env.REPRISE_STORE!;
    process.env.REPRISE_STORE = 'off';
    try {
      return (await run()).search.trials;
    } finally {
      process.env.REPRISE_STORE = store;
    }
  };

  it('fails and keeps nothing of that file, but what it learned of the others', async () => {
    const path = folder.file('data/day-001.parquet');
    const before = await readFile(path);
    await assert.rejects(
      run('gram', async () => {
        await writeDay(folder.file('data'), 1, { draw: 5 });
      }),
      { code: 'DATA' },
    );
    // The changed content was never seen as what it replaced: a run over it reads it, and agrees
    // with a cold one.
    const changed = await run();
    assert.ok(
      changed.rowsRead >= 2 * 407 && changed.rowsRead <= 407 + ALL_ROWS,
      `${changed.rowsRead}`,
    );
    assert.deepEqual(changed.search.trials, await coldTrials());
    // Nor was anything kept for the content that was gone before it was read to the end.
    await writeFile(path, before);
    const restored = await run();
    assert.deepEqual(restored.search.trials, await coldTrials());
  });

  it('fails when a file goes away, and reads only that one when it is back', async () => {
    const path = folder.file('data/day-002.parquet');
    await copyFile(path, folder.file('aside'));
    await assert.rejects(
      run('gram', () => rmSync(path)),
      { code: 'DATA' },
    );
    await copyFile(folder.file('aside'), path);
    const back = await run();
    assert.ok(back.rowsRead < 2 * ALL_ROWS, `${back.rowsRead} rows`);
    assert.deepEqual(back.search.trials, await coldTrials());
  });

  it('says that a file changed where its change makes it unreadable', async () => {
    const path = folder.file('data/day-001.parquet');
    const whole = await readFile(path);
    for (const phase of ['profile', 'gram']) {
      await assert.rejects(
        run(phase, () => writeFile(path, whole.subarray(0, whole.length - 100))),
        (error: Error) => /day-001\.parquet .*changed while being read/.test(error.message),
      );
      await writeFile(path, whole);
    }
  });

  it('names the file that is damaged and leaves what is kept of the others', async () => {
    await run();
    const path = folder.file('data/day-001.parquet');
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    await assert.rejects(run(), (error: Error) => /day-001\.parquet/.test(error.message));
    await writeFile(path, bytes);
    const again = await run();
    assert.deepEqual([again.passes, again.rowsRead], [0, 0]);
  });

  it('computes a part again whose stored moments are damaged, and no other', async () => {
    await run();
    const store = await DurableStore.open(folder.file('store'));
    const grams = (await store.entries()).filter((entry) => entry.header.op === 'groupGram');
    assert.equal(grams.length, 3);
    const key = grams[0]!.header.key;
    const file = readdirSync(folder.file('store'), { recursive: true })
      .map(String)
      .find((name) => name.includes(key.slice(2)));
    const path = `${folder.file('store')}/${file}`;
    const bytes = await readFile(path);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(path, bytes);
    const mended = await run();
    assert.equal(mended.passes, 1);
    assert.ok(ROWS.includes(mended.rowsRead), `${mended.rowsRead} rows`);
    assert.deepEqual(mended.search.trials, await coldTrials());
  });
});

describe('one session over files that come and go', () => {
  it('reads each file once, and only new ones', async () => {
    const folder = new JobFolder();
    for (const day of [0, 1]) await writeDay(folder.file('data'), day);
    folder.write('job.yaml', stringify(dailyJob));
    const job = await readJob(folder.file('job.yaml'), { overrides: [] });
    const open = await openSession('local');
    const cold = async (): Promise<RunRecord> => {
      const fresh = await openSession('local');
      const record = await runJob(job, { engine: 'local', open: fresh });
      await fresh.session.close();
      return record;
    };
    try {
      await runJob(job, { engine: 'local', open });
      const steps: [string, () => unknown, number][] = [
        ['appended', () => writeDay(folder.file('data'), 2), 2 * 414],
        ['replaced', () => writeDay(folder.file('data'), 0, { draw: 3 }), 2 * 400],
        ['removed', () => rmSync(folder.file('data/day-001.parquet')), 0],
        ['back', () => writeDay(folder.file('data'), 1), 0],
      ];
      for (const [what, change, rows] of steps) {
        await change();
        const record = await runJob(job, { engine: 'local', open });
        assert.deepEqual([what, record.rowsRead], [what, rows]);
        assert.equal(record.passes, rows > 0 ? 1 : 0, what);
        assert.deepEqual(record.search.trials, (await cold()).search.trials, what);
      }
    } finally {
      await open.session.close();
      folder.remove();
    }
  });
});
