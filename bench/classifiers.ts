/**
 * Classifiers, 5 folds x 10 penalties, against scikit-learn's solvers with two jobs. `mnist`: ten
 * digits of 784 pixels, multinomial logistic regression and linear support vector machines, of the
 * first 10,000 rows on all sides, since scikit-learn takes minutes for them. `svm`: two classes, 50,000 x
 * 100. With loose `tol` ours ends where
 * the largest difference of a held-out score from the exact one is below scikit-learn's at its
 * default `tol`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { RowEstimator } from '../jobs/estimators/estimator.js';
import { linearSvm } from '../jobs/estimators/linear-svm.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import type { Metric } from '../jobs/search/scoring/metrics.js';
import { bringData } from './bring-data.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const PIXELS = 784;
/** Of all Cs: the decimal logarithms of the least and the largest. */
const RANGE = [-4, 0] as const;

interface Task {
  readonly name: string;
  readonly estimator: RowEstimator;
  readonly scoring: Metric;
  readonly tol: number;
  /** Solvers, and how often each runs: those that are never the fastest once. */
  readonly rivals: Readonly<Record<string, number>>;
  /** Largest relative difference of the scores. */
  readonly tolerance: number;
  readonly target: number;
}

export interface LabelledRows {
  /** What the rival finds them by. */
  readonly data: string;
  readonly rows: number;
  readonly cols: number;
  readonly cells: Float64Array;
  /** From 0 on. */
  readonly labels: Float64Array;
  readonly classes: number;
}

const LOGISTIC: Task = {
  ...{ name: 'mnist.logistic', estimator: logistic, scoring: 'neg_log_loss', tol: 0.3 },
  ...{ rivals: { lbfgs: 2, 'newton-cg': 1 }, tolerance: 1e-2, target: 8 },
};
const SVM: Task = {
  ...{ name: 'mnist.svm', estimator: linearSvm, scoring: 'accuracy', tol: 0.1 },
  ...{ rivals: { primal: 2, dual: 1 }, tolerance: 5e-3, target: 10 },
};

export const mnist: Bench = {
  name: 'mnist',
  summary: 'digits, 10,000 x 784: multinomial and SVM searches against scikit-learn',
  run: async (recorder, { quick }) =>
    compare(recorder, [LOGISTIC, SVM], await digits(quick ? 1000 : 10_000), quick),
};

export const svm: Bench = {
  name: 'svm',
  summary: '50,000 x 100, linear SVMs, 5 folds x 10 penalties, local: against scikit-learn',
  // The dual, over far more rows than columns, took fifteen times as long.
  run: (recorder, { quick }) =>
    compare(recorder, [{ ...SVM, name: 'svm', rivals: { primal: 3 } }], twoClasses(), quick),
};

async function compare(
  recorder: Recorder,
  tasks: readonly Task[],
  rows: LabelledRows,
  quick: boolean,
): Promise<void> {
  const cpu = await createCpuBackend();
  const rival = new PythonRival(undefined);
  const count = quick ? 3 : 10;
  const [least, most] = RANGE;
  const strengths = Array.from(
    { length: count },
    (_, i) => 10 ** (least + ((most - least) * i) / (count - 1)),
  );
  try {
    for (const { name, rivals, tolerance, target, ...task } of tasks) {
      const peer = (mode: string) => async (): Promise<Sample> => {
        const { data, rows: n } = rows;
        const argv = [mode, `data=${data}`, `rows=${n}`, `strengths=${strengths.join()}`];
        const { seconds, answers } = await rival.run(benchFile('rivals/classifiers.py'), argv);
        return { seconds, answers: answers.flat() };
      };
      const sides = Object.entries(rivals).map(([mode, rounds]) => ({
        ...{ name: `${name}.${mode}`, run: peer(mode), rounds: quick ? 1 : rounds, warmups: 0 },
      }));
      const ours = { name, run: () => search(cpu, task, rows, strengths), warmups: 1 };
      await alternate(recorder, [ours, ...sides], { rounds: quick ? 1 : 5, tolerance });
      const best = recorder.fastest(sides.map((side) => side.name));
      recorder.note(`${name}: the ratio takes the fastest of scikit-learn's, ${best}`);
      recorder.medianFigure(`${name}.local.s`, name);
      recorder.medianFigure(`${name}.sklearn.s`, best);
      recorder.ratio(`${name}.sklearn.vs_local`, best, name, { atLeast: target });
    }
  } finally {
    await Promise.all([rival.close(), cpu.close()]);
  }
}

async function search(
  cpu: CpuBackend,
  { estimator, scoring, tol }: Pick<Task, 'estimator' | 'scoring' | 'tol'>,
  { rows, cols, cells, labels, classes }: LabelledRows,
  strengths: readonly number[],
): Promise<Sample> {
  const session = new Session({ local: cpu });
  const data = {
    X: matrix(session, rows, cols, cells, { copy: false }),
    y: matrix(session, rows, 1, labels, { copy: false }),
    classes: Array.from({ length: classes }, (_, number) => number),
  };
  const start = performance.now();
  const { trials } = await gridSearch(session, {
    ...{ ...data, estimator, grid: { C: strengths }, scoring: [scoring] },
    cv: { folds: 5, shuffle: false },
    params: { tol, max_iter: 1000 },
    refit: false,
  });
  const seconds = (performance.now() - start) / 1000;
  return { seconds, answers: trials.map(({ meanScore }) => meanScore[scoring]!) };
}

/** The first digits of the training set, pixels from 0 to 1. IDX files begin with sizes. */
export async function digits(rows: number): Promise<LabelledRows> {
  const data = await bringData('mnist');
  const images = readFileSync(join(data, 'train-images-idx3-ubyte')).subarray(16);
  const labels = readFileSync(join(data, 'train-labels-idx1-ubyte')).subarray(8);
  return {
    ...{ data, rows, cols: PIXELS, classes: 10 },
    cells: Float64Array.from(images.subarray(0, rows * PIXELS), (pixel) => pixel / 255),
    labels: Float64Array.from(labels.subarray(0, rows)),
  };
}

function twoClasses(): LabelledRows {
  const { rows, cols, data } = loadMatrix('cls_X');
  const labels = Float64Array.from(loadMatrix('cls_y').data, (label) => label - 1);
  return { data: 'cls', rows, cols, cells: data as Float64Array, labels, classes: 2 };
}
