/**
 * A job every night over files that come one a day, with categories that drift so that those kept
 * by `top` change: each night reads its new day alone, and answers what a run that knows nothing
 * answers, to the last bit.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { type OpenSession, openSession } from '../../../jobs/engines.js';
import { readJob } from '../../../jobs/job-file/read-job.js';
import { runJob } from '../../../jobs/run-job.js';
import type { RunRecord } from '../../../jobs/runs/record.js';
import { JobFolder } from '../../support/job-folder.js';

const NIGHTS = 30;
const ROWS = 60;
const JOB = {
  kind: 'grid-search',
  data: {
    path: 'data',
    target: 'y',
    features: [
      { name: 'x', impute: 'mean' },
      { name: 'carrier', encode: 'onehot', top: 3 },
      { name: 'origin', encode: 'onehot', top: 2 },
    ],
    standardize: true,
  },
  model: { type: 'ridge' },
  search: { grid: { lambda: [0.1, 10] } },
  cv: { folds: 3, shuffle: true, seed: 5 },
};

function writeDay(folder: JobFolder, day: number): void {
  const lines = ['x,carrier,origin,y'];
  for (let row = 0; row < ROWS; row++) {
    const at = day * ROWS + row;
    const carrier = Math.floor(day / 4) + ((at * at) % 7) + (row % 2);
    const x = day % 5 === 2 && row % 9 === 0 ? '' : String(Math.sin(at));
    lines.push(`${x},C${carrier},O${(at * 7 + day) % 5},${Math.cos(at) + carrier}`);
  }
  writeFileSync(folder.file(`data/day-${String(day).padStart(3, '0')}.csv`), lines.join('\n'));
}

describe('a job every night over daily files', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    mkdirSync(folder.file('data'));
    folder.write('job.yaml', stringify(JOB));
  });
  afterEach(() => folder.remove());

  const run = async (open: OpenSession): Promise<RunRecord> =>
    runJob(await readJob(folder.file('job.yaml'), { overrides: [] }), { engine: 'local', open });
  const openWith = (store: string | null): Promise<OpenSession> => {
    const place = store === null ? null : { folder: folder.file(store) };
    return openSession('local', undefined, undefined, 'blocks', undefined, { place });
  };
  const inSession = async <T>(store: string | null, use: (open: OpenSession) => Promise<T>) => {
    const open = await openWith(store);
    try {
      return await use(open);
    } finally {
      await open.session.close();
    }
  };
  const answer = ({ search }: RunRecord) => [search.trials, search.model];

  it('reads the new day alone, also when other categories are kept, in one session', async () => {
    const kept = new Set<string>();
    await inSession(null, async (open) => {
      for (let day = 0; day < NIGHTS; day++) {
        writeDay(folder, day);
        const record = await run(open);
        kept.add(JSON.stringify(record.search.model?.columns));
        // The second file changes the folds of the first, which was shuffled as a whole.
        if (day === 1) continue;
        // Once for its profile and once for its moments.
        assert.deepEqual([day, record.rowsRead, record.passes], [day, 2 * ROWS, 1]);
        if (![2, 17, NIGHTS - 1].includes(day)) continue;
        assert.deepEqual(answer(record), answer(await inSession(null, run)), `night ${day}`);
      }
    });
    assert.ok(kept.size > 3, `${kept.size} choices of categories`);
  });

  it('reads the new day alone in a process that has the store of the others', async () => {
    for (let day = 0; day < 24; day++) writeDay(folder, day);
    await inSession('store', run);
    for (let day = 24; day < 28; day++) {
      writeDay(folder, day);
      const record = await inSession('store', run);
      assert.deepEqual([day, record.rowsRead, record.passes], [day, 2 * ROWS, 1]);
      if (day === 27) assert.deepEqual(answer(record), answer(await inSession(null, run)));
    }
    assert.equal((await inSession('store', run)).rowsRead, 0);
  });
});
