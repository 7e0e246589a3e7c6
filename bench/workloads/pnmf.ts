/**
 * PNMF on the baselines' ratings, 6,000 x 4,000 with 480,000 marks: rank 10, 20 iterations, against
 * the same by hand in SciPy, scikit-learn's multiplicative updates and SystemDS. Each side has the
 * matrix in memory in its own sparse form before the clock starts.
 */
import { performance } from 'node:perf_hooks';
import { iterate, type Matrix, matrix, Session, zeros } from '../../driver/index.js';
import { csrOf } from '../../driver/ir/csr.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { loadCells, loadMatrix } from '../data.js';
import type { Bench } from '../harness.js';
import { systemDsData } from '../rivals/systemds-rival.js';
import { type Factors, poissonObjective, poissonStep } from './poisson.js';
import { comparePeers, pypeer, type Task } from './task.js';

const RANK = 10;
const ITERATIONS = 20;

/** The factors after so many steps. */
export async function factorise(X: Matrix, start: Factors, iterations: number): Promise<Factors> {
  const never = zeros(X.session, 1, 1);
  const step = (now: Factors) => ({ state: { ...poissonStep(X, now) }, done: never });
  const { W, H } = await iterate({ ...start }, step, { maxIterations: iterations });
  return { W, H };
}

export const pnmfTask: Task = {
  name: 'pnmf',
  load: () => {
    const ratings = csrOf(loadMatrix('ratings'));
    const W = loadCells(`pnmf_W0_${RANK}`, ratings.rows, RANK);
    const H = loadCells(`pnmf_H0_${RANK}`, RANK, ratings.cols);
    return async (local) => {
      const session = new Session({ local });
      const given = (value: DenseMatrix): Matrix => matrix(session, value, { copy: false });
      const X = given(ratings);
      const start = performance.now();
      const factors = await factorise(X, { W: given(W), H: given(H).t() }, ITERATIONS);
      const { data } = await poissonObjective(X, factors).value();
      const seconds = (performance.now() - start) / 1000;
      return { seconds, answers: [data[0]!] };
    };
  },
};

export const workloadPnmf: Bench = {
  name: 'workload-pnmf',
  summary:
    'PNMF, 6,000 x 4,000, rank 10, 20 iterations: by hand, scikit-learn, SystemDS (5 minutes)',
  run: (recorder, options) =>
    comparePeers(recorder, options, {
      task: pnmfTask,
      python: pypeer('pnmf', `cfg=${RANK}x${ITERATIONS}`),
      peers: { hand: { peer: 'numpy', rounds: 9 }, sklearn: { peer: 'sklearn', rounds: 5 } },
      systemds: {
        script: 'pnmf.dml',
        named: { X: systemDsData('ratings'), cfg: `${RANK} ${ITERATIONS}`, ncfg: '1' },
      },
      answers: [2],
      // scikit-learn's divisor is max(W H, eps), not W H + eps.
      tolerance: 1e-8,
    }),
};
