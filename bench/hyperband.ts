/**
 * Searches by rungs over linear support vector machines and multinomial logistic regression, digits
 * of 784 pixels. Rows: 36 candidates by successive halving on three folds, 666, 2,000 and 6,000
 * rows, against scikit-learn's halving, Optuna's `SuccessiveHalvingPruner` and Ray Tune on the same
 * candidates and rungs; the best score has to agree. Peers that are not installed are said and left
 * out. Iterations, a bench of its own: three brackets of Hyperband, with reuse and without.
 */
import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import { matrix, Session } from '../driver/index.js';
import type { ReuseSetting } from '../driver/support/reuse-words.js';
import { type CpuBackend, createCpuBackend } from '../gpu-executor/cpu/index.js';
import { linearSvm } from '../jobs/estimators/linear-svm.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { runSearch } from '../jobs/search/run-search.js';
import { halving } from '../jobs/search/strategies/halving.js';
import { hyperband } from '../jobs/search/strategies/hyperband.js';
import type { SearchType } from '../jobs/search/strategies/strategy.js';
import { digits, type LabelledRows } from './classifiers.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';
import { SEARCH_SETTINGS, settingsTable } from './settings-table.js';

const PEERS = ['sklearn', 'optuna', 'ray'] as const;
/** Values of C, from the strongest penalty on. */
const strengths = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => 10 ** (-4 + (4 * i) / (count - 1)));

export const hyperbandBench: Bench = {
  name: 'hyperband',
  summary: 'digits, SVM and multinomial: halving against scikit-learn, Optuna, Ray (6 minutes)',
  run: async (recorder, { quick }) => {
    const rows = await digits(quick ? 900 : 6000);
    const cpu = await createCpuBackend();
    const rival = new PythonRival(undefined);
    try {
      await againstPeers(recorder, cpu, rival, rows, quick);
    } finally {
      await Promise.all([rival.close(), cpu.close()]);
    }
  },
};

export const hyperbandIterations: Bench = {
  name: 'hyperband-iterations',
  summary: 'digits, SVM and multinomial: Hyperband by iterations, settings of reuse (5 minutes)',
  run: async (recorder, { quick }) => {
    const rows = await digits(300);
    const cpu = await createCpuBackend();
    try {
      await underSettings(recorder, cpu, rows, quick);
    } finally {
      await cpu.close();
    }
  },
};

async function againstPeers(
  recorder: Recorder,
  cpu: CpuBackend,
  rival: PythonRival,
  rows: LabelledRows,
  quick: boolean,
): Promise<void> {
  const C = strengths(quick ? 5 : 18);
  const least = Math.floor(rows.rows / 9);
  const script = benchFile('rivals/hyperband.py');
  const { answers } = await rival.run(script, ['has']);
  const missing = PEERS.filter((peer, i) => peer !== 'sklearn' && answers[i - 1]![0] === 0);
  for (const peer of missing) recorder.note(`${peer} is not installed: left out`);
  const peers = PEERS.filter((peer) => !missing.includes(peer));
  const settings = { min_resources: least, factor: 3 };
  const ours = () => search(cpu, 'full', halving, settings, rows, C);
  const peer = (mode: string) => async (): Promise<Sample> => {
    const data = [`data=${rows.data}`, `rows=${rows.rows}`, `least=${least}`];
    const run = await rival.run(script, [mode, ...data, `strengths=${C.join()}`]);
    return { seconds: run.seconds, answers: run.answers.flat() };
  };
  const sides = peers.map((mode) => ({
    name: `hyperband.${mode}`,
    run: peer(mode),
    warmups: 0,
  }));
  const first = { name: 'hyperband', run: ours, warmups: 1 };
  await alternate(recorder, [first, ...sides], {
    rounds: quick ? 1 : 3,
    tolerance: quick ? 0.05 : 0.01,
  });
  recorder.medianFigure('hyperband.local.s', 'hyperband');
  for (const mode of peers) {
    recorder.medianFigure(`hyperband.${mode}.s`, `hyperband.${mode}`);
    recorder.ratio(`hyperband.${mode}.vs_local`, `hyperband.${mode}`, 'hyperband', { atLeast: 1 });
  }
}

/** Rounds of settings that are not compared. */
const ONCE = { operators: 1, steps: 1, input: 1, predictions: 1, functions: 1 };

/** Hyperband by iterations, under each setting of reuse. */
async function underSettings(
  recorder: Recorder,
  cpu: CpuBackend,
  rows: LabelledRows,
  quick: boolean,
): Promise<void> {
  const C = strengths(5);
  // A trial by itself takes a second, and longer where other work keeps helpers from their turns.
  const settings = { resource: 'iterations', factor: 2, min_resources: 1, max_resources: 4 };
  await settingsTable(recorder, {
    name: 'hyperband.iterations',
    run: async (reuse) => ({ first: await search(cpu, reuse, hyperband, settings, rows, C) }),
    settings: quick ? ['off', 'operators', 'full'] : SEARCH_SETTINGS,
    warmups: 0,
    ...{ rounds: quick ? 1 : 5, roundsOf: ONCE, tolerance: 1e-3, atLeast: 2.6 },
  });
}

async function search(
  cpu: CpuBackend,
  reuse: ReuseSetting,
  type: SearchType,
  settings: Readonly<Record<string, unknown>>,
  { rows, cols, cells, labels, classes }: LabelledRows,
  C: readonly number[],
): Promise<Sample> {
  const session = new Session({ local: cpu, reuse });
  const data = {
    X: matrix(session, rows, cols, cells, { copy: false }),
    y: matrix(session, rows, 1, labels, { copy: false }),
    classes: Array.from({ length: classes }, (_, number) => number),
  };
  // Loose enough that scores are as far from exact ones as scikit-learn's.
  const models = [
    { name: 'logistic', estimator: logistic, params: { tol: 0.3, max_iter: 1000 } },
    { name: 'svm', estimator: linearSvm, params: { tol: 0.1 } },
  ];
  const start = performance.now();
  const found = await runSearch(session, {
    ...{ ...data, models, cv: { folds: 3, shuffle: false }, scoring: ['accuracy'], refit: false },
    strategy: (facts) => {
      const space = [{ models: models.map(({ name }) => name), values: { C } }];
      return type.begin(space, z.object(type.keys).parse(settings), facts);
    },
  });
  const seconds = (performance.now() - start) / 1000;
  return { seconds, answers: [found.trials[found.bestIndex!]!.meanScore.accuracy!] };
}
