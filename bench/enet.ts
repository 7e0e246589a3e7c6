/**
 * Elastic nets on 100,000 x 100 in memory: 5 folds x 10 ratios x 50 penalties. Against coordinate
 * descent on the same moments by hand (scikit-learn's `enet_path`, warm starts along each path) and
 * `ElasticNetCV` on both cores.
 */
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { elasticNet } from '../jobs/estimators/elastic-net.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const RATIOS = Array.from({ length: 10 }, (_, i) => (i + 1) / 10);

export const enet: Bench = {
  name: 'enet',
  summary: '100,000 x 100, 5 folds x 10 ratios x 50 penalties, local: against enet_path on moments',
  run: async (recorder, { quick }) => {
    const [X, y] = [loadMatrix('reg_X'), loadMatrix('reg_y')];
    const cpu = await createCpuBackend();
    // From where half the penalty on sizes leaves no coefficient, three decades down.
    const alphas = Array.from({ length: 50 }, (_, i) => 60 * 10 ** ((-3 * i) / 49));
    const ours = async (): Promise<Sample> => {
      const session = new Session({ local: cpu });
      const data = {
        X: matrix(session, X.rows, X.cols, X.data, { copy: false }),
        y: matrix(session, y.rows, y.cols, y.data, { copy: false }),
      };
      const start = performance.now();
      const { trials } = await gridSearch(session, {
        ...data,
        cv: { folds: 5 },
        estimator: elasticNet,
        params: { tol: 1e-6, max_iter: 10_000 },
        grid: { l1_ratio: RATIOS, alpha: alphas },
        scoring: ['neg_mean_squared_error'],
        refit: false,
      });
      const seconds = (performance.now() - start) / 1000;
      // Candidates are in the order of names: alpha, then ratio.
      const of = (alpha: number, ratio: number): number =>
        -trials[alpha * RATIOS.length + ratio]!.meanScore.neg_mean_squared_error!;
      return { seconds, answers: RATIOS.flatMap((_, r) => alphas.map((_a, a) => of(a, r))) };
    };
    const [twoThreads, twoWorkers] = [new PythonRival(2), new PythonRival(undefined)];
    const peer = (rival: PythonRival, mode: string) => async (): Promise<Sample> => {
      const script = benchFile('rivals/enet.py');
      const { seconds, answers } = await rival.run(script, [mode, `alphas=${alphas.join(',')}`]);
      return { seconds, answers: answers.flat() };
    };
    try {
      await alternate(
        recorder,
        [
          { name: 'local', run: ours, warmups: 3 },
          { name: 'gram', run: peer(twoThreads, 'gram') },
          { name: 'sklearn', run: peer(twoWorkers, 'sk'), rounds: 1, warmups: 0 },
        ],
        // The gap that scikit-learn's descents end with; ours are exact.
        { rounds: quick ? 3 : 7, tolerance: 1e-5 },
      );
    } finally {
      await Promise.all([twoThreads.close(), twoWorkers.close(), cpu.close()]);
    }
    recorder.medianFigure('enet.local.seconds', 'local');
    recorder.medianFigure('enet.gram.seconds', 'gram');
    recorder.ratio('enet.local.vs_gram', 'local', 'gram', { atMost: 1 });
    recorder.ratio('enet.sklearn.vs_local', 'sklearn', 'local');
  },
};
