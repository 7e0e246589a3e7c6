/**
 * Cross-validated ridge on 100,000 x 100 in memory, on this machine: Reprise against the
 * hand-written NumPy version that shares fold Gram matrices and against scikit-learn's
 * GridSearchCV. Every run of ours is a new session, so nothing is reused from one run to the next;
 * data are in memory on both sides before the clock starts.
 */
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type BenchOptions, type Recorder, type Sample } from './harness.js';
import { hcvSearch } from './hcv-search.js';
import { PythonRival } from './rivals/python-rival.js';

interface Shape {
  readonly name: string;
  readonly folds: number;
  readonly trials: number;
  readonly rounds: number;
  /** Rounds of scikit-learn, which takes minutes on the larger grid. */
  readonly sklearnRounds: number;
  readonly numpyTarget?: number;
  /** Against the version that takes scores from Gram matrices, as we do. */
  readonly gramTarget?: number;
  readonly sklearnTarget: number;
}

/** Mean squared errors agree far better than this; a wrong fold or penalty does not. */
const TOLERANCE = 1e-10;

export const hcv10: Bench = {
  name: 'hcv10',
  summary: '100,000 x 100, 4 folds x 10 penalties, local: against NumPy by hand and GridSearchCV',
  run: (recorder, options) =>
    compare(recorder, options, {
      name: 'hcv10',
      folds: 4,
      trials: 10,
      rounds: 11,
      sklearnRounds: 5,
      numpyTarget: 1.3,
      gramTarget: 1,
      sklearnTarget: 40,
    }),
};

export const hcvGrid: Bench = {
  name: 'hcv-grid',
  summary: '100,000 x 100, 10 folds x 100 penalties, local: against GridSearchCV (10 minutes)',
  run: (recorder, options) =>
    compare(recorder, options, {
      name: 'hcv-grid',
      folds: 10,
      trials: 100,
      rounds: 7,
      sklearnRounds: 3,
      sklearnTarget: 300,
    }),
};

async function compare(recorder: Recorder, options: BenchOptions, shape: Shape): Promise<void> {
  const { name, folds, trials } = shape;
  const rounds = options.quick ? 3 : shape.rounds;
  const sklearnRounds = options.quick ? 1 : shape.sklearnRounds;
  const X = loadMatrix('reg_X');
  const y = loadMatrix('reg_y');
  const cpu = await createCpuBackend();
  const ours = async (): Promise<Sample> => {
    const session = new Session({ local: cpu });
    const data = {
      X: matrix(session, X.rows, X.cols, X.data, { copy: false }),
      y: matrix(session, y.rows, y.cols, y.data, { copy: false }),
    };
    const start = performance.now();
    const answers = await hcvSearch(session, data, { folds, trials });
    return { seconds: (performance.now() - start) / 1000, answers };
  };
  const first = await ours();
  recorder.sample('local.first', first.seconds);

  const twoThreads = new PythonRival(2);
  const twoWorkers = new PythonRival(undefined);
  const peer = (rival: PythonRival, which: string) => async (): Promise<Sample> => {
    const argv = ['hcv', which, 'ds=reg', `k=${folds}`, `nreg=${trials}`];
    const { seconds, answers } = await rival.run('pypeer.py', argv);
    return { seconds, answers: answers.flat() };
  };
  try {
    await alternate(
      recorder,
      [
        { name: 'local', run: ours, warmups: 4 },
        { name: 'numpy_ideal', run: peer(twoThreads, 'numpy_ideal'), warmups: 3 },
        { name: 'numpy_gram', run: peer(twoThreads, 'numpy_gram') },
        {
          name: 'sklearn_2_threads',
          run: peer(twoThreads, 'sklearn1'),
          rounds: sklearnRounds,
          warmups: 0,
        },
        {
          name: 'sklearn_2_workers',
          run: peer(twoWorkers, 'sklearn2'),
          rounds: sklearnRounds,
          warmups: 0,
        },
      ],
      { rounds, tolerance: TOLERANCE },
    );
  } finally {
    await Promise.all([twoThreads.close(), twoWorkers.close(), cpu.close()]);
  }

  const sklearn = recorder.fastest(['sklearn_2_threads', 'sklearn_2_workers']);
  recorder.note(
    `GridSearchCV was run ${sklearnRounds} times with one process of two BLAS threads and ${sklearnRounds} times with two ` +
      `workers; the ratio takes the faster, ${sklearn}`,
  );
  recorder.medianFigure(`${name}.local.s`, 'local');
  recorder.figure(`${name}.local.first_s`, first.seconds, undefined, ['local.first']);
  recorder.medianFigure(`${name}.numpy_ideal.s`, 'numpy_ideal');
  recorder.medianFigure(`${name}.numpy_gram.s`, 'numpy_gram');
  recorder.medianFigure(`${name}.sklearn.s`, sklearn);
  const atMost = (most: number | undefined) => (most === undefined ? undefined : { atMost: most });
  const ratio = (peer: string, most: number | undefined): void =>
    recorder.ratio(`${name}.local.vs_${peer}`, 'local', peer, atMost(most));
  ratio('numpy_ideal', shape.numpyTarget);
  ratio('numpy_gram', shape.gramTarget);
  recorder.ratio(`${name}.sklearn.vs_local`, sklearn, 'local', { atLeast: shape.sklearnTarget });
}
