/**
 * Thirty files are known, one is new: the flights example split into files, each run a process of
 * its own with a durable store, against a run that knows nothing of the same thirty-one. Rounds
 * differ in the new file, so every one of them computes something. Cost should follow the rows of
 * the new file, not those of all. Two minutes; `--quick` half of one.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { parse, stringify } from 'yaml';
import { ExecutionError } from '../driver/errors.js';
import { bringData } from './bring-data.js';
import { type Bench, checkAnswers, type Recorder } from './harness.js';
import { repoRoot } from './paths.js';
import { measureRun } from './process-usage.js';

interface Answer {
  readonly best: { readonly params: { readonly lambda: number }; readonly score: number };
  readonly passes: number;
  readonly rowsRead: number;
  readonly seconds: Readonly<Record<string, number>>;
}

/** Files, their rows, and how often a new one comes. */
interface Size {
  readonly files: number;
  readonly rows: number;
  readonly rounds: number;
}

export const incremental: Bench = {
  name: 'incremental',
  summary: 'one new file among thirty known ones against a cold run of all, processes of their own',
  run: async (recorder, options) => {
    const size = options.quick
      ? { files: 6, rows: 20_000, rounds: 1 }
      : { files: 30, rows: 85_000, rounds: 5 };
    const folder = mkdtempSync(join(tmpdir(), 'reprise-incremental-'));
    try {
      await splitFlights(folder, size);
      await measure(recorder, folder, size);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    report(recorder, size);
  },
};

async function measure(recorder: Recorder, folder: string, size: Size): Promise<void> {
  writeJob(folder);
  const store = join(folder, 'store');
  await run(recorder, 'first', folder, store);
  for (let round = 0; round < size.rounds; round++) {
    const file = nameOf(size.files + round);
    renameSync(join(folder, 'later', file), join(folder, 'data', file));
    const one = await run(recorder, 'one-new', folder, store);
    const none = await run(recorder, 'none-new', folder, store);
    const cold = await run(recorder, 'cold', folder, 'off');
    for (const [name, answer] of [
      ['one new', one],
      ['none new', none],
    ] as const) {
      checkAnswers(name, answersOf(answer), 'the cold run', answersOf(cold), 1e-12);
    }
    recorder.sample('rows_share', one.rowsRead / cold.rowsRead);
    if (none.rowsRead !== 0) {
      throw new ExecutionError(`incremental: expected no rows read again, got ${none.rowsRead}`, {
        op: 'bench',
      });
    }
    rmSync(join(folder, 'data', file));
  }
}

function report(recorder: Recorder, { files }: Size): void {
  recorder.medianFigure('incremental.cold_s', 'cold');
  recorder.medianFigure('incremental.one_new_s', 'one-new');
  recorder.medianFigure('incremental.none_new_s', 'none-new');
  recorder.ratio('incremental.cold_vs_one_new', 'cold', 'one-new');
  // The new file is read for its profile and its moments, as each of the others is in the cold run.
  recorder.medianFigure('incremental.rows_share', 'rows_share', { atMost: 1.02 / (files + 1) });
  const median = (name: string): number => recorder.summary(name).median;
  const fixed = median('none-new');
  recorder.figure(
    'incremental.marginal_share',
    (median('one-new') - fixed) / (median('cold') - fixed),
    { atMost: 0.15 },
    ['one-new', 'none-new', 'cold'],
  );
  recorder.note(
    `marginal_share: what one new file costs beyond a run with none, of what ${files + 1} files cost beyond it; ${(1 / (files + 1)).toFixed(3)} is proportional`,
  );
}

export function nameOf(file: number): string {
  return `part-${String(file).padStart(3, '0')}.parquet`;
}

/** Cuts the example's data, in order, into files of `rows` rows; later rounds' lie aside. */
export async function splitFlights(folder: string, { files, rows, rounds }: Size): Promise<void> {
  const source = await bringData('flights');
  mkdirSync(join(folder, 'data'));
  mkdirSync(join(folder, 'later'));
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    for (let file = 0; file < files + rounds; file++) {
      const target = join(folder, file < files ? 'data' : 'later', nameOf(file));
      await connection.run(
        `COPY (SELECT * FROM read_parquet('${source}') LIMIT ${rows} OFFSET ${file * rows}) TO '${target}' (FORMAT parquet)`,
      );
    }
  } finally {
    connection.disconnectSync();
    instance.closeSync();
  }
}

function writeJob(folder: string): void {
  const job = parse(readFileSync(join(repoRoot(), 'examples', 'flights.yaml'), 'utf8'));
  job.data.path = 'data';
  writeFileSync(join(folder, 'job.yaml'), stringify(job));
}

async function run(
  recorder: Recorder,
  name: string,
  folder: string,
  store: string,
): Promise<Answer> {
  const job = join(folder, 'job.yaml');
  const usage = await measureRun(
    [job, '--engine', 'local', '--quiet', '--output', join(folder, 'runs')],
    { REPRISE_STORE: store },
  );
  const answer = JSON.parse(usage.stdout) as Answer;
  recorder.sample(name, usage.seconds);
  recorder.sample(`${name}.peak_mib`, usage.peakMib);
  for (const [phase, seconds] of Object.entries(answer.seconds)) {
    recorder.sample(`${name}.phase.${phase}`, seconds);
  }
  recorder.progress(
    `${name} ${usage.seconds.toFixed(2)} s, ${answer.rowsRead} rows read in ${answer.passes} passes`,
  );
  return answer;
}

function answersOf({ best }: Answer): number[] {
  return [best.params.lambda, best.score];
}
