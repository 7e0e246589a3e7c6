/**
 * Ridge on 10,000,000 x 20 in one Parquet file of 2 GB, 5 contiguous folds x 20 penalties, r2: a job
 * on this machine and on embedded Spark, against NumPy that streams row batches by hand
 * (`stream.py` of the rivals, from the mapped file). Both are taken as the second of two runs in a row: NumPy's takes twice as
 * long after a run of somebody else's. Seconds are from the open engine to the refitted model: opening the
 * file, profiling its columns, the pass over its rows, fits and scores. Imports of NumPy, the start
 * of the JVM and the digest of a file seen for the first time are apart. Every row is read once.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ExecutionError } from '../driver/errors.js';
import { hashFile } from '../driver/frame/identity.js';
import { openSession } from '../jobs/engines.js';
import { parseJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import { again, alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { baselineHome, benchFile, rivalPython, rivalScript } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const ROWS = 10_000_000;

const JOB = (path: string): string => `
kind: grid-search
name: stream
data: { path: ${JSON.stringify(path)}, target: y }
cv: { folds: 5 }
model: { type: ridge }
search: { grid: { lambda: { logspace: [-2, 4, 20] } } }
scoring: r2
`;

export const stream: Bench = {
  name: 'stream',
  summary:
    '10,000,000 x 20 from Parquet in one pass, local and embedded Spark: against NumPy by hand',
  run: async (recorder, { quick }) => {
    const path = data();
    const start = performance.now();
    await hashFile(path);
    recorder.figure('stream.digest_s', (performance.now() - start) / 1000);
    const rival = new PythonRival(2);
    const numpy = async (): Promise<Sample> => {
      const script = benchFile('rivals/stream.py');
      const { seconds, answers } = await rival.run(script, [rivalScript('stream.py')]);
      return { seconds, answers: answers.flat() };
    };
    try {
      await alternate(
        recorder,
        [
          { name: 'numpy', run: again(numpy), warmups: 0 },
          { name: 'local', run: again(() => ours(recorder, path, 'local')), warmups: 0 },
          // Every sample is a fresh JVM's first job.
          {
            name: 'spark',
            run: () => ours(recorder, path, 'spark'),
            rounds: quick ? 1 : 3,
            warmups: 0,
          },
        ],
        { rounds: quick ? 1 : 5, tolerance: 1e-9 },
      );
    } finally {
      await rival.close();
    }
    recorder.medianFigure('stream.numpy.seconds', 'numpy');
    recorder.medianFigure('stream.local.seconds', 'local');
    recorder.medianFigure('stream.spark.seconds', 'spark');
    recorder.medianFigure('stream.spark.start_s', 'spark.start');
    recorder.ratio('stream.local.vs_numpy', 'local', 'numpy', { atMost: 1.3 });
    recorder.ratio('stream.spark.vs_numpy', 'spark', 'numpy', { atMost: 2 });
  },
};

/** The data, made once by the rival: 2 GB. */
function data(): string {
  const path = join(baselineHome(), 'data', 'stream.parquet');
  if (!existsSync(path)) {
    const env = { ...process.env, BASELINES_HOME: baselineHome() };
    execFileSync(rivalPython(), [rivalScript('stream.py'), 'gen'], { env });
  }
  return path;
}

/** Answers are the number of the best penalty and its score. */
async function ours(recorder: Recorder, path: string, engine: 'local' | 'spark'): Promise<Sample> {
  const job = parseJob('stream.yaml', JOB(path));
  const before = performance.now();
  const open = await openSession(engine);
  try {
    const start = performance.now();
    recorder.sample(`${engine}.start`, (start - before) / 1000);
    const { passes, rowsRead, seconds, search } = await runJob(job, { engine, open });
    const total = (performance.now() - start) / 1000;
    for (const [phase, own] of Object.entries(seconds)) {
      recorder.sample(`${engine}.phase.${phase}`, own);
    }
    if (passes !== 1 || rowsRead !== ROWS) {
      throw new ExecutionError(
        `stream: expected one pass over ${ROWS} rows on ${engine}, got ${passes} and ${rowsRead} rows read`,
        { op: 'bench', passes, rowsRead },
      );
    }
    const best = search.bestIndex!;
    return { seconds: total, answers: [best, search.trials[best]!.meanScore.r2!] };
  } finally {
    await open.session.close();
  }
}
