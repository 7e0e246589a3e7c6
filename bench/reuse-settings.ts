/**
 * HCV, cross-validated ridge regression by 4 folds and 10 penalties, under every setting of `reuse`.
 * `program` is the script of MEMPHIS's bench in the `Matrix` API, one model after the other, each
 * over the rows it trains on; `search` is our own, which under settings less than `full` makes each
 * fit by itself. Here over 100,000 x 100, on Spark over the same rows as a persisted RDD.
 */
import { performance } from 'node:perf_hooks';
import { type Matrix, matrix, type ReuseSetting, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { createSparkBackend } from '../spark-bridge/index.js';
import { loadMatrix, matrixParquet, penalties, persistedRows } from './data.js';
import type { Bench, Sample } from './harness.js';
import { type HcvRows, hcvSearch } from './hcv-search.js';
import { SEARCH_SETTINGS, type SettingsRun, settingsTable } from './settings-table.js';

const FOLDS = 4;
const TRIALS = 10;
/** Of MEMPHIS on this task, at 100 GB. */
const PAPER = 9.6;
const TOLERANCE = 1e-9;

type Work = (session: Session, rows: HcvRows) => Promise<readonly number[]>;

/** Mean losses by penalty. Written as the script is: nothing in it says what is shared. */
const program: Work = async (_, { X, y }) => {
  const at = (fold: number): number => Math.round((fold * X.rows) / FOLDS);
  const rowsOf = (fold: number): readonly [number, number] => [at(fold), at(fold + 1)];
  const losses: number[] = [];
  for (const lambda of penalties(TRIALS)) {
    let sum = 0;
    for (let fold = 0; fold < FOLDS; fold++) {
      const others = Array.from({ length: FOLDS }, (_, f) => f).filter((f) => f !== fold);
      const bound = (of: Matrix): Matrix => {
        const [first, ...rest] = others.map((f) => of.slice(rowsOf(f)));
        return first!.rbind(...rest);
      };
      const [A, b] = [bound(X), bound(y)];
      const w = A.tsmm().addDiag(lambda).solve(A.t().matmul(b), { assume: 'spd' });
      const errors = X.slice(rowsOf(fold))
        .matmul(w)
        .sub(y.slice(rowsOf(fold)));
      sum += (await errors.mul(errors).mean().value()) / FOLDS;
    }
    losses.push(sum);
  }
  return losses;
};

const search: Work = (session, rows) => hcvSearch(session, rows, { folds: FOLDS, trials: TRIALS });

async function timed(session: Session, work: Work, rows: HcvRows): Promise<Sample> {
  const start = performance.now();
  const answers = await work(session, rows);
  return { seconds: (performance.now() - start) / 1000, answers };
}

async function twice(session: Session, work: Work, rows: HcvRows): Promise<SettingsRun> {
  const first = await timed(session, work, rows);
  return { first, again: await timed(session, work, rows) };
}

/** Of operators alone: a program calls no functions and has no steps. */
const PROGRAM_SETTINGS: readonly ReuseSetting[] = ['off', 'operators', 'full'];

export const reuseSettings: Bench = {
  name: 'reuse-settings',
  summary: 'HCV, 100,000 x 100, 4 x 10, local: every setting of reuse (3 minutes)',
  run: async (recorder, { quick }) => {
    const [X, y] = [loadMatrix('reg_X'), loadMatrix('reg_y')];
    const local = await createCpuBackend();
    const run =
      (work: Work) =>
      (reuse: ReuseSetting): Promise<SettingsRun> => {
        const session = new Session({ local, reuse });
        const rows = {
          X: matrix(session, X, { copy: false }),
          y: matrix(session, y, { copy: false }),
        };
        return twice(session, work, rows);
      };
    const common = { rounds: quick ? 1 : 5, tolerance: TOLERANCE, atLeast: PAPER };
    try {
      await settingsTable(recorder, {
        name: 'program',
        run: run(program),
        settings: PROGRAM_SETTINGS,
        ...common,
      });
      await settingsTable(recorder, {
        name: 'search',
        run: run(search),
        settings: SEARCH_SETTINGS,
        ...common,
      });
    } finally {
      await local.close();
    }
    recorder.note(
      'a fit of `search` by itself sums over all rows, those it is tested on among them: 4/3 of what `program` does, whose fits read their training rows alone',
    );
  },
};

export const reuseSettingsSpark: Bench = {
  name: 'reuse-settings-spark',
  summary: 'HCV, 100,000 x 100, 4 x 10, embedded Spark: every setting of reuse (6 minutes)',
  run: async (recorder, { quick }) => {
    const parquet = matrixParquet('reg');
    const local = await createCpuBackend();
    const blocks = await createSparkBackend();
    const run =
      (work: Work) =>
      async (reuse: ReuseSetting): Promise<SettingsRun> => {
        const session = new Session({ local, blocks, placement: 'blocks', reuse });
        const rows = await persistedRows(session, blocks, parquet);
        const samples = await twice(session, work, rows);
        // The next run's rows have the storage memory to themselves.
        session.cache.clear();
        return samples;
      };
    const common = { rounds: quick ? 1 : 5, tolerance: TOLERANCE, atLeast: PAPER };
    try {
      await settingsTable(recorder, {
        name: 'search',
        run: run(search),
        settings: SEARCH_SETTINGS,
        ...common,
      });
    } finally {
      await blocks.close();
      await local.close();
    }
  },
};
