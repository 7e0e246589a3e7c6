/**
 * PNMF on large sparse matrices. `pnmf-words` and `pnmf-ratings`, here: WordNet's word counts and ratings of
 * MovieLens-20M's size against SciPy by hand and scikit-learn. `pnmf-spark`, under settings of
 * `reuse`: the program goes on from W without saying that it is kept, as MEMPHIS's script does; what
 * makes all steps before again, or does not, is the engine.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  type Matrix,
  matrix,
  type ReuseSetting,
  rand,
  Session,
  type SessionOptions,
} from '../../driver/index.js';
import type { CsrMatrix } from '../../driver/ir/csr.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { createSparkBackend } from '../../spark-bridge/index.js';
import {
  alternate,
  type Bench,
  type BenchOptions,
  type Recorder,
  type Sample,
} from '../harness.js';
import { benchFile } from '../paths.js';
import { PythonRival } from '../rivals/python-rival.js';
import { settingsTable } from '../settings-table.js';
import { madeRatings, wordCounts } from './counts.js';
import { factorise } from './pnmf.js';
import { type Factors, poissonH, poissonObjective, poissonW } from './poisson.js';

/** scikit-learn's divisor is max(W H, 1.2e-7), which tells where words are rare. */
const TOLERANCE = 1e-5;

/** Largest cell of the first factors. */
const MOST = 0.025;

/** Factors to begin with, by seed. */
function startOf(session: Session, { rows, cols }: CsrMatrix, rank: number): Factors {
  const factor = (length: number, seed: number): Matrix =>
    rand(session, length, rank, { seed, max: MOST });
  return { W: factor(rows, 1), H: factor(cols, 2) };
}

interface Here {
  readonly name: string;
  readonly rank: number;
  readonly iterations: number;
  readonly rounds: number;
  /** Of scikit-learn. */
  readonly peerRounds: number;
  readonly data: (quick: boolean) => Promise<CsrMatrix> | CsrMatrix;
}

const words = { name: 'pnmf-words', rounds: 5, peerRounds: 1, data: wordCounts } as const;

export const pnmfWords: Bench = {
  name: 'pnmf-words',
  summary:
    "PNMF of WordNet's 117,791 x 54,007 word counts, here: by hand, scikit-learn (5 minutes)",
  run: async (recorder, options) => {
    await compareHere(recorder, options, { ...words, rank: 10, iterations: 10 });
    if (!options.quick) await compareHere(recorder, options, { ...words, rank: 50, iterations: 4 });
  },
};

export const pnmfRatings: Bench = {
  name: 'pnmf-ratings',
  summary: 'PNMF of 20 million ratings, 138,493 x 26,744, here: by hand, scikit-learn (5 minutes)',
  run: (recorder, options) =>
    compareHere(recorder, options, {
      ...{ name: 'pnmf-ratings', rank: 10, iterations: 3, rounds: 3, peerRounds: 1 },
      data: (quick) => madeRatings(quick ? 0.05 : 1),
    }),
};

async function compareHere(
  recorder: Recorder,
  { quick }: BenchOptions,
  { name, rank, iterations, rounds, peerRounds, data }: Here,
): Promise<void> {
  const X = await data(quick);
  const folder = mkdtempSync(join(tmpdir(), 'reprise-pnmf-'));
  const local = await createCpuBackend();
  const rival = new PythonRival(2);
  const of = `${name}.rank_${rank}`;
  const given = [`rows=${X.rows}`, `cols=${X.cols}`, `rank=${rank}`, `iterations=${iterations}`];
  try {
    const makes = new Session({ local });
    const { W, H } = startOf(makes, X, rank);
    const [w, h] = [await W.value(), await H.value()];
    const arrays = {
      starts: X.rowStarts,
      columns: X.columns,
      values: X.values,
      W: w.data,
      H: h.data,
    };
    for (const [file, cells] of Object.entries(arrays)) {
      writeFileSync(join(folder, `${file}.bin`), cells);
    }
    const ours = async (): Promise<Sample> => {
      const session = new Session({ local });
      const [own, first] = [matrix(session, X), startOf(session, X, rank)];
      await session.evaluate([first.W.expr, first.H.expr]);
      const start = performance.now();
      const factors = await factorise(own, first, iterations);
      const { data: answers } = await poissonObjective(own, factors).value();
      return { seconds: (performance.now() - start) / 1000, answers: [...answers] };
    };
    const peer = (which: string) => async (): Promise<Sample> => {
      const argv = [which, `folder=${folder}`, ...given];
      const { seconds, answers } = await rival.run(benchFile('rivals/poisson.py'), argv);
      return { seconds, answers: answers.flat() };
    };
    await alternate(
      recorder,
      [
        { name: of, run: ours, warmups: 1 },
        { name: `${of}.hand`, run: peer('hand'), warmups: 0 },
        { name: `${of}.sklearn`, run: peer('sklearn'), rounds: quick ? 1 : peerRounds, warmups: 0 },
      ],
      { rounds: quick ? 1 : rounds, tolerance: TOLERANCE },
    );
  } finally {
    await Promise.all([rival.close(), local.close()]);
    rmSync(folder, { recursive: true, force: true });
  }
  recorder.medianFigure(`${of}.local.s`, of);
  recorder.figure(`${of}.iteration_s`, recorder.summary(of).median / iterations, undefined, [of]);
  recorder.ratio(`${of}.local.vs_hand`, of, `${of}.hand`, { atMost: 1.3 });
  recorder.ratio(`${of}.sklearn.vs_local`, `${of}.sklearn`, of);
}

