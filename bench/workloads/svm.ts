/**
 * Linear support vector machines on 50,000 x 100: 3 penalties with and without an intercept at 3
 * tolerances, trained and scored on all rows, against the same by hand in NumPy, scikit-learn's
 * LinearSVC and SystemDS. Their reg/2 |w|^2 + 1/2 sum max(0, 1 - m)^2 is our w'w / 2 + C sum with
 * C = 1 / (2 reg).
 */
import { performance } from 'node:perf_hooks';
import { type Matrix, matrix, Session, zeros } from '../../driver/index.js';
import { linearSvm } from '../../jobs/estimators/linear-svm.js';
import { candidatesOf } from '../../jobs/search/candidates.js';
import { fitAll } from '../../jobs/search/fits.js';
import { searchGroups } from '../../jobs/search/groups.js';
import { prepare } from '../../jobs/search/prepare.js';
import { oneRung } from '../../jobs/search/strategies/strategy.js';
import { loadMatrix } from '../data.js';
import type { Bench } from '../harness.js';
import { systemDsData } from '../rivals/systemds-rival.js';
import { comparePeers, pypeer, type Task } from './task.js';

const PENALTIES = [0.1, 1, 10];
const TOLERANCES = [1e-3, 1e-6, 1e-9];

export const svmTask: Task = {
  name: 'svm',
  load: () => {
    const X = loadMatrix('cls_X');
    const labels = Float64Array.from(loadMatrix('cls_y').data, (label) => label - 1);
    return async (local) => {
      const session = new Session({ local });
      const data = {
        X: matrix(session, X, { copy: false }),
        y: matrix(session, X.rows, 1, labels, { copy: false }),
      };
      const start = performance.now();
      const answers = await objectives(session, data.X, data.y);
      return { seconds: (performance.now() - start) / 1000, answers };
    };
  },
};

/** Of all models the loss with the penalty: reg by reg, each without and with an intercept, by tol. */
async function objectives(session: Session, X: Matrix, y: Matrix): Promise<number[]> {
  const model = { name: 'linear-svm', estimator: linearSvm, params: {} };
  const grid = {
    C: PENALTIES.map((penalty) => 1 / (2 * penalty)),
    fit_intercept: [false, true],
    tol: TOLERANCES,
  };
  const candidates = candidatesOf(model, grid);
  const all = {
    groupOf: zeros(session, X.rows, 1),
    groups: 1,
    splits: [{ train: [0], test: [0] }],
  };
  const search = prepare(session, {
    ...{ X, y, classes: [1, 2], cv: [all], models: [model] },
    strategy: () => oneRung(candidates),
    scoring: ['accuracy'],
  });
  const trials = candidates.map((candidate, number) => ({ number, candidate }));
  const [group] = searchGroups(search, trials);
  const { fits } = await fitAll(session, group!, true, true);
  const [first, ...others] = fits.map(({ weights }) => weights);
  const W = first!.cbind(...others);
  const sign = y.mul(2).sub(1);
  const decided = X.matmul(W.slice([0, X.cols])).add(W.slice(X.cols));
  const slack = decided.mul(sign).neg().add(1).maximum(0);
  const losses = await slack.colSumSqs().rbind(W.colSumSqs()).value();
  return candidates.map(({ params }, k) => {
    const [loss, size] = [losses.data[k]!, losses.data[candidates.length + k]!];
    return loss / 2 + ((1 / (2 * (params.C as number))) * size) / 2;
  });
}

export const workloadSvm: Bench = {
  name: 'workload-svm',
  summary: 'SVM, 50,000 x 100, 18 models: by hand, scikit-learn, SystemDS (6 minutes)',
  run: (recorder, options) =>
    comparePeers(recorder, options, {
      task: svmTask,
      python: pypeer('svm'),
      peers: {
        hand: { peer: 'numpy', rounds: 9 },
        sklearn: { peer: 'sklearn2', rounds: 3, hasWorkers: true },
      },
      systemds: {
        script: 'svm.dml',
        named: { X: systemDsData('cls_X'), y: systemDsData('cls_y') },
      },
      answers: [3],
      // What the solvers stop at differs at the loosest tolerance.
      tolerance: 1e-6,
    }),
};
