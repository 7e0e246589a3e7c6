/**
 * HCV: cross-validated search of ridge regression, 100,000 x 100, 4 folds, 10 penalties, against the
 * same by hand, scikit-learn, dask-ml and SystemDS with each of its reuse settings.
 */
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../../driver/index.js';
import { loadMatrix } from '../data.js';
import type { Bench } from '../harness.js';
import { hcvSearch } from '../hcv-search.js';
import { systemDsData } from '../rivals/systemds-rival.js';
import { comparePeers, pypeer, type Task } from './task.js';

const FOLDS = 4;
const TRIALS = 10;

export const hcvTask: Task = {
  name: 'hcv',
  load: () => {
    const [X, y] = [loadMatrix('reg_X'), loadMatrix('reg_y')];
    return async (local) => {
      const session = new Session({ local });
      const data = {
        X: matrix(session, X, { copy: false }),
        y: matrix(session, y, { copy: false }),
      };
      const start = performance.now();
      const answers = await hcvSearch(session, data, { folds: FOLDS, trials: TRIALS });
      return { seconds: (performance.now() - start) / 1000, answers };
    };
  },
};

export const workloadHcv: Bench = {
  name: 'workload-hcv',
  summary: 'HCV, 100,000 x 100, 4 x 10: by hand, scikit-learn, dask-ml, SystemDS (8 minutes)',
  run: (recorder, options) =>
    comparePeers(recorder, options, {
      task: hcvTask,
      python: pypeer('hcv', 'ds=reg', `k=${FOLDS}`, `nreg=${TRIALS}`),
      peers: {
        hand: { peer: 'numpy_ideal', rounds: 9 },
        sklearn: { peer: 'sklearn2', rounds: 3, hasWorkers: true },
        dask: { peer: 'dask', rounds: 3, hasWorkers: true },
      },
      systemds: {
        script: 'hcv.dml',
        named: {
          ...{ X: systemDsData('reg_X'), y: systemDsData('reg_y') },
          ...{ k: String(FOLDS), nreg: String(TRIALS) },
        },
      },
      answers: [0],
      tolerance: 1e-10,
    }),
};
