/**
 * A job run every night over files that come one a day, for more than a year, with categories that
 * come and go so that those kept by `top` change. A night should cost its new day, whatever came
 * before: as many rows read, and about as long in the second year as in the first month. In one
 * process with one session, and then each night in a process of its own beside early ones of a new
 * folder; last nights are compared with a run that knows nothing.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ExecutionError } from '../driver/errors.js';
import { type OpenSession, openSession } from '../jobs/engines.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import type { RunRecord } from '../jobs/runs/record.js';
import { bestTrial } from '../jobs/search/result.js';
import type { StorePlace } from '../jobs/store-place.js';
import type { Bench, Recorder } from './harness.js';
import { type Days, dayFile, writeDays } from './night-days.js';
import { measureRun } from './process-usage.js';
import { median } from './stats.js';

export interface Nights {
  readonly format: Days['format'];
  readonly rows: number;
  readonly nights: number;
  /** Days of other numbers have other rows. */
  readonly firstDay: number;
}

/** What one night took. */
interface Night {
  readonly seconds: number;
  readonly rowsRead: number;
  readonly passes: number;
  readonly best: number;
  readonly phases: Readonly<Record<string, number>>;
  /** Of the process, or the most of it where the night had one of its own. @units MiB */
  readonly memoryMib: number;
  readonly heapMib?: number;
}

/** A folder that data come to, its job and its store. */
interface Place {
  readonly folder: string;
  readonly job: string;
  readonly size: Nights;
}

/** Rows a day are those of the trial that issue 14 tells of: 1,200,000 in 60 nights. */
const FULL = { rows: 20_000, nights: 400 };
const QUICK = { rows: 500, nights: 40 };
const FIRST_MONTH = [5, 30] as const;
/** Nights that have a process of their own, early and late ones by turns. */
const OWN_PROCESS = 12;
/** No day of one folder is in the other, or what is known of its file by content were known there. */
const ELSEWHERE = 10_000;
const PRINT_EVERY = 25;

export const nights: Bench = {
  name: 'nights',
  summary: 'a job every night over daily files, the first month against the second year',
  run: async (recorder, options) => {
    for (const format of ['csv', 'parquet'] as const) {
      await inFolder(async (folder) => {
        const size = { format, ...(options.quick ? QUICK : FULL) };
        const late = makePlace(join(folder, 'late'), { ...size, firstDay: 0 });
        await oneProcess(recorder, late);
        const first = { ...size, nights: FIRST_MONTH[0], firstDay: ELSEWHERE };
        await ownProcesses(recorder, makePlace(join(folder, 'first'), first), late);
      });
    }
  },
};

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-nights-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** With the days of all its nights beside it, and of those that have processes of their own. */
export function makePlace(folder: string, size: Nights): Place {
  const staged = join(folder, 'staged');
  mkdirSync(staged, { recursive: true });
  const { format, rows, nights, firstDay } = size;
  writeDays(staged, { format, rows, from: firstDay, to: firstDay + nights + OWN_PROCESS });
  return { folder, job: writeJob(folder, format), size };
}

/** The file of a night comes, as it would where another program moves it there once it is whole. */
export function bring({ folder, size }: Place, night: number): void {
  const [staged, there] = ['staged', 'data'].map((name) =>
    dayFile(join(folder, name), size.firstDay + night, size.format),
  );
  renameSync(staged!, there!);
}

async function oneProcess(recorder: Recorder, place: Place): Promise<void> {
  const { folder, job, size } = place;
  const done: Night[] = [];
  const open = await openLocal({ folder: join(folder, 'store') });
  try {
    for (let day = 0; day < size.nights; day++) {
      bring(place, day);
      done.push(await nightIn(open, job));
      if (day % PRINT_EVERY === 0 || day === 1)
        print(recorder, `one process, ${size.format}`, day, done.at(-1)!);
    }
  } finally {
    await open.session.close();
  }
  report(recorder, `nights.${size.format}`, done, size);
  await compareCold(job, done.at(-1)!);
}

export async function nightIn(open: OpenSession, job: string): Promise<Night> {
  const start = performance.now();
  const record = await runJob(await readJob(job, { overrides: [] }), { engine: 'local', open });
  const seconds = (performance.now() - start) / 1000;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    seconds,
    rowsRead: record.rowsRead,
    passes: record.passes,
    best: scoreOf(record),
    phases: record.seconds,
    memoryMib: rss / 2 ** 20,
    heapMib: heapUsed / 2 ** 20,
  };
}

/**
 * The nights after those of one process against nights 5 and on of a folder that is new, each in a
 * process of its own, by turns.
 */
