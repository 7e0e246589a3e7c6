/**
 * Twelve cleaning pipelines on 100,000 x 100 with wild and missing cells: mean imputation, zeros for
 * outliers or not, standardised or not, no, 20 or 40 components, then ridge regression. Against the
 * same by hand in NumPy, scikit-learn's Pipeline with and without a memory, dask-ml and SystemDS.
 */
import { performance } from 'node:perf_hooks';
import { fill, type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { ridge } from '../jobs/estimators/ridge.js';
import { chosenStep, type StepDocument } from '../jobs/prepare/chosen-steps.js';
import { Preparation } from '../jobs/prepare/preparation.js';
import { preparedDesign } from '../jobs/prepare/prepared-design.js';
import { cellRows } from '../jobs/prepare/rows.js';
import { heldOutLosses, type LossInputs } from '../jobs/search/scoring/losses.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';
import { runSystemDs, systemDsData } from './rivals/systemds-rival.js';
import { settingsTable } from './settings-table.js';

/** In the order of the rivals: outliers, scale, components. */
const PIPELINES: readonly (readonly StepDocument[])[] = [false, true].flatMap((isBounded) =>
  [false, true].flatMap((isScaled) =>
    [0, 20, 40].map((components) => [
      { step: 'impute' },
      ...(isBounded ? [{ step: 'outliers', action: 'zero' }] : []),
      ...(isScaled ? [{ step: 'scale' }] : []),
      ...(components > 0 ? [{ step: 'pca', n_components: components }] : []),
    ]),
  ),
);

/** Of each pipeline, what its error over all rows is of, which it is fitted on. */
function lossesOf(session: Session, X: Matrix, y: Matrix): LossInputs[] {
  const groupOf = fill(session, X.rows, 1, 0);
  const source = cellRows(
    X,
    Array.from({ length: X.cols }, (_, j) => j),
  );
  const context = { y, classes: 0, hasTarget: true };
  const preparation = new Preparation(source, [{ groupOf, groups: 1, train: [0] }], context);
  return PIPELINES.map((steps) => {
    const [columns] = preparation.after(steps.map(chosenStep));
    const design = preparedDesign(columns!, { test: [], y, standardize: false, isSolved: true });
    const { gram } = design.training;
    const fit = ridge.fit({ ...design.training, train: [0] }, { lambda: 1000, intercept: true });
    return {
      partition: { groupOf: design.groupOf, groups: 2, splits: [{ train: [0], test: [0] }] },
      ...{ gram, centered: true, X: design.X, y, losses: ['squared'], candidates: 1 },
      weights: fit.weights,
    };
  });
}

/** All pipelines in one request. */
export async function together(session: Session, X: Matrix, y: Matrix): Promise<number[]> {
  const inputs = lossesOf(session, X, y);
  const read = await heldOutLosses(session.run(), inputs, () => undefined);
  return inputs.map((_, fold) => read(fold, 0)('squared') / X.rows);
}

/** One pipeline after the other, as a script has them: what is shared is found between requests. */
export async function oneByOne(session: Session, X: Matrix, y: Matrix): Promise<number[]> {
  const errors: number[] = [];
  for (const input of lossesOf(session, X, y)) {
    const read = await heldOutLosses(session.run(), [input], () => undefined);
    errors.push(read(0, 0)('squared') / X.rows);
  }
  return errors;
}

type CleaningWork = (session: Session, X: Matrix, y: Matrix) => Promise<number[]>;

export async function timed(session: Session, work: CleaningWork): Promise<Sample> {
  const [X, y] = [loadMatrix('dirty_X'), loadMatrix('reg_y')].map((value) =>
    matrix(session, value, { copy: false }),
  );
  const start = performance.now();
  const answers = await work(session, X!, y!);
  return { seconds: (performance.now() - start) / 1000, answers };
}

/** Of MEMPHIS on its cleaning task. */
const PAPER = 3.9;

export const cleaningSettings: Bench = {
  name: 'cleaning-settings',
  summary: '12 cleaning pipelines, 100,000 x 100, one by one: every setting of reuse that applies',
  run: async (recorder, { quick }) => {
    const local = await createCpuBackend();
    try {
      await settingsTable(recorder, {
        name: 'cleaning',
        run: async (reuse) => {
          const session = new Session({ local, reuse });
          return { first: await timed(session, oneByOne), again: await timed(session, oneByOne) };
        },
        settings: ['off', 'operators', 'full'],
        ...{ rounds: quick ? 1 : 5, tolerance: 1e-9, atLeast: PAPER },
      });
    } finally {
      await local.close();
    }
  },
};

export const cleaning: Bench = {
  name: 'cleaning',
  summary: '12 cleaning pipelines, 100,000 x 100: against NumPy, scikit-learn, dask-ml, SystemDS',
  run: async (recorder, { quick }) => {
    const cpu = await createCpuBackend();
    const ours = (): Promise<Sample> => timed(new Session({ local: cpu }), together);
    const [twoThreads, workers] = [new PythonRival(2), new PythonRival(undefined)];
    const peer = (rival: PythonRival, mode: string) => async (): Promise<Sample> => {
      const { seconds, answers } = await rival.run(benchFile('rivals/cleaning.py'), [mode]);
      return { seconds, answers: answers.flat() };
    };
    const systemds = (lineage: 'base' | 'reuse_multilevel') => async (): Promise<Sample> => {
      const named = { X: systemDsData('dirty_X'), y: systemDsData('reg_y') };
      const script = benchFile('rivals/cleaning.dml');
      const { seconds, answers } = await runSystemDs({ script, named, execution: 'single', lineage }); // biome-ignore format: a call
      return { seconds, answers: answers.flat() };
    };
    const slow = { rounds: quick ? 1 : 3, warmups: 0 };
    try {
      await alternate(
        recorder,
        [
          { name: 'local', run: ours, warmups: 2 },
          { name: 'numpy', run: peer(twoThreads, 'numpy') },
          ...['sk1', 'sk2', 'memory1', 'memory2', 'dask'].map((mode) => {
            return { name: mode, run: peer(mode === 'sk1' ? twoThreads : workers, mode), ...slow };
          }),
          { name: 'systemds.base', run: systemds('base'), ...slow },
          { name: 'systemds.reuse', run: systemds('reuse_multilevel'), ...slow },
        ],
        { rounds: quick ? 3 : 5, tolerance: 1e-8 },
      );
    } finally {
      await Promise.all([twoThreads.close(), workers.close(), cpu.close()]);
    }
    recorder.medianFigure('cleaning.local.seconds', 'local');
    recorder.medianFigure('cleaning.numpy.seconds', 'numpy');
    recorder.ratio('cleaning.local.vs_numpy', 'local', 'numpy', { atMost: 1.3 });
    const fastest = recorder.fastest(['sk1', 'sk2', 'memory1', 'memory2']);
    recorder.ratio('cleaning.sklearn.vs_local', fastest, 'local', { atLeast: 1 });
    recorder.ratio('cleaning.dask.vs_local', 'dask', 'local', { atLeast: 1 });
    const reuse = recorder.fastest(['systemds.base', 'systemds.reuse']);
    recorder.ratio('cleaning.systemds.vs_local', reuse, 'local', { atLeast: 1 });
  },
};
