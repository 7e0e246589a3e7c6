/**
 * Where the compiler puts work, against everything here and everything on Spark: programs over
 * generated data, over data that lie in Spark already, and over data of this process, by size. The
 * choice is made by the costs learned in the warm-up and in the rounds before, as a process would
 * have them from the one before it. Embedded Spark shares this machine's cores, so what Spark can
 * win here are transfers, kept row blocks and generated numbers, not cores.
 *
 * Samples of one placement count together, whichever policy chose it (`placed.ts`). Where the whole
 * program is one plan the choice is held to 1.1. A loop that looks at each result is a plan a turn,
 * and when to move its data is the ski-rental problem: a planner that does not know how many turns
 * will come can be held to no less than 2 (Karlin et al., Competitive snoopy caching, 1988).
 */
import { performance } from 'node:perf_hooks';
import {
  type Backend,
  CostModel,
  type Matrix,
  matrix,
  type PlacementPolicy,
  rand,
  Session,
} from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { createSparkBackend } from '../spark-bridge/index.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { type PlacedSample, placementOf, typical } from './placed.js';

const COLS = 100;
const MIB = 1024 * 1024;
const POLICIES: readonly PlacementPolicy[] = ['cost', 'local', 'blocks'];

/** A program over a matrix: what it needs beforehand is not timed. */
interface Program {
  readonly name: string;
  readonly make: (session: Session, rows: number, seed: number) => Promise<Matrix>;
  readonly run: (x: Matrix) => Promise<number[]>;
  /** Whether it is planned as a whole, or a turn at a time. */
  readonly isWhole: boolean;
}

/** Chosen over best, at most: for a plan seen whole, and for one that comes a turn at a time. */
const WHOLE_TARGET = 1.1;
const TURNS_TARGET = 2;

const generated = async (session: Session, rows: number, seed: number): Promise<Matrix> =>
  rand(session, rows, COLS, { seed, distribution: 'normal' });

const resident = async (session: Session, rows: number, seed: number): Promise<Matrix> => {
  const x = await generated(session, rows, seed);
  await session.persist([x.expr]);
  return x;
};

const onHost = async (session: Session, rows: number, seed: number): Promise<Matrix> => {
  const data = Float64Array.from({ length: rows * COLS }, (_, i) => Math.sin(i * 0.37 + seed));
  return matrix(session, rows, COLS, data);
};

const gram = async (x: Matrix): Promise<number[]> => {
  const [a, b] = await Promise.all([x.t().matmul(x).sum().value(), x.colSums().sum().value()]);
  return [a, b];
};

/** Eight gradient steps, each a plan of its own, as loops that look at their results have. */
const descent = async (x: Matrix): Promise<number[]> => {
  let w = matrix(x.session, COLS, 1, new Float64Array(COLS).fill(0.1));
  for (let step = 0; step < 8; step++) {
    const gradient = x
      .t()
      .matmul(x.matmul(w))
      .mul(1 / x.rows);
    w = matrix(x.session, COLS, 1, (await w.sub(gradient.mul(0.01)).value()).data);
  }
  return [...(await w.value()).data];
};

const programs: readonly Program[] = [
  { name: 'generated_gram', make: generated, run: gram, isWhole: true },
  { name: 'generated_descent', make: generated, run: descent, isWhole: false },
  { name: 'resident_gram', make: resident, run: gram, isWhole: true },
  { name: 'resident_descent', make: resident, run: descent, isWhole: false },
  { name: 'host_gram', make: onHost, run: gram, isWhole: true },
];

export const placement: Bench = {
  name: 'placement',
  summary: 'the chosen backends against all here and all on Spark, by size (6 minutes; quick: 1)',
  run: async (recorder, options) => {
    const sizes = options.quick ? [1, 16] : [1, 8, 32, 128];
    const local = await createCpuBackend();
    const spark = await createSparkBackend({ memoryBytes: 2 * 1024 * MIB });
    const costs = new CostModel();
    try {
      for (const program of programs) {
        for (const mib of sizes) {
          await compare(recorder, program, mib, { local, spark, costs }, options.quick ? 3 : 5);
        }
      }
    } finally {
      await spark.close();
      await local.close();
    }
    recorder.note(`learned: ${JSON.stringify(costs.learned())}`);
  },
};

interface Backends {
  readonly local: Backend;
  readonly spark: Backend;
  readonly costs: CostModel;
}

async function compare(
  recorder: Recorder,
  program: Program,
  mib: number,
  backends: Backends,
  rounds: number,
): Promise<void> {
  const rows = Math.round((mib * MIB) / (COLS * 8));
  const label = `${program.name}.${mib}mib`;
  const name = (policy: PlacementPolicy): string => `${label}.${policy}`;
  const taken: PlacedSample[] = [];
  const warmups = 2;
  const sides = POLICIES.map((policy) => ({
    name: name(policy),
    run: () => sample(program, rows, policy, backends, taken),
    warmups,
  }));
  await alternate(recorder, sides, { rounds, tolerance: 1e-8, pauseMs: 20 });
  const { ratio, chosen } = judge(taken.slice(warmups * POLICIES.length));
  recorder.note(`${label}: chosen as ${chosen}`);
  recorder.figure(
    `placement.${label}.chosen_vs_best`,
    ratio,
    { atMost: program.isWhole ? WHOLE_TARGET : TURNS_TARGET },
    POLICIES.map(name),
  );
}

/** Median time of the choice over that of the better fixed policy, and which it was like. */
function judge(taken: readonly PlacedSample[]): { ratio: number; chosen: string } {
  const fixed = POLICIES.slice(1).map((policy) => ({
    policy,
    placements: new Set(taken.filter((one) => one.side === policy).map((one) => one.placement)),
  }));
  const best = Math.min(...fixed.map(({ policy }) => typical(taken, policy)));
  const counts = new Map<string, number>();
  for (const { side, placement } of taken) {
    if (side !== 'cost') continue;
    const same = fixed.filter(({ placements }) => placements.has(placement));
    const as =
      same.map((one) => one.policy).join(' and ') || `a placement of its own (${placement})`;
    counts.set(as, (counts.get(as) ?? 0) + 1);
  }
  const chosen = [...counts].map(([as, count]) => `${as} ${count} times`).join(', ');
  return { ratio: typical(taken, 'cost') / best, chosen };
}

async function sample(
  program: Program,
  rows: number,
  policy: PlacementPolicy,
  { local, spark, costs }: Backends,
  taken: PlacedSample[],
): Promise<Sample> {
  const session = new Session({ local, blocks: spark, placement: policy, costs, spill: false });
  try {
    const x = await program.make(session, rows, 7);
    const run = session.run();
    const start = performance.now();
    const answers = await program.run(x.in(run));
    const seconds = (performance.now() - start) / 1000;
    taken.push({ side: policy, placement: placementOf(run.statistics), seconds });
    return { seconds, answers };
  } finally {
    // The backends stay open for the next sample; what this one kept must not help it.
    session.cache.clear();
  }
}
