/**
 * A job run every night over files that come one a day, for more than a year, with categories that
 * come and go so that those kept by `top` change. A night should cost its new day, whatever came
 * before: as many rows read, and about as long in the second year as in the first month. In one
 * process with one session, and each night in a process of its own; the last night is compared
 * with a run that knows nothing.
 */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DuckDBInstance } from '@duckdb/node-api';
import { ExecutionError } from '../driver/errors.js';
import { type OpenSession, openSession } from '../jobs/engines.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import type { RunRecord } from '../jobs/runs/record.js';
import { bestTrial } from '../jobs/search/result.js';
import type { StorePlace } from '../jobs/store-place.js';
import type { Bench, Recorder } from './harness.js';
import { measureRun } from './process-usage.js';
import { median } from './stats.js';

export interface Nights {
  readonly format: 'csv' | 'parquet';
  readonly rows: number;
  readonly nights: number;
}

/** What one night took. */
interface Night {
  readonly seconds: number;
  readonly rowsRead: number;
  readonly passes: number;
  readonly best: number;
  readonly phases: Readonly<Record<string, number>>;
  readonly heapMib: number;
}

/** Rows a day are those of the trial that issue 14 tells of: 1,200,000 in 60 nights. */
const KINDS = 60;
const FIRST_MONTH = [5, 30] as const;
const PRINT_EVERY = 25;

export const nights: Bench = {
  name: 'nights',
  summary: 'a job every night over daily files, the first month against the second year',
  run: async (recorder, options) => {
    const count = options.quick ? 40 : 400;
    const own = options.quick ? 20 : 60;
    for (const format of ['csv', 'parquet'] as const) {
      await inFolder(async (folder) => {
        const size = { format, rows: options.quick ? 500 : 20_000, nights: count };
        await oneProcess(recorder, folder, size);
      });
      await inFolder(async (folder) => {
        await ownProcesses(recorder, folder, { format, rows: 500, nights: own });
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

async function oneProcess(recorder: Recorder, folder: string, size: Nights): Promise<void> {
  const path = writeJob(folder, size);
  const done: Night[] = [];
  const open = await openLocal({ folder: join(folder, 'store') });
  try {
    for (let day = 0; day < size.nights; day++) {
      await writeDay(folder, day, size);
      const start = performance.now();
      const record = await runJob(await readJob(path, { overrides: [] }), {
        engine: 'local',
        open,
      });
      done.push({
        seconds: (performance.now() - start) / 1000,
        rowsRead: record.rowsRead,
        passes: record.passes,
        best: scoreOf(record),
        phases: record.seconds,
        heapMib: process.memoryUsage().heapUsed / 2 ** 20,
      });
      print(recorder, `one process, ${size.format}`, day, done);
    }
  } finally {
    await open.session.close();
  }
  report(recorder, `nights.${size.format}`, done, size);
  await compareCold(path, done.at(-1)!);
}

async function ownProcesses(recorder: Recorder, folder: string, size: Nights): Promise<void> {
  const path = writeJob(folder, size);
  const done: Night[] = [];
  for (let day = 0; day < size.nights; day++) {
    await writeDay(folder, day, size);
    done.push(await ownProcess(folder, path, join(folder, 'store')));
    print(recorder, `processes, ${size.format}`, day, done);
  }
  report(recorder, `nights.processes.${size.format}`, done, size);
  await compareCold(path, done.at(-1)!);
}

async function ownProcess(folder: string, path: string, store: string): Promise<Night> {
  const usage = await measureRun(
    [path, '--engine', 'local', '--quiet', '--output', join(folder, 'runs')],
    { REPRISE_STORE: store },
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
    heapMib: usage.peakMib,
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

function print(recorder: Recorder, name: string, day: number, done: readonly Night[]): void {
  if (day % PRINT_EVERY !== 0 && day !== 1) return;
  const { seconds, rowsRead, passes, phases, heapMib } = done.at(-1)!;
  const shown = Object.entries(phases).map(([phase, took]) => `${phase} ${took.toFixed(2)}`);
  recorder.progress(
    `${name}: night ${day} ${seconds.toFixed(2)} s (${shown.join(', ')}), ${rowsRead} rows in ${passes} passes, ${heapMib.toFixed(0)} MiB`,
  );
}

function report(recorder: Recorder, name: string, done: readonly Night[], size: Nights): void {
  const early = done.slice(...FIRST_MONTH);
  const late = done.slice(-early.length);
  const secondsOf = (some: readonly Night[]): number => median(some.map((one) => one.seconds));
  recorder.sample(`${name}.seconds`, ...done.map((night) => night.seconds));
  recorder.sample(`${name}.rows_read`, ...done.map((night) => night.rowsRead));
  recorder.figure(`${name}.first_month_s`, secondsOf(early));
  recorder.figure(`${name}.last_month_s`, secondsOf(late));
  recorder.figure(`${name}.last_vs_first`, secondsOf(late) / secondsOf(early), { atMost: 1.3 });
  // The day is read for its types, its profile and its moments.
  const most = Math.max(...done.slice(2).map((night) => night.rowsRead));
  recorder.figure(`${name}.most_days_read`, most / size.rows, { atMost: 2 });
}

export function writeJob(folder: string, { format }: Nights): string {
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

/** Writes a day's file; the kinds that are frequent drift by one in three days. */
export async function writeDay(folder: string, day: number, size: Nights): Promise<void> {
  const random = randomOf(day + 1);
  const lines = ['distance,temperature,carrier,delay'];
  for (let row = 0; row < size.rows; row++) {
    const near = Math.floor((random() + random() + random() - 1.5) * 40);
    const kind = (((Math.floor(day / 3) + near) % KINDS) + KINDS) % KINDS;
    const distance = 50 + Math.floor(random() * 3000);
    const temperature = random() * 40 - 10;
    const delay = distance / 100 + kind * 0.3 + random() * 20;
    lines.push(`${distance},${temperature.toFixed(3)},K${kind},${delay.toFixed(3)}`);
  }
  const name = `day-${String(day).padStart(4, '0')}`;
  const csv = join(folder, `${name}.csv`);
  const target = join(folder, 'data', `${name}.${size.format}`);
  if (size.format === 'csv') writeFileSync(target, `${lines.join('\n')}\n`);
  else {
    writeFileSync(csv, `${lines.join('\n')}\n`);
    await toParquet(csv, target);
    rmSync(csv);
  }
  // As files of an hour ago: what was at rest when it was first read is known by its times.
  const then = Date.now() / 1000 - 3600;
  utimesSync(target, then, then);
}

async function toParquet(csv: string, target: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run(`COPY (FROM '${csv}') TO '${target}' (FORMAT parquet)`);
  } finally {
    connection.disconnectSync();
    instance.closeSync();
  }
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