async function ownProcesses(recorder: Recorder, first: Place, late: Place): Promise<void> {
  const { format, rows } = late.size;
  for (let night = 0; night < first.size.nights; night++) {
    bring(first, night);
    await ownProcess(first);
  }
  const name = `nights.processes.${format}`;
  const sides = [
    { side: `${name}.first_month`, place: first },
    { side: `${name}.late`, place: late },
  ];
  const last = new Map<Place, Night>();
  for (let i = 0; i < OWN_PROCESS; i++) {
    for (const { side, place } of sides) {
      bring(place, place.size.nights + i);
      const night = await ownProcess(place);
      last.set(place, night);
      recorder.sample(side, night.seconds);
      recorder.sample(`${side}.memory_mib`, night.memoryMib);
      recorder.sample(`${name}.days_read`, night.rowsRead / rows);
      print(recorder, side, place.size.nights + i, night);
    }
  }
  for (const { side } of sides) recorder.medianFigure(`${side}_s`, side);
  const [below, above] = sides.map(({ side }) => side);
  recorder.pairedRatio(`${name}.late_vs_first`, above!, below!, { atMost: 1.3 });
  const { max } = recorder.summary(`${name}.days_read`);
  recorder.figure(`${name}.most_days_read`, max, { atMost: 2 });
  for (const [{ job }, night] of last) await compareCold(job, night);
}

async function ownProcess({ folder, job }: Place): Promise<Night> {
  const usage = await measureRun(
    [job, '--engine', 'local', '--quiet', '--output', join(folder, 'runs')],
    { REPRISE_STORE: join(folder, 'store') },
  );
  const answer = JSON.parse(usage.stdout) as {
    best: { score: number };
    rowsRead: number;
    passes: number;
    seconds: Record<string, number>;
  };
  return {
    seconds: usage.seconds,
    rowsRead: answer.rowsRead,
    passes: answer.passes,
    best: answer.best.score,
    phases: answer.seconds,
    memoryMib: usage.peakMib,
  };
}

async function compareCold(path: string, last: Night): Promise<void> {
  const open = await openLocal(null);
  try {
    const job = await readJob(path, { overrides: [] });
    const cold = scoreOf(await runJob(job, { engine: 'local', open }));
    if (cold === last.best) return;
    throw new ExecutionError(
      `nights: expected the score of a cold run, ${cold}, got ${last.best}`,
      { op: 'bench' },
    );
  } finally {
    await open.session.close();
  }
}

function scoreOf({ search }: RunRecord): number {
  return bestTrial(search)!.meanScore[search.refit]!;
}

function openLocal(place: StorePlace | null): Promise<OpenSession> {
  return openSession('local', undefined, undefined, 'blocks', undefined, { place });
}

function print(recorder: Recorder, name: string, day: number, night: Night): void {
  const { seconds, rowsRead, passes, phases, memoryMib, heapMib } = night;
  const shown = Object.entries(phases).map(([phase, took]) => `${phase} ${took.toFixed(2)}`);
  const heap = heapMib === undefined ? '' : `, heap ${heapMib.toFixed(0)}`;
  recorder.progress(
    `${name}: night ${day} ${seconds.toFixed(2)} s (${shown.join(', ')}), ${rowsRead} rows in ${passes} passes, ${memoryMib.toFixed(0)} MiB${heap}`,
  );
}

function report(recorder: Recorder, name: string, done: readonly Night[], size: Nights): void {
  const early = done.slice(...FIRST_MONTH);
  const late = done.slice(-early.length);
  const medianOf = (some: readonly Night[], key: 'seconds' | 'memoryMib'): number =>
    median(some.map((one) => one[key]));
  const ratio = (key: 'seconds' | 'memoryMib'): number =>
    medianOf(late, key) / medianOf(early, key);
  recorder.sample(`${name}.seconds`, ...done.map((night) => night.seconds));
  recorder.sample(`${name}.memory_mib`, ...done.map((night) => night.memoryMib));
  recorder.sample(`${name}.rows_read`, ...done.map((night) => night.rowsRead));
  recorder.figure(`${name}.first_month_s`, medianOf(early, 'seconds'));
  recorder.figure(`${name}.last_month_s`, medianOf(late, 'seconds'));
  recorder.figure(`${name}.last_vs_first`, ratio('seconds'), { atMost: 1.3 });
  recorder.figure(`${name}.last_month_mib`, medianOf(late, 'memoryMib'));
  recorder.figure(`${name}.memory_last_vs_first`, ratio('memoryMib'));
  // The day is read for its types, its profile and its moments.
  const most = Math.max(...done.slice(2).map((night) => night.rowsRead));
  recorder.figure(`${name}.most_days_read`, most / size.rows, { atMost: 2 });
}

function writeJob(folder: string, format: Nights['format']): string {
  mkdirSync(join(folder, 'data'));
  const path = join(folder, 'job.yaml');
  writeFileSync(
    path,
    `kind: grid-search
data:
  path: data/*.${format}
  target: delay
  features:
    - distance
    - temperature
    - { name: carrier, encode: onehot, top: 20 }
  standardize: true
model: { type: ridge, intercept: true }
search: { grid: { lambda: { logspace: [-2, 4, 10] } } }
cv: { folds: 5, shuffle: true, seed: 7 }
scoring: [neg_mean_squared_error, r2]
refit: neg_mean_squared_error
`,
  );
  return path;
}
