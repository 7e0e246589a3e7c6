/**
 * Asynchronous operators on against off: a plan with passes over rows kept in Spark and with
 * products of matrices that are here. On, passes start first and run while the products do; off,
 * one piece of work runs at a time. Twice: with Spark behind an exchange as long as one with a
 * cluster is, where waiting is what is saved, and with Spark right here, where there is something
 * to save only while a core is idle: so each side has one core, in both settings.
 */
import { performance } from 'node:perf_hooks';
import { type Backend, type Matrix, matrix, rand, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { Channel } from '../spark-bridge/channel/channel.js';
import { createSparkBackend, startEmbeddedSpark } from '../spark-bridge/index.js';
import { type Distance, DistantChannel } from './distant-channel.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';

const COLS = 100;
const SIDE = 700;
const STEPS = 3;
/** A program by statements of real Livy took 340 ms (`livy-overhead`); Ethernet of 400 Mbit/s. */
const CLUSTER: Distance = { exchangeMs: 300, bytesPerSecond: 50e6 };

interface Work {
  readonly rows: number;
  /** Products of two 700 x 700 matrices beside each pass. */
  readonly products: number;
  readonly rounds: number;
}

export const asynchronous: Bench = {
  name: 'async',
  summary: 'asynchronous operators on against off, Spark far away and here (2 minutes)',
  run: async (recorder, { quick }) => {
    const local = await createCpuBackend({ threads: 1 });
    const spark = await startEmbeddedSpark({ memoryBytes: 2 * 1024 ** 3, cores: 1 });
    try {
      const { channel } = spark;
      const far = new DistantChannel(channel, CLUSTER);
      const rounds = quick ? 3 : 9;
      // Work here about as long as what it is to fill: exchanges and passes, 0.4 s each, or passes
      // alone.
      await compare(recorder, 'far', far, local, { rows: 20_000, products: 24, rounds });
      const rows = quick ? 60_000 : 200_000;
      await compare(recorder, 'here', channel, local, { rows, products: quick ? 8 : 24, rounds });
    } finally {
      await spark.close();
      await local.close();
    }
    recorder.ratio('async.far_off_vs_on', 'far off', 'far on', { atLeast: 1.2 });
    recorder.ratio('async.here_off_vs_on', 'here off', 'here on');
    recorder.note(
      `far: each exchange with Spark takes ${CLUSTER.exchangeMs} ms more and bytes travel at ${CLUSTER.bytesPerSecond / 1e6} MB/s; ` +
        'here: BLAS has one thread and Spark one core, so on two idle cores both can work at once',
    );
  },
};

async function compare(
  recorder: Recorder,
  place: 'far' | 'here',
  channel: Channel,
  local: Backend,
  work: Work,
): Promise<void> {
  const spark = await createSparkBackend({ channel, onClose: async () => {} });
  const side = (setting: 'on' | 'off') => ({
    name: `${place} ${setting}`,
    run: () => sample(local, spark, setting === 'on', work),
    warmups: 2,
  });
  const sides = [side('on'), side('off')];
  await alternate(recorder, sides, { rounds: work.rounds, tolerance: 1e-9 });
  await spark.close();
  for (const setting of ['on', 'off']) {
    recorder.medianFigure(`async.${place}_${setting}_s`, `${place} ${setting}`);
  }
}

async function sample(
  local: Backend,
  spark: Backend,
  isOn: boolean,
  { rows, products }: Work,
): Promise<Sample> {
  const session = new Session({
    local,
    blocks: spark,
    asynchronous: isOn,
    placement: 'blocks',
    spill: false,
  });
  try {
    const x = rand(session, rows, COLS, { seed: 3 });
    await session.persist([x.expr]);
    const here = square(session);
    const start = performance.now();
    // Each step: a pass over x, and products here that do not wait for it.
    const parts: Matrix[] = [];
    let weights = rand(session, COLS, COLS, { seed: 4 }).mul(0.01);
    for (let step = 0; step < STEPS; step++) {
      const scores = x.matmul(weights).sigmoid();
      const gram = scores.t().matmul(scores);
      weights = gram.mul(1 / rows).sub(weights);
      let product = here;
      for (let k = 0; k < products; k++) product = product.matmul(here).mul(1 / (step + SIDE));
      parts.push(weights.colSums(), product.slice(0, [0, COLS]));
    }
    const values = await session.evaluate(parts.map((part) => part.expr));
    const seconds = (performance.now() - start) / 1000;
    const answers = values.flatMap((value) => (value.kind === 'dense' ? [...value.data] : []));
    return { seconds, answers };
  } finally {
    session.cache.clear();
  }
}

/** Rows that sum to one, so that its powers stay finite. */
function square(session: Session): Matrix {
  const cells = Float64Array.from({ length: SIDE * SIDE }, (_, i) => (1 + Math.sin(i)) / SIDE);
  return matrix(session, SIDE, SIDE, cells);
}
