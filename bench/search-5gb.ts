/**
 * A 10-fold search over 40 penalties on 5 GB of generated rows in Parquet, on embedded Spark:
 * seconds from a fresh JVM, jobs, bytes read, storage used. Beside it, MLlib's CrossValidator on
 * the same files and SystemDS on a matrix of the same shape, each on as many of the 40 penalties as
 * it finishes in its limit, in the rivals' own order of work.
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
import { ridge } from '../jobs/estimators/ridge.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { createSparkBackend, type SparkBackend, writeMatrix } from '../spark-bridge/index.js';
import { penalties } from './data.js';
import { type Bench, checkAnswers, type Recorder } from './harness.js';
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
const RIVAL_LIMIT = 570;
const QUICK_LIMIT = 60;
/** The data, what Spark and the rivals spill, and room to spare. @units bytes */
const DISK_BYTES = 30e9;

export const search5gb: Bench = {
  name: 'search-5gb',
  summary:
    '5 GB of Parquet, 10 folds x 40 penalties on embedded Spark, beside MLlib and SystemDS (25 minutes)',
  run: async (recorder, { quick }) => {
    const rows = quick ? QUICK_ROWS : ROWS;
    if (!quick) requireDisk();
    const folder = await generated(recorder, rows);
    const answers = await ours(recorder, folder, rows);
    // What is measured stays, whatever becomes of the rivals.
    recorder.write({ quick });
    const limits = {
      folds: FOLDS,
      trials: TRIALS,
      limitSeconds: quick ? QUICK_LIMIT : RIVAL_LIMIT,
      rows,
      columns: COLUMNS,
    };
    const mllib = await raced(recorder, 'mllib', limits, () => runMllibUntil(folder, limits));
    recorder.write({ quick });
    // SystemDS draws its own numbers.
    await raced(recorder, 'systemds', limits, () => runSystemDsUntil(limits));
    recorder.write({ quick });
    // MLlib's penalty drifts with the deviation of each training fold's target.
    checkAnswers('mllib', mllib, 'spark', answers.slice(0, mllib.length), 1e-4);
  },
};

/** Runs a rival until its limit. @returns mean squared errors of what it did, none if it failed */
async function raced(
  recorder: Recorder,
  name: string,
  { limitSeconds }: SearchLimits,
  run: () => Promise<SearchProgress>,
): Promise<readonly number[]> {
  recorder.progress(`${name}: at most ${limitSeconds} s`);
  const { seconds, dataSeconds, losses, failure } = await run();
  recorder.figure(`search-5gb.${name}.penalties`, losses.length);
  recorder.figure(`search-5gb.${name}.seconds`, seconds);
  recorder.figure(`search-5gb.${name}.data_s`, dataSeconds);
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
  const staging = `${folder}.unfinished`;
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  const local = await createCpuBackend();
  const spark = await createSparkBackend();
  try {
    const parts = Math.ceil(rows / ROWS_A_PART);
    for (let part = 0; part < parts; part++) {
      const session = new Session({ local, blocks: spark, placement: 'blocks' });
      const size = Math.floor((rows * (part + 1)) / parts) - Math.floor((rows * part) / parts);
      const X = rand(session, size, COLUMNS, { seed: 100 + part, min: -1, max: 1 });
      const b = rand(session, COLUMNS, 1, { seed: 7, min: -1, max: 1 });
      const noise = rand(session, size, 1, { seed: 5000 + part, distribution: 'normal', std: 2 });
      const columns = [...Array.from({ length: COLUMNS }, (_, i) => `x${i}`), 'y'];
      const table = X.cbind(X.matmul(b).add(noise));
      const name = `part-${String(part).padStart(3, '0')}`;
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
    const result = await gridSearch(run, {
      X: Matrix.of(run, frame.encode(features)),
      y: Matrix.of(run, frame.encode([target!])),
      cv: { folds: FOLDS },
      estimator: ridge,
      grid: { lambda: penalties(TRIALS) },
      params: { intercept: false },
      scoring: ['neg_mean_squared_error'],
      refit: false,
    });
    const ended = performance.now();
    const bytes = readdirSync(folder).reduce(
      (sum, file) => sum + statSync(join(folder, file)).size,
      0,
    );
    recorder.figure('search-5gb.data_gb', bytes / 1e9);
    recorder.figure('search-5gb.rows', rows);
    recorder.figure('search-5gb.start_s', (ready - started) / 1000);
    recorder.figure('search-5gb.open_s', (opened - ready) / 1000);
    recorder.figure('search-5gb.search_s', (ended - opened) / 1000);
    recorder.figure('search-5gb.total_s', (ended - started) / 1000);
    recorder.figure('search-5gb.passes', run.statistics.counters().passes);
    await sparkFigures(recorder, spark);
    session.cache.clear();
    return result.trials.map((trial) => -trial.meanScore.neg_mean_squared_error!);
  } finally {
    await spark.close();
    await local.close();
  }
}

async function sparkFigures(recorder: Recorder, spark: SparkBackend): Promise<void> {
  const { result } = await spark.channel.call('status', {});
  const { result: storage } = await spark.channel.call('storage', {});
  recorder.figure('search-5gb.spark_jobs', result.sparkJobs);
  recorder.figure('search-5gb.read_gb', result.bytesRead / 1e9);
  recorder.figure('search-5gb.storage_memory_gb', storage.usedBytes / 1e9);
  // Values kept in one RDD share its blocks: the largest stands for all.
  const disk = Math.max(0, ...storage.handles.map((held) => held.diskBytes));
  recorder.figure('search-5gb.storage_disk_gb', disk / 1e9);
}
