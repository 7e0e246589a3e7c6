/**
 * A 10-fold search over 40 penalties on 5 GB of generated rows in Parquet, on embedded Spark:
 * seconds from a fresh JVM, jobs, bytes read, storage used. `search-5gb` compares with SystemDS on a
 * matrix of the same shape, process by process: ours reads files, SystemDS draws its rows in memory.
 * `search-5gb-mllib` runs MLlib's CrossValidator on the same files. Rivals do as many of the 40
 * penalties as they finish in their limit, in their own order of work.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ResourceError } from '../driver/errors.js';
import { Matrix, openFrame, rand, resolveFeatures, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { createSparkBackend, type SparkBackend, writeMatrix } from '../spark-bridge/index.js';
import { type Bench, checkAnswers, type Recorder } from './harness.js';
import { hcvSearch } from './hcv-search.js';
import { baselineHome } from './paths.js';
import {
  runMllibUntil,
  runSystemDsUntil,
  type SearchLimits,
  type SearchProgress,
} from './rivals/search-rivals.js';

const FOLDS = 10;
const TRIALS = 40;
const COLUMNS = 100;
/** 6.25 million rows of 100 doubles: 5 GB, the target not counted. */
const ROWS = 6_250_000;
const QUICK_ROWS = 62_500;
/** Folders written one after the other, each small enough for the storage memory. */
const ROWS_A_PART = 250_000;
/** Time a rival has, its start and data included. @units seconds */
const MLLIB_LIMIT = 570;
const SYSTEMDS_LIMIT = 200;
const QUICK_LIMIT = 60;
const ROUNDS = 3;
/** The data, what Spark and the rivals spill, and room to spare. @units bytes */
const DISK_BYTES = 30e9;

export const search5gb: Bench = {
  name: 'search-5gb',
  summary: '5 GB of Parquet, 10 folds x 40 penalties on embedded Spark: against SystemDS',
  run: async (recorder, { quick }) => {
    const { folder, limits } = await prepared(recorder, quick, SYSTEMDS_LIMIT);
    for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
      await ours(recorder, folder, limits.rows);
      // SystemDS draws its own numbers.
      await raced(recorder, 'systemds', limits, () => runSystemDsUntil(limits));
      // What is measured stays, whatever becomes of the next round.
      recorder.write({ quick });
    }
    reportOurs(recorder);
    const rival = 'search-5gb.systemds';
    recorder.medianFigure(`${rival}.seconds`, 'systemds');
    recorder.medianFigure(`${rival}.search_s`, 'systemds.search');
    recorder.ratio(`${rival}.vs_spark`, 'systemds', 'total_s', { atLeast: 1.5 });
    recorder.ratio(`${rival}.search_vs_spark`, 'systemds.search', 'opened_and_searched');
  },
};

export const search5gbMllib: Bench = {
  name: 'search-5gb-mllib',
  summary: '5 GB of Parquet, 10 folds x 40 penalties on embedded Spark: against MLlib (12 minutes)',
  run: async (recorder, { quick }) => {
    const { folder, limits } = await prepared(recorder, quick, MLLIB_LIMIT);
    const answers = await ours(recorder, folder, limits.rows);
    reportOurs(recorder);
    recorder.write({ quick });
    const mllib = await raced(recorder, 'mllib', limits, () => runMllibUntil(folder, limits));
    recorder.medianFigure('search-5gb.mllib.penalties', 'mllib.penalties');
    recorder.medianFigure('search-5gb.mllib.seconds', 'mllib');
    recorder.write({ quick });
    // MLlib's penalty drifts with the deviation of each training fold's target.
    checkAnswers('mllib', mllib, 'spark', answers.slice(0, mllib.length), 1e-4);
  },
};

async function prepared(
  recorder: Recorder,
  quick: boolean,
  limit: number,
): Promise<{ readonly folder: string; readonly limits: SearchLimits }> {
  const rows = quick ? QUICK_ROWS : ROWS;
  if (!quick) requireDisk();
  const folder = await generated(recorder, rows);
  const limitSeconds = quick ? QUICK_LIMIT : limit;
  return { folder, limits: { folds: FOLDS, trials: TRIALS, limitSeconds, rows, columns: COLUMNS } };
}

const OURS = [
  ...['data_gb', 'rows', 'start_s', 'open_s', 'search_s', 'total_s', 'passes', 'spark_jobs'],
  ...['read_gb', 'storage_memory_gb', 'storage_disk_gb'],
];

function reportOurs(recorder: Recorder): void {
  for (const name of OURS) recorder.medianFigure(`search-5gb.${name}`, name);
}

/** Runs a rival until its limit. @returns mean squared errors of what it did, none if it failed */
async function raced(
  recorder: Recorder,
  name: string,
  { limitSeconds }: SearchLimits,
  run: () => Promise<SearchProgress>,
): Promise<readonly number[]> {
  recorder.progress(`${name}: at most ${limitSeconds} s`);
  const { seconds, dataSeconds, losses, failure } = await run();
  recorder.sample(name, seconds);
  recorder.sample(`${name}.data`, dataSeconds);
  recorder.sample(`${name}.search`, seconds - dataSeconds);
  recorder.sample(`${name}.penalties`, losses.length);
  recorder.note(
    `${name}: ${losses.length} of ${TRIALS} penalties of ${FOLDS} fits in ${seconds.toFixed(0)} s, ` +
      `of which ${dataSeconds.toFixed(0)} s until the data were in memory; the limit was ${limitSeconds} s`,
  );
  if (failure !== undefined)
    recorder.note(`${name} ended before its time, by ${failure}`.trimEnd());
  return losses;
}

