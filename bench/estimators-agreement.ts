/**
 * Every estimator against scikit-learn's on one data set each: scores of every candidate and split by
 * every metric, and what the refitted model predicts for the rows. `rivals/sklearn-estimators.py`
 * makes the data and the other answers. A new estimator is one line of `CASES` and one there.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExecutionError } from '../driver/errors.js';
import { openSession } from '../jobs/engines.js';
import type { Estimator, Params } from '../jobs/estimators/estimator.js';
import { estimators } from '../jobs/estimators/index.js';
import { parseJob } from '../jobs/job-file/read-job.js';
import type { OutputName } from '../jobs/predict/output-names.js';
import { predict } from '../jobs/predict/predict.js';
import { runJob } from '../jobs/run-job.js';
import { checkMetrics } from '../jobs/search/scoring/check-metrics.js';
import { METRICS, type MetricDef, metricsOf } from '../jobs/search/scoring/metrics.js';
import { scorerOf } from '../jobs/search/scoring/scorers.js';
import type { Bench, Recorder } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';
import { maxRelative } from './stats.js';

interface AgreementCase {
  /** A data set of the script. */
  readonly data: string;
  readonly grid?: Readonly<Record<string, readonly unknown[]>>;
  readonly params?: Params;
  /** Largest difference, relative to a value above 1. Default 1e-8. */
  readonly bound?: number;
  /** Metrics known to differ, which the results say. */
  readonly differs?: RegExp;
  /** Metrics of positive numbers to take too. */
  readonly positive?: RegExp;
  /** More of the same estimator, by what differs. */
  readonly more?: Readonly<Record<string, AgreementCase>>;
}

/** Descended to the last digits, so that agreement is that of the solution. */
const EXACT: Params = { tol: 1e-12, max_iter: 100_000 };
const CLASSES: Readonly<Record<string, number>> = { binary: 2, classes: 3, frequencies: 3 };

const PRIORS = [0.2, 0.5, 0.3];

const CASES: Readonly<Record<string, AgreementCase>> = {
  ridge: { data: 'numbers', grid: { lambda: [0.1, 10] } },
  ols: { data: 'numbers' },
  lasso: { data: 'numbers', grid: { alpha: [0.01, 0.3] }, params: EXACT },
  'elastic-net': { data: 'numbers', grid: { alpha: [0.01, 0.3] }, params: EXACT },
  huber: { data: 'outliers', grid: { alpha: [0.0001, 1] }, params: EXACT, bound: 1e-5 },
  quantile: { data: 'numbers', grid: { quantile: [0.3, 0.5], alpha: [0.001] }, bound: 1e-5 },
  poisson: {
    data: 'counts',
    grid: { alpha: [0.01, 1] },
    params: EXACT,
    bound: 1e-6,
    positive: /log|poisson/,
  },
  gamma: {
    data: 'positive',
    grid: { alpha: [0.01, 1] },
    params: EXACT,
    bound: 1e-6,
    positive: /./,
  },
  tweedie: {
    data: 'positive',
    grid: { power: [1.5, 2] },
    params: EXACT,
    bound: 1e-6,
    positive: /./,
  },
  logistic: {
    data: 'classes',
    grid: { C: [0.1, 10] },
    params: EXACT,
    bound: 1e-6,
    more: {
      class_weight: {
        data: 'classes',
        params: { ...EXACT, class_weight: { low: 2, mid: 1, top: 0.5 } },
        bound: 1e-6,
      },
    },
  },
  'linear-svm': {
    data: 'binary',
    grid: { C: [0.1, 1] },
    params: EXACT,
    bound: 1e-5,
    more: {
      hinge: {
        data: 'binary',
        grid: { C: [0.1, 1] },
        params: { tol: 1e-8, max_iter: 1_000_000, loss: 'hinge' },
        bound: 1e-5,
      },
    },
  },
  'gaussian-nb': {
    data: 'classes',
    more: { priors: { data: 'classes', params: { priors: PRIORS } } },
  },
  'multinomial-nb': { data: 'frequencies', grid: { alpha: [0.1, 1] } },
  'bernoulli-nb': { data: 'classes', grid: { alpha: [0.1, 1] } },
  // Ours lack the squares of the rows, which rank rows and no classes.
  'nearest-centroid': { data: 'classes', differs: /^(average_precision|predictions)$/ },
  pca: { data: 'frequencies', grid: { n_components: [2, 3] }, positive: /./ },
  svd: { data: 'frequencies', grid: { n_components: [2, 3] }, positive: /./ },
  nmf: {
    data: 'frequencies',
    grid: { n_components: [2, 3] },
    positive: /./,
    // What rows have of the parts is a problem of its own, which scikit-learn leaves a little early.
    bound: 1e-5,
    more: {
      divergence: {
        data: 'frequencies',
        params: { beta_loss: 'kullback-leibler', n_components: 2 },
        positive: /./,
        bound: 1e-5,
      },
    },
  },
  lda: { data: 'classes', more: { priors: { data: 'classes', params: { priors: PRIORS } } } },
};

