/**
 * Do the answers of large searches agree? Scores of every trial, fold and metric against
 * scikit-learn's GridSearchCV on 100,000 x 100 and on a sample of the flights, and Spark's against
 * local ones. The largest relative difference is the figure; a bound that is not kept ends the
 * bench with an error, as any wrong answer does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { matrix, Session } from '../driver/index.js';
import { contiguousFold, permutation } from '../driver/operators/kfold.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { ridge } from '../jobs/estimators/ridge.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import type { SearchResult } from '../jobs/search/result.js';
import type { Metric } from '../jobs/search/scoring/metrics.js';
import { bringData } from './bring-data.js';
import { loadMatrix, penalties } from './data.js';
import { type Bench, type BenchOptions, checkAnswers, type Recorder } from './harness.js';
import { benchFile, repoRoot } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';
import { maxRelative } from './stats.js';

const SCORING: readonly Metric[] = [
  'neg_mean_squared_error',
  'neg_root_mean_squared_error',
  'neg_mean_absolute_error',
  'r2',
];

const SKLEARN_BOUND = 1e-8;
const SPARK_BOUND = 1e-9;

export const sklearnAgreement: Bench = {
  name: 'agreement',
  summary: "every trial's and fold's scores against scikit-learn's, and Spark's against local ones",
  run: async (recorder, options) => {
    const rival = new PythonRival(2);
    try {
      await regression(recorder, rival);
      await flightsSample(recorder, rival, options);
    } finally {
      await rival.close();
    }
  },
};

async function regression(recorder: Recorder, rival: PythonRival): Promise<void> {
  const folds = 4;
  const lambdas = penalties(10);
  const X = loadMatrix('reg_X');
  const y = loadMatrix('reg_y');
  const cpu = await createCpuBackend();
  const session = new Session({ local: cpu });
  const result = await gridSearch(session, {
    X: matrix(session, X.rows, X.cols, X.data, { copy: false }),
    y: matrix(session, y.rows, y.cols, y.data, { copy: false }),
    cv: { folds },
    estimator: ridge,
    grid: { lambda: lambdas },
    params: { intercept: true },
    scoring: SCORING,
    refit: false,
  });
  await session.close();
  const theirs = await rival.run(benchFile('rivals/sklearn-scores.py'), [
    'reg',
    `k=${folds}`,
    `lambdas=${lambdas.join(',')}`,
  ]);
  report(recorder, 'agreement.reg.max_rel', scores(result), theirs.answers.flat(), SKLEARN_BOUND);
}

async function flightsSample(
  recorder: Recorder,
  rival: PythonRival,
  options: BenchOptions,
): Promise<void> {
  const rows = options.quick ? 20_000 : 200_000;
  const root = repoRoot();
  const folder = mkdtempSync(join(tmpdir(), 'reprise-agreement-'));
  try {
    const sample = join(folder, 'flights.parquet');
    const grid = options.quick ? 'search.grid.lambda={logspace: [-2, 6, 5]}' : undefined;
    const job = await readJob(join(root, 'examples', 'flights.yaml'), {
      overrides: [`data.path=${sample}`, `scoring=[${SCORING.join(',')}]`, ...(grid ? [grid] : [])],
    });
    if (job.cv.type !== 'kfold') throw new Error('agreement: expected the example to use k folds');
    const { folds, seed } = job.cv;
    const position = permutation(rows, seed);
    const assignment = Int32Array.from({ length: rows }, (_, i) =>
      contiguousFold(position(i), rows, folds),
    );
    writeFileSync(join(folder, 'folds.bin'), assignment);
    const lambdas = job.search.space[0]!.values.lambda as readonly number[];
    const theirs = await rival.run(benchFile('rivals/sklearn-scores.py'), [
      'flights',
      `k=${folds}`,
      `lambdas=${lambdas.join(',')}`,
      `rows=${rows}`,
      `source=${await bringData('flights')}`,
      `sample=${sample}`,
      `folds=${join(folder, 'folds.bin')}`,
    ]);
    recorder.note(`flights sample: ${rows} rows, ${lambdas.length} x ${folds} fits`);
    const local = scores((await runJob(job, { engine: 'local' })).search);
    report(recorder, 'agreement.flights.max_rel', local, theirs.answers.flat(), SKLEARN_BOUND);
    const spark = scores((await runJob(job, { engine: 'spark' })).search);
    report(recorder, 'agreement.spark_local.max_rel', spark, local, SPARK_BOUND);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In the order of `sklearn-scores.py`: metric, trial, fold. */
function scores(result: SearchResult): number[] {
  return SCORING.flatMap((metric) => result.trials.flatMap((trial) => trial.splitScores[metric]!));
}

function report(
  recorder: Recorder,
  name: string,
  ours: readonly number[],
  theirs: readonly number[],
  bound: number,
): void {
  recorder.figure(name, maxRelative(ours, theirs), { atMost: bound });
  recorder.figure(name.replace(/max_rel$/, 'scores'), ours.length);
  checkAnswers(name, ours, 'the other side', theirs, bound);
}
