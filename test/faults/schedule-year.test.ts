/**
 * Nights of a schedule in one process, over data that grow by a file a day: by a clock that jumps
 * from night to night, with one session and one store for all. `REPRISE_NIGHTS=366` is a year; fewer
 * are divided between the weeks in which the clocks change. Each night has its date, and each
 * answer is that of a run that knows nothing; memory does not grow, and the store keeps to its limit.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { stringify } from 'yaml';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { keepRun } from '../../jobs/keep-run.js';
import { RunJournal } from '../../jobs/runs/run-journal.js';
import type { RunLaunch } from '../../jobs/schedule/launch.js';
import { timeVariables } from '../../jobs/schedule/logical-time.js';
import { Scheduler } from '../../jobs/schedule/scheduler.js';
import { nextTime } from '../../jobs/schedule/times.js';
import { localTime } from '../../jobs/schedule/zone.js';
import { coldRun } from '../support/cold-run.js';
import { dailyJob, writeDay } from '../support/daily-files.js';
import { JobFolder } from '../support/job-folder.js';
import { TestClock } from '../support/scheduler-doubles.js';

const NIGHTS = Number(process.env.REPRISE_NIGHTS ?? 24);
const ROWS = 200;
const STORE_BYTES = 3e6;
const COMPARED = 4;
const ZONE = 'Europe/Berlin';
const CALENDAR = { cron: ['30 2 * * *'], zone: ZONE };
const BEGINS = NIGHTS < 366 ? ['2026-03-26', '2026-10-22'] : ['2026-01-01'];

describe(`a schedule over ${NIGHTS} nights`, function () {
  this.timeout(120_000 + NIGHTS * 5000);
  let folder: JobFolder;
  let open: OpenSession;
  const rowsRead: number[] = [];
  const seconds: number[] = [];

  before(async () => {
    folder = new JobFolder();
    mkdirSync(folder.file('data'));
    const schedule = { ...CALENDAR, overlap: 'queue', wait_for: { files: 'data/{{ date }}.parquet', deadline: '1m' } }; // biome-ignore format: a record
    folder.write('nightly.yaml', stringify({ ...dailyJob, schedule }));
    const place = { folder: folder.file('store'), maxBytes: STORE_BYTES };
    open = await openSession('local', undefined, undefined, 'blocks', undefined, { place });
  });
  after(async () => {
    await open?.session.close();
    folder.remove();
  });

  /** A run in this process. */
  const launch: RunLaunch = async ({ file, run, time, output }) => {
    const variables = { ...timeVariables(time, CALENDAR) };
    const job = await readJob(file, { output, variables });
    const journal = await RunJournal.begin(job, file, 'local', run);
    const keep = { engine: 'local', open, journal, renderReport: () => '', isOfUser: () => false } as const; // biome-ignore format: a record
    const [record] = await keepRun(job, keep);
    rowsRead.push(record.rowsRead);
    seconds.push(record.seconds.total ?? 0);
    return { code: 0 };
  };

  it('runs each night once, to the answers of cold runs, in flat memory', async () => {
    const clock = new TestClock();
    const nights = nightsFrom();
    const heaps: number[] = [];
    clock.ms = nights[0]! - 3_600_000;
    const scheduler = await Scheduler.open({ files: [folder.file('nightly.yaml')], launch, clock });
    const { folder: state } = scheduler.works[0]!;
    for (const [day, time] of nights.entries()) {
      await addDay(day, localTime(time, ZONE).date);
      clock.ms = time + 1000;
      await scheduler.once();
      const { recent, counts } = await state.state.read();
      const last = recent.at(-1)!;
      assert.deepEqual([last.time, last.state, last.why], [time, 'done', undefined]);
      assert.equal(counts.done, day + 1);
      assert.ok(open.store!.usage().bytes <= STORE_BYTES, `night ${day}: the store is too large`);
      if (day % Math.ceil(nights.length / COMPARED) === 1 || day === nights.length - 1) {
        await assertAsCold(last.run!);
      }
      heaps.push(heapMib());
    }
    assertDays(nights);
    process.stderr.write(`        heap ${text(heaps[1])} MiB on the second night, ${text(heaps[Math.floor(heaps.length * 0.7)])} after 70 %, ${text(heaps.at(-1))} on the last; ${median(seconds.slice(2, 30)).toFixed(3)} s a night of the first month, ${median(seconds.slice(-28)).toFixed(3)} of the last\n`); // biome-ignore format: a line
    for (const [day, rows] of rowsRead.entries()) {
      // The new day alone: once for its profile, once for its moments.
      if (day > 1) assert.ok(rows <= 2 * (ROWS + 6), `night ${day} read ${rows} rows`);
    }
    assertFlat(heaps);
  });

  /** Every time of the nights asked for. */
  function nightsFrom(): number[] {
    const each = Math.ceil(NIGHTS / BEGINS.length);
    return BEGINS.flatMap((date) => {
      const times: number[] = [];
      let time = nextTime(CALENDAR, Date.parse(`${date}T00:00:00Z`));
      while (times.length < each) {
        times.push(time!);
        time = nextTime(CALENDAR, time!);
      }
      return times;
    });
  }

  async function addDay(day: number, date: string): Promise<void> {
    const path = await writeDay(folder.file('staging'), day, { rows: ROWS + (day % 7) });
    // As a file of an hour ago: nobody is writing it.
    utimesSync(path, Date.now() / 1000 - 3600, Date.now() / 1000 - 3600);
    renameSync(path, folder.file(`data/${date}.parquet`));
  }

  async function assertAsCold(run: string): Promise<void> {
    const { schedule: _, ...job } = { ...dailyJob, schedule: null };
    writeFileSync(folder.file('cold.yaml'), stringify(job));
    const cold = await coldRun(folder.file('cold.yaml'));
    const read = (path: string) => readFileSync(join(path, 'results.csv'), 'utf8');
    assert.equal(read(join(folder.file('runs'), run)), read(cold.path));
  }

  /** Each date once, also those of the nights without and with a second half past two. */
  function assertDays(nights: readonly number[]): void {
    const dates = nights.map((time) => localTime(time, ZONE).date);
    assert.equal(new Set(dates).size, dates.length);
    const clocks = new Map(nights.map((time) => [localTime(time, ZONE).date, time]));
    assert.equal(new Date(clocks.get('2026-03-29')!).toISOString(), '2026-03-29T01:00:00.000Z');
    assert.equal(new Date(clocks.get('2026-10-25')!).toISOString(), '2026-10-25T00:30:00.000Z');
  }
});

/**
 * Kept values fill their bounds first, the last of them in two hundred nights; from then on the heap
 * is where it was, saw teeth apart.
 */
function assertFlat(heaps: readonly number[]): void {
  const lowest = (from: number, to: number): number => Math.min(...heaps.slice(from, to));
  const all = `heap: ${heaps.map((mib) => mib.toFixed(0)).join(' ')}`;
  if (heaps.length < 366) assert.ok(heaps.at(-1)! - heaps[1]! < heaps.length + 10, all);
  else assert.ok(lowest(-30, Number.POSITIVE_INFINITY) < 1.1 * lowest(240, 270), all);
}

const text = (mib: number | undefined): string => (mib ?? Number.NaN).toFixed(1);

let collect: (() => void) | undefined;

/** What lives after a collection, buffers included. */
function heapMib(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
