/**
 * Logistic regression on 50,000 x 100, 10 folds x 20 penalties: two hundred models in one stack on
 * this machine, against NumPy fused by hand for this search and against scikit-learn's solvers with
 * two jobs (`models.py` of the rivals); and on embedded Spark, against MLlib's CrossValidator
 * (`spark_logistic.py`), which is given two of the twenty penalties: all take it many minutes. Data
 * are in memory, or cached in Spark, on all sides before the clock starts.
 */
import { execFile } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { type Backend, type Matrix, matrix, type Run, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { createSparkBackend } from '../spark-bridge/index.js';
import { loadMatrix, matrixParquet, persistedRows } from './data.js';
import { alternate, type Bench, checkAnswers, type Recorder, type Sample } from './harness.js';
import { baselineHome, rivalPython, rivalScript } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const FOLDS = 10;
/** 10^-4 .. 10^2. */
const STRENGTHS = Array.from({ length: 20 }, (_, i) => 10 ** (-4 + (6 * i) / 19));
/** Mean log losses agree so far: all solvers end near the least point. */
const TOLERANCE = 1e-5;

export const logisticBench: Bench = {
  name: 'logistic',
  summary: '50,000 x 100, 10 folds x 20 penalties: against NumPy by hand, scikit-learn and MLlib',
  run: async (recorder, { quick }) => {
    const X = loadMatrix('cls_X');
    const labels = loadMatrix('cls_y');
    const classes = Float64Array.from(labels.data, (label) => label - 1);
    const cpu = await createCpuBackend();
    const ours = async (): Promise<Sample> => {
      const session = new Session({ local: cpu });
      const data = {
        X: matrix(session, X.rows, X.cols, X.data, { copy: false }),
        y: matrix(session, X.rows, 1, classes, { copy: false }),
      };
      return search(session, data);
    };
    const [twoThreads, twoWorkers] = [new PythonRival(2), new PythonRival(undefined)];
    const peer = (rival: PythonRival, name: string) => async (): Promise<Sample> => {
      const { seconds, answers } = await rival.run('models.py', ['logistic', name]);
      return { seconds, answers: answers.flat() };
    };
    const sklearn = (name: string) => ({
      ...{ name, run: peer(twoWorkers, name), rounds: quick ? 0 : 3, warmups: quick ? 0 : 1 },
    });
    try {
      await alternate(
        recorder,
        [
          { name: 'local', run: ours, warmups: 2 },
          { name: 'fused', run: peer(twoThreads, 'fused') },
          sklearn('sk_lbfgs'),
          sklearn('sk_newton'),
        ],
        { rounds: quick ? 1 : 7, tolerance: TOLERANCE },
      );
    } finally {
      await Promise.all([twoThreads.close(), twoWorkers.close(), cpu.close()]);
    }
    recorder.medianFigure('logistic.local.seconds', 'local');
    recorder.ratio('logistic.local.vs_fused', 'local', 'fused', { atMost: 1.2 });
    if (!quick) {
      const best = recorder.fastest(['sk_lbfgs', 'sk_newton']);
      recorder.ratio('logistic.sklearn.vs_local', best, 'local', { atLeast: 8 });
    }
    await onSpark(recorder, quick ? 1 : 3);
  },
};

async function search(
  session: Run,
  data: { readonly X: Matrix; readonly y: Matrix },
): Promise<Required<Sample>> {
  const start = performance.now();
  const { trials } = await gridSearch(session, {
    ...data,
    classes: [1, 2],
    cv: { folds: FOLDS, shuffle: false },
    estimator: logistic,
    params: { fit_intercept: false, tol: 1e-4, max_iter: 1000 },
    grid: { C: STRENGTHS },
    scoring: ['neg_log_loss'],
    refit: false,
  });
  const seconds = (performance.now() - start) / 1000;
  return { seconds, answers: trials.map(({ meanScore }) => -meanScore.neg_log_loss!) };
}

/** MLlib fits each tenth penalty. */
const EVERY = 10;

/** By turns, each in a fresh JVM; ours once more in one that is warm. */
async function onSpark(recorder: Recorder, rounds: number): Promise<void> {
  const parquet = matrixParquet('cls');
  const local = await createCpuBackend();
  try {
    for (let round = 0; round < rounds; round++) {
      const answers = await ours(recorder, local, parquet);
      const theirs = await mllib();
      const same = answers.filter((_, i) => i % EVERY === 0);
      checkAnswers('mllib', theirs.answers, 'spark', same, 1e-4);
      recorder.sample('mllib_a_fit', theirs.seconds / (FOLDS * theirs.answers.length));
    }
  } finally {
    await local.close();
  }
  for (const name of ['spark.cold', 'spark.warm']) {
    recorder.medianFigure(`logistic.${name}_s`, name);
  }
  recorder.medianFigure('logistic.mllib.a_fit_s', 'mllib_a_fit');
  recorder.medianFigure('logistic.spark.jobs_a_pass', 'jobs_a_pass', { atMost: 1 });
  recorder.ratio('logistic.mllib.vs_spark', 'mllib_a_fit', 'spark_a_fit', { atLeast: 30 });
}

/** @returns the mean losses */
async function ours(recorder: Recorder, local: Backend, parquet: string): Promise<number[]> {
  const spark = await createSparkBackend();
  let answers: readonly number[] = [];
  try {
    for (const name of ['spark.cold', 'spark.warm']) {
      const session = new Session({ local, blocks: spark, placement: 'blocks' });
      const { X, y } = await persistedRows(session, spark, parquet);
      const classes = y.sub(1);
      await session.persist([classes.expr]);
      const run = session.run();
      const sample = await search(run, { X: X.in(run), y: classes.in(run) });
      const { passes, sparkJobs } = run.statistics.counters();
      answers = sample.answers;
      recorder.sample(name, sample.seconds);
      recorder.sample('jobs_a_pass', sparkJobs / passes);
      if (name === 'spark.cold') {
        recorder.sample('spark_a_fit', sample.seconds / (FOLDS * STRENGTHS.length));
      }
      recorder.progress(
        `${name} ${sample.seconds.toFixed(2)} s, ${passes} passes, ${sparkJobs} jobs`,
      );
      // Releases the persisted rows.
      session.cache.clear();
    }
  } finally {
    await spark.close();
  }
  return [...answers];
}

async function mllib(): Promise<Required<Sample>> {
  const environment = {
    ...process.env,
    BASELINES_HOME: baselineHome(),
    PYSPARK_PYTHON: rivalPython(),
  };
  const argv = [rivalScript('spark_logistic.py'), `every=${EVERY}`];
  const { stdout } = await promisify(execFile)(rivalPython(), argv, { env: environment });
  const [, seconds, losses] = /^RESULT .*compute_s=(\S+) losses=(.*)$/m.exec(stdout)!;
  return { seconds: Number(seconds), answers: losses!.match(/\d[\d.e-]*(?=[)\],])/g)!.map(Number) };
}
