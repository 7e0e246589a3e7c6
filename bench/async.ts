/**
 * Asynchronous operators on against off: a plan with passes over rows kept in Spark and with products of matrices that are here.
 * On, passes start first and run while the products do, and what the next pass reads whole is sent as soon as it is there;
 * off, one piece of work runs at a time. Spark has one core, so that each side of the overlap has one.
 */
import { performance } from 'node:perf_hooks';
import { type Backend, type Matrix, matrix, rand, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { createSparkBackend } from '../spark-bridge/index.js';
import { alternate, type Bench, type Sample } from './harness.js';

const COLS = 100;
const SIDE = 700;
const STEPS = 3;

export const asynchronous: Bench = {
  name: 'async',
  summary: 'asynchronous operators on against off (2 minutes)',
  run: async (recorder, options) => {
    const rows = options.quick ? 60_000 : 200_000;
    const products = options.quick ? 6 : 20;
    const local = await createCpuBackend();
    const spark = await createSparkBackend({ memoryBytes: 2 * 1024 ** 3, cores: 1 });
    const side = (name: string, isOn: boolean) => ({
      name,
      run: () => sample(local, spark, isOn, rows, products),
      warmups: 2,
    });
    try {
      const sides = [side('on', true), side('off', false)];
      await alternate(recorder, sides, { rounds: options.quick ? 3 : 9, tolerance: 1e-9 });
    } finally {
      await spark.close();
      await local.close();
    }
    for (const name of ['on', 'off']) recorder.medianFigure(`async.${name}_s`, name);
    recorder.ratio('async.off_vs_on', 'off', 'on', { atLeast: 1.2 });
  },
};

async function sample(
  local: Backend,
  spark: Backend,
  isOn: boolean,
  rows: number,
  products: number,
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
