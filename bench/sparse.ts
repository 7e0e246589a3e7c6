/**
 * Wide and sparse data: 200,000 rows of one column of 20,000 categories and four numbers, from a
 * Parquet file to the scores of 5 folds x 10 penalties and the refitted best, on this machine. Against
 * scikit-learn on compressed rows, searched with two jobs, by the solver that is fastest there, at a
 * tolerance at which the scores agree. Memory is that of the command line in a process of its own.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openSession } from '../jobs/engines.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { baselineHome, benchFile } from './paths.js';
import { measureRun } from './process-usage.js';
import { PythonRival } from './rivals/python-rival.js';

/** What is searched, by the model's type, and scikit-learn's solvers with the tolerance from which on scores agree. */
const SEARCHES = {
  ridge: {
    parameter: 'lambda',
    values: decades(-2, 3),
    target: 'y',
    scoring: 'r2',
    solvers: { sparse_cg: 1e-6, lsqr: 1e-7 },
  },
  logistic: {
    parameter: 'C',
    values: decades(-3, 2),
    target: 'label',
    scoring: 'neg_log_loss',
    solvers: { 'newton-cg': 1e-8, lbfgs: 1e-7 },
  },
} as const;
type SearchName = keyof typeof SEARCHES;

/** Largest relative difference of a mean score. */
const TOLERANCE = 1e-5;
const MOST_MIB = 2048;

/** Ten numbers from one power of ten to another. */
function decades(from: number, to: number): number[] {
  return Array.from({ length: 10 }, (_, i) => 10 ** (from + ((to - from) * i) / 9));
}

export const sparse: Bench = {
  name: 'sparse',
  summary: '200,000 rows, 20,000 categories, 5 folds x 10 penalties, local: against scikit-learn',
  run: async (recorder, { quick }) => {
    const [rows, categories] = quick ? [20_000, 2000] : [200_000, 20_000];
    const data = join(baselineHome(), 'data', `sparse-${rows}.parquet`);
    const folder = mkdtempSync(join(tmpdir(), 'reprise-bench-'));
    const rival = new PythonRival(undefined);
    const script = benchFile('rivals/sparse.py');
    try {
      if (!existsSync(data)) await rival.run(script, ['make', data, `${rows}`, `${categories}`]);
      for (const name of Object.keys(SEARCHES) as SearchName[]) {
        const { solvers, values } = SEARCHES[name];
        const file = join(folder, `${name}.yaml`);
        writeFileSync(file, JSON.stringify(jobOf(name, data)));
        const peers = Object.entries(solvers).map(([solver, tol]) => ({
          name: `${name}.${solver}`,
          run: async (): Promise<Sample> => {
            const argv = [name, data, solver, String(tol), values.join(',')];
            const { seconds, answers } = await rival.run(script, argv);
            return { seconds, answers: answers.flat() };
          },
          // lbfgs takes minutes.
          rounds: quick || solver === 'lbfgs' ? 1 : 5,
          warmups: quick || solver === 'lbfgs' ? 0 : 1,
        }));
        await alternate(recorder, [{ name, run: () => ours(file), warmups: 1 }, ...peers], {
          rounds: quick ? 1 : 5,
          tolerance: TOLERANCE,
        });
        const best = recorder.fastest(peers.map((peer) => peer.name));
        recorder.medianFigure(`sparse.${name}.seconds`, name);
        recorder.ratio(`sparse.${name}.sklearn.vs_local`, best, name, { atLeast: 1 });
        const output = join(folder, 'runs');
        const { peakMib } = await measureRun([file, '--engine', 'local', '--output', output]);
        recorder.sample(`${name}.peak_mib`, peakMib);
        recorder.medianFigure(`sparse.${name}.peak_rss_mib`, `${name}.peak_mib`, {
          atMost: MOST_MIB,
        });
      }
    } finally {
      await rival.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function jobOf(name: SearchName, path: string): object {
  const { parameter, values, target, scoring } = SEARCHES[name];
  const numbers = ['x0', 'x1', 'x2', 'x3'];
  return {
    kind: 'grid-search',
    data: { path, target, features: [{ name: 'city', encode: 'onehot' }, ...numbers] },
    model: { type: name },
    search: { grid: { [parameter]: values } },
    cv: { type: 'kfold', folds: 5, shuffle: false },
    scoring: [scoring],
  };
}

/** A job from its file to its scores, in a session that knows nothing. */
async function ours(file: string): Promise<Sample> {
  const job = await readJob(file);
  const open = await openSession('local');
  try {
    const start = performance.now();
    const { search } = await runJob(job, { engine: 'local', open });
    const seconds = (performance.now() - start) / 1000;
    return { seconds, answers: search.trials.map(({ meanScore }) => meanScore[search.refit]!) };
  } finally {
    await open.session.close();
  }
}
