/**
 * Ten classes of handwritten digits, 784 pixels each: multinomial logistic regression and linear
 * support vector machines, 5 folds x 10 penalties each, against scikit-learn's solvers with two jobs.
 * Of the first 10,000 rows on all sides, since scikit-learn takes minutes for them. Ours ends where
 * the losses of held-out rows differ by less from the exact least than scikit-learn's at its default
 * `tol` do.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { RowEstimator } from '../jobs/estimators/estimator.js';
import { linearSvm } from '../jobs/estimators/linear-svm.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import type { Metric } from '../jobs/search/scoring/metrics.js';
import { bringData } from './bring-data.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { fastest } from './hcv.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const PIXELS = 784;
const CLASSES = Array.from({ length: 10 }, (_, digit) => digit);

interface Task {
  readonly name: string;
  readonly estimator: RowEstimator;
  readonly scoring: Metric;
  /** Of all Cs: the decimal logarithms of the least and the largest. */
  readonly range: readonly [number, number];
  readonly tol: number;
  readonly rivals: readonly string[];
  /** Largest relative difference of the scores. */
  readonly tolerance: number;
  readonly target: number;
}

const TASKS: readonly Task[] = [
  {
    ...{ name: 'logistic', estimator: logistic, scoring: 'neg_log_loss', range: [-4, 0] },
    ...{ tol: 0.1, rivals: ['lbfgs', 'newton-cg'], tolerance: 1e-2, target: 8 },
  },
  {
    ...{ name: 'svm', estimator: linearSvm, scoring: 'accuracy', range: [-4, 0] },
    ...{ tol: 0.1, rivals: ['primal', 'dual'], tolerance: 5e-3, target: 10 },
  },
];

export const mnist: Bench = {
  name: 'mnist',
  summary: 'digits, 10,000 x 784: multinomial and SVM searches against scikit-learn (an hour)',
  run: async (recorder, { quick }) => {
    const folder = await bringData('mnist');
    const rows = quick ? 1000 : 10_000;
    const { cells, labels } = digits(folder, rows);
    const cpu = await createCpuBackend();
    const rival = new PythonRival(undefined);
    try {
      for (const task of TASKS) {
        const { name, rivals, tolerance, target } = task;
        const [least, most] = task.range;
        const count = quick ? 3 : 10;
        const strengths = Array.from(
          { length: count },
          (_, i) => 10 ** (least + ((most - least) * i) / (count - 1)),
        );
        const ours = async (): Promise<Sample> => {
          const session = new Session({ local: cpu });
          const data = {
            X: matrix(session, rows, PIXELS, cells, { copy: false }),
            y: matrix(session, rows, 1, labels, { copy: false }),
          };
          const start = performance.now();
          const { trials } = await gridSearch(session, {
            ...{ ...data, classes: CLASSES, estimator: task.estimator, grid: { C: strengths } },
            cv: { folds: 5, shuffle: false },
            params: { tol: task.tol, max_iter: 1000 },
            scoring: [task.scoring],
            refit: false,
          });
          const seconds = (performance.now() - start) / 1000;
          return { seconds, answers: trials.map(({ meanScore }) => meanScore[task.scoring]!) };
        };
        const peer = (mode: string) => async (): Promise<Sample> => {
          const argv = [mode, `folder=${folder}`, `rows=${rows}`, `strengths=${strengths.join()}`];
          const { seconds, answers } = await rival.run(benchFile('rivals/mnist.py'), argv);
          return { seconds, answers: answers.flat() };
        };
        const sides = rivals.map((mode) => ({
          ...{ name: `${name}.${mode}`, run: peer(mode), rounds: quick ? 1 : 3, warmups: 0 },
        }));
        await alternate(recorder, [{ name, run: ours, warmups: 1 }, ...sides], {
          ...{ rounds: quick ? 1 : 5, tolerance },
        });
        const best = fastest(
          recorder,
          sides.map((side) => side.name),
        );
        recorder.note(`${name}: the ratio takes the fastest of scikit-learn's, ${best}`);
        recorder.medianFigure(`mnist.${name}.local.s`, name);
        recorder.medianFigure(`mnist.${name}.sklearn.s`, best);
        recorder.ratio(`mnist.${name}.sklearn.vs_local`, best, name, { atLeast: target });
      }
    } finally {
      await Promise.all([rival.close(), cpu.close()]);
    }
  },
};

/** The first digits of the training set: pixels from 0 to 1, labels. IDX files begin with sizes. */
function digits(folder: string, rows: number) {
  const images = readFileSync(join(folder, 'train-images-idx3-ubyte')).subarray(16);
  const labels = readFileSync(join(folder, 'train-labels-idx1-ubyte')).subarray(8);
  return {
    cells: Float64Array.from(images.subarray(0, rows * PIXELS), (pixel) => pixel / 255),
    labels: Float64Array.from(labels.subarray(0, rows)),
  };
}
