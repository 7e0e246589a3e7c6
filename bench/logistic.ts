/**
 * Logistic regression on 50,000 x 100, 10 folds x 20 penalties: two hundred models in one stack on
 * this machine, against NumPy fused by hand for this search and against scikit-learn's solvers with
 * two jobs (`models.py` of the rivals). Data are in memory on all sides before the clock starts.
 */
import { execFile } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { baselineHome, rivalPython, rivalScript } from './paths.js';

const FOLDS = 10;
/** 10^-4 .. 10^2. */
const STRENGTHS = Array.from({ length: 20 }, (_, i) => 10 ** (-4 + (6 * i) / 19));
/** Mean log losses agree so far: all solvers end near the least point. */
const TOLERANCE = 1e-5;

export const logisticBench: Bench = {
  name: 'logistic',
  summary: '50,000 x 100, 10 folds x 20 penalties, local: against NumPy by hand and scikit-learn',
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
    };
    const peer = (name: string) => async (): Promise<Sample> => {
      const argv = [rivalScript('models.py'), 'logistic', name];
      const environment = { ...process.env, BASELINES_HOME: baselineHome() };
      const { stdout } = await promisify(execFile)(rivalPython(), argv, { env: environment });
      return JSON.parse(stdout) as Sample;
    };
    const sklearn = (name: string) => ({
      ...{ name, run: peer(name), rounds: quick ? 0 : 3, warmups: quick ? 0 : 1 },
    });
    try {
      await alternate(
        recorder,
        [
          { name: 'local', run: ours, warmups: 2 },
          { name: 'fused', run: peer('fused') },
          sklearn('sk_lbfgs'),
          sklearn('sk_newton'),
        ],
        { rounds: quick ? 1 : 7, tolerance: TOLERANCE },
      );
    } finally {
      await cpu.close();
    }
    recorder.medianFigure('logistic.local.seconds', 'local');
    recorder.ratio('logistic.local.vs_fused', 'local', 'fused', { atMost: 1.2 });
    if (quick) return;
    const best = ['sk_lbfgs', 'sk_newton'].reduce((a, b) =>
      recorder.summary(a).median <= recorder.summary(b).median ? a : b,
    );
    recorder.ratio('logistic.sklearn.vs_local', best, 'local', { atLeast: 8 });
  },
};
