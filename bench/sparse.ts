/**
 * Wide and sparse data: 200,000 rows of one column of 20,000 categories and four numbers, from a
 * Parquet file to the scores of 5 folds x 10 penalties and the refitted best, on this machine. Against
 * scikit-learn on compressed rows, searched with two jobs, by the solver that is fastest there (`lbfgs`
 * takes minutes and is left out), at a tolerance at which the scores agree. Memory is that of the
 * command line in a process of its own.
 * `text`: as many notes of some twelve words, hashed into 32,768 columns.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openSession } from '../jobs/engines.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { baselineHome, benchFile } from './paths.js';
import { measureRun } from './process-usage.js';
import { PythonRival } from './rivals/python-rival.js';

const ROUNDS = 5;

/** What is searched, and scikit-learn's solvers with the tolerance from which on scores agree. */
const SEARCHES = {
  ridge: {
    type: 'ridge',
    parameter: 'lambda',
    values: decades(-2, 3),
    target: 'y',
    scoring: 'r2',
    solvers: { sparse_cg: 1e-6, lsqr: 1e-7 },
  },
  logistic: {
    type: 'logistic',
    parameter: 'C',
    values: decades(-3, 2),
    target: 'label',
    scoring: 'neg_log_loss',
    solvers: { 'newton-cg': 1e-8 },
  },
  text: {
    type: 'logistic',
    parameter: 'C',
    values: decades(-2, 1),
    target: 'late',
    scoring: 'neg_log_loss',
    solvers: { 'newton-cg': 1e-8 },
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

const WHAT: Readonly<Record<SearchName, string>> = {
  ridge: '200,000 rows, 20,000 categories, ridge',
  logistic: '200,000 rows, 20,000 categories, logistic',
  text: '200,000 rows of hashed text, logistic',
};

export const sparseBenches: readonly Bench[] = (Object.keys(SEARCHES) as SearchName[]).map(
  (name) => ({
    name: `sparse-${name}`,
    summary: `${WHAT[name]}, 5 folds x 10 penalties, local: against scikit-learn`,
    run: (recorder, { quick }) => compare(recorder, name, quick),
  }),
);

async function compare(recorder: Recorder, name: SearchName, quick: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-bench-'));
  const rival = new PythonRival(undefined);
  const script = benchFile('rivals/sparse.py');
  const { solvers, values } = SEARCHES[name];
  try {
    const data = await dataOf(name, rival, script, quick);
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, JSON.stringify(jobOf(name, data)));
    const peers = Object.entries(solvers).map(([solver, tol]) => ({
      name: `${name}.${solver}`,
      run: async (): Promise<Sample> => {
        const argv = [name, data, solver, String(tol), values.join(',')];
        const { seconds, answers } = await rival.run(script, argv);
        return { seconds, answers: answers.flat() };
      },
    }));
    const sides = [{ name, run: () => ours(file), warmups: quick ? 0 : 1 }, ...peers];
    await alternate(recorder, sides, { rounds: quick ? 1 : ROUNDS, tolerance: TOLERANCE });
    const best = recorder.fastest(peers.map((peer) => peer.name));
    recorder.medianFigure(`sparse.${name}.seconds`, name);
    recorder.medianFigure(`sparse.${name}.sklearn.seconds`, best);
    recorder.ratio(`sparse.${name}.sklearn.vs_local`, best, name, { atLeast: 1 });
    const output = join(folder, 'runs');
    const { peakMib } = await measureRun([file, '--engine', 'local', '--output', output]);
    recorder.figure(`sparse.${name}.peak_rss_mib`, peakMib, { atMost: MOST_MIB });
  } finally {
    await rival.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The file, made where there is none. */
async function dataOf(
  name: SearchName,
  rival: PythonRival,
  script: string,
  quick: boolean,
): Promise<string> {
  const [rows, categories] = quick ? [20_000, 2000] : [200_000, 20_000];
  const [kind, make] = name === 'text' ? ['text', 'make-text'] : ['sparse', 'make'];
  const data = join(baselineHome(), 'data', `${kind}-${rows}.parquet`);
  if (!existsSync(data)) await rival.run(script, [make, data, `${rows}`, `${categories}`]);
  return data;
}

function jobOf(name: SearchName, path: string): object {
  const { type, parameter, values, target, scoring } = SEARCHES[name];
  const features =
    name === 'text'
      ? [{ name: 'note', encode: 'hash', columns: 2 ** 15 }]
      : [{ name: 'city', encode: 'onehot' }, 'x0', 'x1', 'x2', 'x3'];
  return {
    kind: 'grid-search',
    data: { path, target, features },
    model: { type },
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
