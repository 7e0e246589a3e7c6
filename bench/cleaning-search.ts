/**
 * A search over cleaning steps on sensor data of APS's shape, generated: 60,000 x 170, a fifth
 * missing, some wild. 32 candidates on 3 folds: mean or median, zeros for outliers or not,
 * standardised or not, 20 components or all columns, two penalties. Against GridSearchCV over a
 * Pipeline of scikit-learn's, with and without a memory, and of dask-ml's.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { matrix, rand, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { ridge } from '../jobs/estimators/ridge.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const COLUMNS = 170;
const MISSING = 0.2;
const WILD = 0.01;

/** Columns of few factors, then the target: by row. */
async function generated(rows: number): Promise<Float64Array> {
  const session = new Session({ local: await createCpuBackend() });
  const normal = (seed: number, n: number, d: number) =>
    rand(session, n, d, { seed, distribution: 'normal' });
  const factors = normal(1, rows, 12);
  const loads = normal(2, 12, COLUMNS);
  const clean = factors.matmul(loads).add(normal(3, rows, COLUMNS).mul(0.5));
  const target = clean.matmul(normal(4, COLUMNS, 1)).add(normal(5, rows, 1));
  const uniform = (seed: number) => rand(session, rows, COLUMNS, { seed });
  const wild = uniform(6).lt(WILD).ifelse(clean.mul(50), clean);
  const { data } = await wild.cbind(uniform(7), target).value();
  const width = 2 * COLUMNS + 1;
  const cells = new Float64Array(rows * (COLUMNS + 1));
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < COLUMNS; j++) {
      const isMissing = data[i * width + COLUMNS + j]! < MISSING;
      cells[i * (COLUMNS + 1) + j] = isMissing ? Number.NaN : data[i * width + j]!;
    }
    cells[i * (COLUMNS + 1) + COLUMNS] = data[i * width + 2 * COLUMNS]!;
  }
  await session.close();
  return cells;
}

export const cleaningSearch: Bench = {
  name: 'cleaning-search',
  summary: 'cleaning steps searched, 60,000 x 170, a fifth missing: against Pipelines',
  run: async (recorder, { quick }) => {
    const rows = quick ? 6000 : 60_000;
    const all = await generated(rows);
    const folder = mkdtempSync(join(tmpdir(), 'reprise-cleaning-'));
    const data = join(folder, 'sensors.bin');
    writeFileSync(data, all);
    const columnsOf = (from: number, to: number): Float64Array => {
      const width = to - from;
      return Float64Array.from({ length: rows * width }, (_, at) => all[Math.floor(at / width) * (COLUMNS + 1) + from + (at % width)]!); // biome-ignore format: a copy
    };
    const [x, y] = [columnsOf(0, COLUMNS), columnsOf(COLUMNS, COLUMNS + 1)];
    const local = await createCpuBackend();
    const ours = async (): Promise<Sample> => {
      const session = new Session({ local });
      const X = matrix(session, rows, COLUMNS, x, { copy: false });
      const target = matrix(session, rows, 1, y, { copy: false });
      const start = performance.now();
      const { trials } = await gridSearch(session.run(), {
        X,
        y: target,
        missing: Array.from({ length: COLUMNS }, (_, j) => j),
        cv: { folds: 3 },
        estimator: ridge,
        prepare: [
          { step: 'impute' },
          { step: 'outliers', action: 'zero' },
          { step: 'scale' },
          { step: 'pca', n_components: 20 },
        ],
        grid: {
          'impute.strategy': ['mean', 'median'],
          outliers: ['none', 'iqr'],
          scale: ['none', 'standard'],
          pca: ['none', 20],
          lambda: [1, 100],
        },
        scoring: ['neg_mean_squared_error'],
        refit: false,
      });
      const answers = trials.map(({ meanScore }) => -meanScore.neg_mean_squared_error!);
      return { seconds: (performance.now() - start) / 1000, answers };
    };
    const workers = new PythonRival(undefined);
    const peer = (mode: string) => async (): Promise<Sample> => {
      const given = [mode, `data=${data}`, `rows=${rows}`, `columns=${COLUMNS}`];
      const { seconds, answers } = await workers.run(benchFile('rivals/cleaning-search.py'), given);
      return { seconds, answers: answers.flat() };
    };
    const peers = ['sk', 'memory', 'dask'];
    try {
      await alternate(
        recorder,
        [
          { name: 'local', run: ours },
          ...peers.map((mode) => ({ name: mode, run: peer(mode), rounds: 1, warmups: 0 })),
        ],
        { rounds: 3, tolerance: 1e-8 },
      );
    } finally {
      await Promise.all([workers.close(), local.close()]);
      rmSync(folder, { recursive: true, force: true });
    }
    recorder.medianFigure('cleaning-search.local.seconds', 'local');
    for (const mode of peers) {
      recorder.ratio(`cleaning-search.${mode}.vs_local`, mode, 'local', { atLeast: 1 });
    }
  },
};