/** Of the paper at 50 iterations. */
const PAPER = 7.9;
const ITERATIONS = 50;
/** Iterations after which it is looked how long it took so far. */
const LOOKS = [10, 25, ITERATIONS];
/**
 * Of MovieLens-20M's users and films: without reuse a run makes 1,275 steps for 50. Of all films H is
 * as large as the share of W, and what a job takes to send it hides the steps.
 */
const SHARE = 0.2;
/** MEMPHIS's is 100. */
const SPARK_RANK = 40;

export const pnmfSpark: Bench = {
  name: 'pnmf-spark',
  summary: 'PNMF, 50 iterations, 4 million ratings, embedded Spark: off and full (7 minutes)',
  run: async (recorder, { quick }) => {
    const X = madeRatings(quick ? SHARE / 4 : SHARE, SHARE);
    const local = await createCpuBackend();
    const blocks = await createSparkBackend();
    const looks = quick ? [4, 8] : LOOKS;
    const loop = (reuse: ReuseSetting) =>
      unkeptLoop({ local, blocks, placement: 'blocks', reuse }, X, looks.at(-1)!);
    const run = async (reuse: ReuseSetting): Promise<{ readonly first: Sample }> => {
      const { sample, times } = await loop(reuse);
      for (const count of looks) recorder.sample(`${reuse}.${count}_iterations`, times[count - 1]!);
      return { first: sample };
    };
    try {
      await loop('full');
      await settingsTable(recorder, {
        name: 'pnmf',
        run,
        settings: ['off', 'full'],
        rounds: quick ? 1 : 3,
        roundsOf: { off: 1 },
        tolerance: 1e-9,
        atLeast: PAPER,
        warmups: 0,
      });
    } finally {
      await blocks.close();
      await local.close();
    }
    for (const count of looks) {
      const of = (reuse: string): string => `${reuse}.${count}_iterations`;
      recorder.ratio(`pnmf.${count}_iterations.off_vs_full`, of('off'), of('full'));
    }
    recorder.note(
      'off runs once, as it takes minutes; the first run is not counted; H comes to the driver each iteration, W is never asked for: off makes it from the start each time',
    );
  },
};

/** A loop of which H is asked for each time and W never is. */
async function unkeptLoop(
  options: SessionOptions,
  value: CsrMatrix,
  iterations: number,
): Promise<{ readonly sample: Sample; readonly times: readonly number[] }> {
  const session = new Session(options);
  const X = matrix(session, value);
  await session.persist([X.expr]);
  let { W, H } = startOf(session, value, SPARK_RANK);
  H = matrix(session, await H.value(), { copy: false });
  const times: number[] = [];
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  for (let taken = 0; taken < iterations; taken++) {
    H = matrix(session, await poissonH(X, { W, H }).value(), { copy: false });
    W = poissonW(X, { W, H });
    times.push(seconds());
  }
  const { data } = await poissonObjective(X, { W, H }).value();
  const sample = { seconds: seconds(), answers: [...data] };
  // The next run's rows have the storage memory to themselves.
  session.cache.clear();
  return { sample, times };
}
