/**
 * Where moving values between Spark and the host pays and where it does not: the same programs with
 * migration on and off, beside ever bringing everything (`local`). Where both ran the same in the
 * same places nothing was moved, and the ratio is 1 by `placed.ts`, whatever the noise. It pays for
 * small values read often and for costly ones that leave their storage. It does not for large ones
 * read once, which stay, nor for a loop that ends soon after its data were moved: no planner that
 * does not know the number of turns does better there than half as fast (ski rental), so
 * `not_seen_before` shows the price and is held to that; what ran once is foreseen. MEMPHIS moved
 * none, having found that it cost more than it saved; docs/decisions.md says what differs.
 */
import { performance } from 'node:perf_hooks';
import { type Backend, CostModel, type Matrix, matrix, rand, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { createSparkBackend } from '../spark-bridge/index.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { type PlacedSample, placementOf, placementsText, typical } from './placed.js';

const MIB = 1024 * 1024;
/** Rounds before those that count, in which each side learns its costs. */
const WARMUPS = 2;
const COLS = 64;

interface Backends {
  readonly local: Backend;
  readonly spark: Backend;
}

interface Case {
  readonly name: string;
  /** Also bring everything, always: minutes for large values. */
  readonly withLocal?: boolean;
  /** Every sample is the first of its kind: nothing is known of costs or reads. */
  readonly isNew?: boolean;
  /** What migration is expected to do for it. */
  readonly target: { readonly atLeast: number };
  readonly run: (session: Session, scale: number) => Promise<number[]>;
}

/** A matrix that lies in Spark, materialised. */
async function resident(session: Session, mib: number, seed: number): Promise<Matrix> {
  const rows = Math.round((mib * MIB) / (COLS * 8));
  const x = rand(session, rows, COLS, { seed, distribution: 'normal' });
  await session.persist([x.expr]);
  return x;
}

/** A loop whose every turn looks at its result: a plan, and without migration a job, each. */
async function loop(x: Matrix, turns: number): Promise<number[]> {
  let w = matrix(x.session, COLS, 1, new Float64Array(COLS).fill(0.1));
  for (let i = 0; i < turns; i++) {
    const step = x
      .t()
      .matmul(x.matmul(w))
      .mul(0.1 / x.rows);
    w = matrix(x.session, COLS, 1, (await w.sub(step).value()).data);
  }
  return [...(await w.value()).data];
}

/** Values that are costly to make and leave Spark's storage before they are read again. */
async function evicted(session: Session, mib: number): Promise<number[]> {
  const answers: number[] = [];
  const x = await resident(session, mib, 11);
  const costly = x.exp().add(1).log().mul(x).sigmoid();
  await session.persist([costly.expr]);
  answers.push(await costly.sum().value(), await costly.abs().sum().value());
  session.cache.evict(costly.expr);
  for (let i = 2; i < 8; i++) answers.push(await costly.mul(i).sum().value());
  return answers;
}

const cases: readonly Case[] = [
  {
    name: 'small_value_read_in_a_loop',
    withLocal: true,
    target: { atLeast: 1.5 },
    run: async (session, scale) => loop(await resident(session, 1, 3), 40 * scale),
  },
  {
    name: 'large_value_read_in_a_loop',
    target: { atLeast: 0.9 },
    run: async (session, scale) => loop(await resident(session, 64 * scale, 4), 10),
  },
  {
    name: 'value_in_a_loop_not_seen_before',
    isNew: true,
    target: { atLeast: 0.5 },
    run: async (session, scale) => loop(await resident(session, 16 * scale, 6), 10),
  },
  {
    name: 'large_value_read_once',
    target: { atLeast: 0.9 },
    run: async (session, scale) => loop(await resident(session, 64 * scale, 5), 1),
  },
  {
    name: 'evicted_then_read_again',
    target: { atLeast: 0.9 },
    run: (session, scale) => evicted(session, 16 * scale),
  },
];

export const migration: Bench = {
  name: 'migration',
  summary: 'moving values between Spark and host, on and off (2 to 3 minutes)',
  run: async (recorder, options) => {
    const local = await createCpuBackend();
    const spark = await createSparkBackend({ memoryBytes: 2 * 1024 * MIB });
    try {
      for (const one of cases) {
        await compare(recorder, one, { local, spark }, options.quick);
      }
    } finally {
      await spark.close();
      await local.close();
    }
  },
};

async function compare(
  recorder: Recorder,
  one: Case,
  backends: Backends,
  quick: boolean,
): Promise<void> {
  const rounds = quick ? 2 : 5;
  // Quick runs are a quarter the size.
  const scale = quick ? 0.25 : 1;
  const name = (side: string): string => `${one.name}.${side}`;
  // Each side learns its own costs, so that neither is placed by what the other was measured at.
  const taken: PlacedSample[] = [];
  const names = one.withLocal ? ['on', 'off', 'local'] : ['on', 'off'];
  const sides = names.map((side) => {
    const costs = new CostModel();
    return {
      name: name(side),
      run: async () => {
        const { placement, ...took } = await sample(
          one,
          side,
          scale,
          one.isNew ? new CostModel() : costs,
          backends,
        );
        taken.push({ side, placement, seconds: took.seconds });
        return took;
      },
      warmups: WARMUPS,
    };
  });
  await alternate(recorder, sides, { rounds, tolerance: 1e-8, pauseMs: 20 });
  const timed = taken.slice(WARMUPS * names.length);
  for (const side of names) {
    recorder.note(`${name(side)}: ${placementsText(timed, side)}`);
    if (side === 'on') continue;
    recorder.figure(
      `migration.${one.name}.${side}_vs_on`,
      typical(timed, side) / typical(timed, 'on'),
      side === 'off' ? one.target : undefined,
      [name(side), name('on')],
    );
  }
}

async function sample(
  one: Case,
  side: string,
  scale: number,
  costs: CostModel,
  { local, spark }: Backends,
): Promise<Sample & { readonly placement: string }> {
  const session = new Session({
    local,
    blocks: spark,
    costs,
    placement: side === 'local' ? 'local' : 'cost',
    migration: side === 'on',
    spill: false,
  });
  try {
    const start = performance.now();
    const answers = await one.run(session, scale);
    const seconds = (performance.now() - start) / 1000;
    return { seconds, answers, placement: placementOf(session.statistics) };
  } finally {
    session.cache.clear();
  }
}
