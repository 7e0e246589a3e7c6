/** Row blocks that later plans read: when they are kept and go, with answers of a cold run. */
import assert from 'node:assert/strict';
import {
  coo,
  type Matrix,
  matrix,
  rand,
  weightedCrossEntropy,
  weightedProduct,
} from '../../driver/index.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import type { Session } from '../../driver/runtime/session.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { eventually, SharedSpark } from '../support/spark-session.js';

const ROWS = 80_000;
const COLS = 16;
const BYTES = ROWS * COLS * 8;

/** A value of 10 MB that takes a hundred operations a cell. */
function data(session: Session, seed: number): Matrix {
  return rand(session, ROWS, COLS, { seed, distribution: 'normal' }).mul(2).add(1).exp();
}

interface Counts {
  readonly kernels: number;
  readonly jobs: number;
}

/** What evaluating one matrix took. */
async function run(
  session: Session,
  matrix: Matrix,
): Promise<Counts & { readonly value: DenseMatrix }> {
  const run = session.run();
  const value = await matrix.in(run).value();
  const { kernels, sparkJobs } = run.statistics.counters();
  return { value, kernels, jobs: sparkJobs };
}

describe('RDD reuse', () => {
  let shared: SharedSpark;
  const open: { session: Session; spark: SparkBackend }[] = [];

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED RDD reuse: ${started}`);
      this.skip();
    } else shared = started;
  });
  afterEach(async () => {
    for (const { session, spark } of open.splice(0)) {
      session.cache.clear();
      await spark.tier.settle();
    }
  });
  after(() => shared?.close());

  async function start(
    ...args: Parameters<SharedSpark['session']>
  ): Promise<{ session: Session; spark: SparkBackend }> {
    const made = await shared.session(...args);
    open.push(made);
    return made;
  }

  it('notes a value, keeps it when it comes again, and reads it from then on', async () => {
    const { session, spark } = await start();
    const { session: cold } = await start({ rddReuse: 'off' }, { reuse: 'off' });
    const factors = [2, 3, 4, 5];
    const taken: Counts[] = [];
    for (const factor of factors) {
      const { value, ...counts } = await run(session, data(session, 1).mul(factor).colSums());
      const expected = await run(cold, data(cold, 1).mul(factor).colSums());
      assertClose(value, expected.value, 1e-12, `times ${factor}`);
      taken.push(counts);
    }
    // rand, mul, add, exp (fused here or not), mul, colSums; from the third on only the last two.
    const [first, second, third, fourth] = taken as [Counts, Counts, Counts, Counts];
    assert.equal(first.jobs, 1);
    assert.equal(second.jobs, 1);
    assert.equal(first.kernels, second.kernels);
    assert.deepEqual(third, { kernels: 2, jobs: 1 });
    assert.deepEqual(fourth, third);
    const held = spark.tier.usage();
    assert.equal(held.entries, 1);
    assert.ok(held.bytes >= BYTES && held.bytes < BYTES * 1.1, `${held.bytes} bytes`);
  });

  it('runs no Spark job for an action that was computed before', async () => {
    const { session } = await start();
    const first = await run(session, data(session, 2).colSums());
    const jobs = await shared.jobs();
    const again = await run(session, data(session, 2).colSums());
    assert.deepEqual([again.kernels, again.jobs], [0, 0]);
    assert.equal(await shared.jobs(), jobs);
    assert.deepEqual(again.value.data, first.value.data);
  });

  it('keeps nothing when switched off, and everything at once when eager', async () => {
    const off = await start({ rddReuse: 'off' });
    const eager = await start({ rddReuse: 'eager' });
    for (const factor of [2, 3, 4]) {
      for (const { session } of [off, eager]) await data(session, 3).mul(factor).colSums().value();
    }
    assert.equal(off.spark.tier.usage().entries, 0);
    assert.ok(eager.spark.tier.usage().entries >= 4, `${eager.spark.tier.usage().entries} kept`);
  });

  it('keeps what a loop carries at once, so that a turn repeats none before it', async () => {
    const { session } = await start();
    let x = data(session, 4);
    const kernels: number[] = [];
    for (let turn = 0; turn < 12; turn++) {
      x = x
        .mul(0.5)
        .add(data(session, 5).mul(turn + 1))
        .sqrt();
      kernels.push((await run(session, x.colSums())).kernels);
    }
    const last = kernels.slice(-4);
    assert.ok(
      last.every((count) => count <= 6),
      `kernels of each turn: ${kernels.join(' ')}`,
    );
  });

  it('makes a turn of a sparse factorisation once, where no reuse makes all before it again', async () => {
    const loop = async (session: Session): Promise<{ value: DenseMatrix; kernels: number[] }> => {
      const count = 20_000;
      const place = (step: number, of: number): Int32Array =>
        Int32Array.from({ length: count }, (_, k) => (k * step) % of);
      const X = coo(session, {
        ...{ rows: 5000, cols: 300, rowIndices: place(1, 5000), columns: place(7919, 300) },
        values: Float64Array.from({ length: count }, (_, k) => 1 + (k % 5)),
      });
      await session.persist([X.expr]);
      let W = rand(session, 5000, 4, { seed: 1 });
      let H = rand(session, 300, 4, { seed: 2 });
      const kernels: number[] = [];
      for (let turn = 0; turn < 6; turn++) {
        const options = { cells: 'quotient', plus: 1e-8 } as const;
        const left = weightedProduct({ X, U: W, V: H }, { ...options, side: 'left' });
        const next = await run(session, H.mul(left).div(W.colSums()));
        H = matrix(session, next.value);
        const right = weightedProduct({ X, U: W, V: H }, { ...options, side: 'right' });
        W = W.mul(right).div(H.colSums());
        kernels.push(next.kernels);
      }
      const { value } = await run(session, weightedCrossEntropy({ X, U: W, V: H }).asMatrix());
      return { value, kernels };
    };
    const kept = await loop((await start()).session);
    const cold = await loop((await start({ rddReuse: 'off' }, { reuse: 'off' })).session);
    assertClose(kept.value, cold.value, 1e-12, 'after six turns');
    const text = `kernels of each turn: ${kept.kernels.join(' ')}, and cold ${cold.kernels.join(' ')}`;
    assert.ok(kept.kernels[5]! <= kept.kernels[2]!, text);
    for (const turn of [3, 4, 5]) assert.ok(cold.kernels[turn]! > cold.kernels[turn - 1]!, text);
  });

  it('stays within its budget by dropping what is worth least a byte', async () => {
    const { session, spark } = await start({ rddShare: 0.1 });
    const budget = spark.tier.budgetBytes;
    const fitting = Math.floor(budget / BYTES);
    assert.ok(fitting >= 2 && fitting <= 6, `${fitting} values fit`);
    const read = (seed: number, factor: number): Promise<DenseMatrix> =>
      data(session, seed).mul(factor).colSums().value();
    // The first one is read most, so it stays while others come and go.
    for (let factor = 2; factor < 10; factor++) await read(100, factor);
    for (let seed = 101; seed < 101 + fitting + 3; seed++) {
      for (const factor of [2, 3, 4]) await read(seed, factor);
    }
    await spark.tier.settle();
    const { bytes } = spark.tier.usage();
    assert.ok(bytes <= budget, `${bytes} of ${budget} bytes`);
    assert.ok(spark.tier.evicted >= 2, `${spark.tier.evicted} evicted`);
    const hot = await run(session, data(session, 100).mul(77).colSums());
    assert.equal(hot.kernels, 2);
    // Dropped values are gone from Spark too, and what they were comes back by computing it.
    await eventually('Spark to drop them', async () => {
      const { handles } = await shared.storage();
      return handles.length <= spark.tier.usage().entries;
    });
    const { session: cold } = await start({ rddReuse: 'off' }, { reuse: 'off' });
    const expected = await run(cold, data(cold, 101).mul(88).colSums());
    assertClose(await read(101, 88), expected.value, 1e-12, 'evicted value');
  });

  it('never keeps a value larger than its whole budget', async () => {
    const { session, spark } = await start({ rddShare: 0.005 });
    assert.ok(spark.tier.budgetBytes < BYTES);
    for (const factor of [2, 3, 4]) await data(session, 6).mul(factor).colSums().value();
    assert.equal(spark.tier.usage().entries, 0);
  });

  it('keeps the lineage short and storage flat over 250 turns', async () => {
    const { session, spark } = await start({ rddShare: 0.2 });
    let x = rand(session, 70_000, 16, { seed: 7 });
    const start0 = await shared.storage();
    for (let turn = 0; turn < 250; turn++) {
      x = x.mul(0.999).add(0.001);
      if (turn % 2 === 1) await session.persist([x.expr]);
    }
    const total = (await x.sum().value()) as number;
    // Every cell follows the same line, so the sum does too.
    const first = await rand(session, 70_000, 16, { seed: 7 }).sum().value();
    const a = 0.999 ** 250;
    const expected = a * first + ((1 - a) / (1 - 0.999)) * 0.001 * 70_000 * 16;
    assert.ok(Math.abs(total - expected) < 1e-9 * expected, `${total} for ${expected}`);
    await spark.tier.settle();
    const { bytes } = spark.tier.usage();
    assert.ok(bytes <= spark.tier.budgetBytes, `${bytes} of ${spark.tier.budgetBytes}`);
    await eventually('broadcasts to go', async () => {
      const { liveBroadcasts } = await shared.storage();
      return liveBroadcasts <= start0.liveBroadcasts;
    });
  }).timeout(300_000);
});
