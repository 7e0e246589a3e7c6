/**
 * Data that grow a file at a time, each run a process of its own with a shared store: only what is
 * new is read, and the answer is that of a run that knows nothing.
 */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { reprise } from '../support/cli.js';
import { coldRun } from '../support/cold-run.js';
import { type DayOptions, dailyJob, writeDay } from '../support/daily-files.js';
import { JobFolder } from '../support/job-folder.js';
import { assertSameScores } from '../support/result-table.js';

interface Answer {
  readonly path: string;
  readonly passes: number;
  readonly rowsRead: number;
  readonly kernels: number;
}

/** A file is read once for its profile and once for its moments. */
const READS = 2;
const rowsOf = (day: number): number => 400 + 7 * day;

describe('reprise run on data that arrive file by file', function () {
  this.timeout(300_000);
  let folder: JobFolder;
  beforeEach(async () => {
    folder = new JobFolder();
    for (const day of [0, 1, 2, 3]) await add(day);
  });
  afterEach(() => folder.remove());

  const add = (day: number, options: DayOptions = {}): Promise<string> =>
    writeDay(folder.file('data'), day, options);

  const job = (changes: Record<string, unknown> = {}): void => {
    folder.write('job.yaml', stringify({ ...dailyJob, ...changes }));
  };

  const run = async (): Promise<Answer> => {
    const { code, stdout, stderr } = await reprise(
      ['run', 'job.yaml', '--engine', 'local', '--json', '--quiet'],
      {
        cwd: folder.path,
        env: { REPRISE_STORE: folder.file('store') },
      },
    );
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

  /** Runs with the store; the answer must be that of a run without one. */
  const checked = async (): Promise<Answer> => {
    const answer = await run();
    const cold = await coldRun(folder.file('job.yaml'));
    assertSameScores(answer.path, cold.path, 1e-12);
    assert.ok(cold.rowsRead > answer.rowsRead || answer.passes === cold.passes);
    return answer;
  };

  it('reads the new file only, and nothing when none is new', async () => {
    job();
    const first = await checked();
    assert.deepEqual([first.passes, first.rowsRead], [1, READS * (400 + 407 + 414 + 421)]);
    const again = await checked();
    assert.deepEqual([again.passes, again.rowsRead], [0, 0]);
    // Day 6 brings a category, a range and row counts no day before had; the moments of the others
    // stay.
    await add(6);
    const more = await checked();
    assert.deepEqual([more.passes, more.rowsRead], [1, READS * rowsOf(6)]);
  });

  it('reads what was replaced only, and merges the rest when a file goes away or comes between', async () => {
    job();
    await checked();
    await add(1, { draw: 1 });
    const replaced = await checked();
    assert.deepEqual([replaced.passes, replaced.rowsRead], [1, READS * rowsOf(1)]);
    await add(2, { draw: 1, rows: 350 });
    const shorter = await checked();
    assert.deepEqual([shorter.passes, shorter.rowsRead], [1, READS * 350]);
    rmSync(folder.file(join('data', 'day-000.parquet')));
    const removed = await checked();
    assert.deepEqual([removed.passes, removed.rowsRead], [0, 0]);
    await add(0);
    const back = await checked();
    assert.deepEqual([back.passes, back.rowsRead], [0, 0]);
  });

  it('keeps what is known by content when files are renamed', async () => {
    job();
    await checked();
    renameSync(folder.file('data/day-003.parquet'), folder.file('data/a-first.parquet'));
    const renamed = await checked();
    assert.deepEqual([renamed.passes, renamed.rowsRead], [0, 0]);
  });

  for (const [type, grid] of Object.entries({
    ols: {},
    lasso: { alpha: [0.01, 0.1] },
    'elastic-net': { alpha: [2], l1_ratio: [0.2, 0.5] },
  })) {
    it(`reads only what is new for ${type} too`, async () => {
      // At their default tolerance sums in another order may end a sweep apart.
      const exact = 'alpha' in grid ? { tol: 1e-13, max_iter: 100_000 } : {};
      job({ model: { type, ...exact }, search: { grid } });
      assert.equal((await checked()).passes, 1);
      await add(4);
      const more = await checked();
      assert.deepEqual([more.passes, more.rowsRead], [1, READS * rowsOf(4)]);
    });
  }

  it('keeps folds given by a column', async () => {
    job({ cv: { predefined: 'fold' } });
    await checked();
    await add(4);
    const more = await checked();
    assert.deepEqual([more.passes, more.rowsRead], [1, READS * rowsOf(4)]);
  });

  it('reads again only the files where contiguous folds begin and end elsewhere', async () => {
    job({ cv: { folds: 2 } });
    await checked();
    await add(4);
    const more = await checked();
    // Of five files the third straddles the new boundary; the one that held the old boundary is
    // between files no more.
    assert.equal(more.passes, 1);
    assert.ok(more.rowsRead <= READS * rowsOf(4) + rowsOf(1) + rowsOf(2), `${more.rowsRead} rows`);
  });

  it('reads all rows for losses that are no sums of squares, and agrees', async () => {
    job({ scoring: ['neg_mean_absolute_error', 'r2'] });
    const first = await checked();
    assert.equal(first.passes, 2);
    await add(4);
    const more = await checked();
    assert.equal(more.passes, 2);
    // Profile and moments of the new file; then every file once for the losses of the new models.
    const all = [0, 1, 2, 3, 4].reduce((sum, day) => sum + rowsOf(day), 0);
    assert.ok(more.rowsRead <= READS * rowsOf(4) + all, `${more.rowsRead} rows`);
  });

  it('takes text formats as well', async () => {
    rmSync(folder.file('data'), { recursive: true });
    for (const day of [0, 1, 2]) await add(day, { format: 'csv' });
    job();
    await checked();
    await add(3, { format: 'csv' });
    const more = await checked();
    assert.deepEqual([more.passes, more.rowsRead], [1, READS * rowsOf(3)]);
  });

  it('takes files whose columns have other types together, and agrees', async () => {
    rmSync(folder.file('data'), { recursive: true });
    for (const [name, a] of [
      ['one', '1'],
      ['two', '1.5'],
    ] as const) {
      // biome-ignore format: a table
      const lines = Array.from({ length: 60 }, (_, i) => `${a},${(i * i) % 7},${i % 5}`);
      mkdirSync(folder.file('data'), { recursive: true });
      writeFileSync(folder.file(`data/${name}.csv`), ['a,b,y', ...lines].join('\n'));
    }
    job({ data: { path: 'data', target: 'y', features: ['b', { name: 'a', encode: 'onehot' }] } });
    const answer = await checked();
    assert.equal(answer.passes, 1);
  });
});