/** @throws ResourceError where data and spills may not fit */
function requireDisk(): void {
  mkdirSync(baselineHome(), { recursive: true });
  for (const folder of [baselineHome(), tmpdir()]) {
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize >= DISK_BYTES) continue;
    throw new ResourceError(
      `search-5gb: expected ${DISK_BYTES / 1e9} GB free under ${folder}, got ${((bavail * bsize) / 1e9).toFixed(0)}; make room, or point BASELINES_HOME and TMPDIR elsewhere`,
      { resource: 'disk', requestedBytes: DISK_BYTES, availableBytes: bavail * bsize },
    );
  }
}

/** The folder of the data; Spark writes it from seeded random rows if absent: y = X b + noise. */
async function generated(recorder: Recorder, rows: number): Promise<string> {
  const folder = join(baselineHome(), 'data', `search_${rows}x${COLUMNS}`);
  if (existsSync(folder)) return folder;
  const start = performance.now();
  // Parts that are there from a run that was ended are not written again.
  const staging = `${folder}.unfinished`;
  mkdirSync(staging, { recursive: true });
  const local = await createCpuBackend();
  const spark = await createSparkBackend();
  try {
    const parts = Math.ceil(rows / ROWS_A_PART);
    for (let part = 0; part < parts; part++) {
      const name = `part-${String(part).padStart(3, '0')}`;
      const written = readdirSync(staging).filter((file) => file.startsWith(name));
      if (written.length > 0 && !written.includes(name)) continue;
      for (const file of written) rmSync(join(staging, file), { recursive: true });
      const session = new Session({ local, blocks: spark, placement: 'blocks' });
      const size = Math.floor((rows * (part + 1)) / parts) - Math.floor((rows * part) / parts);
      const X = rand(session, size, COLUMNS, { seed: 100 + part, min: -1, max: 1 });
      const b = rand(session, COLUMNS, 1, { seed: 7, min: -1, max: 1 });
      const noise = rand(session, size, 1, { seed: 5000 + part, distribution: 'normal', std: 2 });
      const columns = [...Array.from({ length: COLUMNS }, (_, i) => `x${i}`), 'y'];
      const table = X.cbind(X.matmul(b).add(noise));
      await writeMatrix(session, spark, table, join(staging, name), { columns });
      session.cache.clear();
      // One folder of files, named in the order of their rows.
      for (const file of readdirSync(join(staging, name)).filter((one) =>
        one.endsWith('.parquet'),
      )) {
        renameSync(join(staging, name, file), join(staging, `${name}-${file}`));
      }
      rmSync(join(staging, name), { recursive: true });
    }
  } finally {
    await spark.close();
    await local.close();
  }
  renameSync(staging, folder);
  recorder.progress(`wrote ${folder} in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return folder;
}

/** One search in a fresh JVM; the mean squared errors of the penalties. */
async function ours(recorder: Recorder, folder: string, rows: number): Promise<number[]> {
  const started = performance.now();
  const local = await createCpuBackend();
  const spark = await createSparkBackend();
  try {
    const ready = performance.now();
    const session = new Session({ local, blocks: spark, placement: 'blocks' });
    const run = session.run();
    const frame = await openFrame(run, spark.frames, folder);
    const { features, target } = await resolveFeatures(spark.frames, frame.description, {
      target: 'y',
      fromStatistics: true,
    });
    const opened = performance.now();
    const X = Matrix.of(run, frame.encode(features));
    const y = Matrix.of(run, frame.encode([target!]));
    const answers = await hcvSearch(run, { X, y }, { folds: FOLDS, trials: TRIALS });
    const ended = performance.now();
    const bytes = readdirSync(folder).reduce(
      (sum, file) => sum + statSync(join(folder, file)).size,
      0,
    );
    recorder.sample('data_gb', bytes / 1e9);
    recorder.sample('rows', rows);
    recorder.sample('start_s', (ready - started) / 1000);
    recorder.sample('open_s', (opened - ready) / 1000);
    recorder.sample('search_s', (ended - opened) / 1000);
    recorder.sample('opened_and_searched', (ended - ready) / 1000);
    recorder.sample('total_s', (ended - started) / 1000);
    recorder.sample('passes', run.statistics.counters().passes);
    await sparkFigures(recorder, spark);
    session.cache.clear();
    return answers;
  } finally {
    await spark.close();
    await local.close();
  }
}

async function sparkFigures(recorder: Recorder, spark: SparkBackend): Promise<void> {
  const { result } = await spark.channel.call('status', {});
  const { result: storage } = await spark.channel.call('storage', {});
  recorder.sample('spark_jobs', result.sparkJobs);
  recorder.sample('read_gb', result.bytesRead / 1e9);
  recorder.sample('storage_memory_gb', storage.usedBytes / 1e9);
  // Values kept in one RDD share its blocks: the largest stands for all.
  const disk = Math.max(0, ...storage.handles.map((held) => held.diskBytes));
  recorder.sample('storage_disk_gb', disk / 1e9);
}