const FOLDS = 3;
const FEATURES = Array.from({ length: 6 }, (_, j) => `x${j}`);

export const estimatorsAgreement: Bench = {
  name: 'estimators',
  summary: "every estimator's scores and predictions against scikit-learn's, by every metric",
  run: async (recorder) => {
    const rival = new PythonRival(2);
    try {
      await compareAll(recorder, rival);
    } finally {
      await rival.close();
    }
  },
};

async function compareAll(recorder: Recorder, rival: PythonRival): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-agreement-'));
  const open = await openSession('local');
  try {
    for (const estimator of estimators) {
      const own = CASES[estimator.name];
      if (own === undefined) {
        recorder.note(`${estimator.name}: compared with nothing yet`);
        continue;
      }
      for (const [label, one] of [['', own] as const, ...Object.entries(own.more ?? {})]) {
        await compare(recorder, rival, estimator, one, { folder, open, label });
      }
    }
  } finally {
    await open.session.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(
  recorder: Recorder,
  rival: PythonRival,
  estimator: Estimator,
  { data, grid = {}, params = {}, bound = 1e-8, positive, differs }: AgreementCase,
  {
    folder,
    open,
    label,
  }: {
    readonly folder: string;
    readonly open: Awaited<ReturnType<typeof openSession>>;
    readonly label: string;
  },
): Promise<void> {
  const { name, task } = estimator;
  const figure = `estimators.${name}${label && `.${label}`}`;
  const classes = CLASSES[data] ?? 0;
  const known = Object.fromEntries(
    Object.entries(params).filter(([key]) => key in estimator.parameters.shape),
  );
  const scoring = metricsOf([task]).filter((metric) => {
    const { range }: MetricDef = METRICS[metric];
    if (range !== undefined && !positive?.test(metric)) return false;
    if (differs?.test(metric)) {
      recorder.note(`${name}: ${metric} differs, see CASES`);
      return false;
    }
    try {
      checkMetrics(
        [scorerOf(metric)],
        estimator,
        estimator.parameters.parse(known) as Params,
        classes,
      );
      return true;
    } catch {
      return false;
    }
  });
  const request = { name, data, folder, grid, params: known, scoring, folds: FOLDS };
  const script = benchFile('rivals/sklearn-estimators.py');
  const { answers } = await rival.run(script, [JSON.stringify(request)]);
  const path = join(folder, `${data}.parquet`);
  const job = parseJob(
    join(folder, 'job.yaml'),
    JSON.stringify({
      kind: 'grid-search',
      data: task === 'decomposition' ? { path, features: FEATURES } : { path, target: 'y' },
      model: { type: name, ...known },
      search: { grid },
      cv: { folds: FOLDS },
      scoring,
    }),
  );
  const { search, model } = await runJob(job, { engine: 'local', open });
  for (const [m, metric] of scoring.entries()) {
    const ours = search.trials.flatMap((trial) => trial.splitScores[metric]!);
    report(recorder, `${figure}.${metric}`, ours, answers[m]!, bound);
  }
  const hasShares = model!.link === 'logit' || model!.link === 'softmax';
  const output: OutputName =
    task === 'regression'
      ? 'prediction'
      : task === 'decomposition'
        ? 'components'
        : hasShares
          ? 'probability'
          : 'decision';
  const out = join(folder, 'scored.csv');
  const found = { model: model!, path: '', digest: '' };
  await predict(found, path, { engine: 'local', open, out, outputs: [output] });
  const [, ...lines] = readFileSync(out, 'utf8').trim().split('\n');
  if (differs?.test('predictions')) return;
  const ours = lines.flatMap((line) => line.split(',').map(Number));
  report(recorder, `${figure}.predictions`, ours, answers.at(-1)!, bound);
}

function report(
  recorder: Recorder,
  name: string,
  ours: readonly number[],
  theirs: readonly number[],
  bound: number,
): void {
  const difference = maxRelative(ours, theirs, 1);
  recorder.figure(name, difference, { atMost: bound });
  if (difference <= bound) return;
  throw new ExecutionError(
    `${name}: expected scikit-learn's answers within ${bound}, got a difference of ${difference} over ${ours.length} and ${theirs.length}`,
    { op: 'bench' },
  );
}
