/**
 * Products of two matrices that are both in Spark, and the first rows by a column, over chunks of
 * 700 rows: values are those of this machine, however the operands are cut, and jobs are as few as
 * the cuts allow.
 */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import {
  dense,
  type Evaluator,
  type Matrix,
  matrix,
  ResourceError,
  rand,
  Session,
} from '../../driver/index.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';
import { SMALL_CHUNKS } from '../support/spark.js';
import { eventually, SharedSpark } from '../support/spark-session.js';

const ROWS = 90_001;

/** Large enough to be made by row blocks. */
const data = (session: Evaluator, seed: number, cols = 16): Matrix =>
  rand(session, ROWS, cols, { seed, min: -1, max: 1 });

type Program = (session: Evaluator) => readonly Matrix[];

describe('products and order in Spark', () => {
  let shared: SharedSpark;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start({ conf: SMALL_CHUNKS });
    if (typeof started === 'string') {
      console.warn(`SKIPPED products and order in Spark: ${started}`);
      this.skip();
    } else shared = started;
  });
  after(() => shared?.close());

  /** Runs a program on Spark and here. @param kept first computed and kept in Spark, each alone */
  async function same(
    program: Program,
    kept: Program = () => [],
  ): Promise<{ passes: number; sparkJobs: number; spark: readonly string[] }> {
    const local = await createCpuBackend();
    const here = new Session({ local });
    const { session } = await shared.session({ rddReuse: 'off' });
    for (const one of kept(session)) await session.persist([one.expr]);
    const run = session.run();
    const { statistics } = run;
    const before = await shared.jobs();
    const [there, expected] = [program(run), program(here)];
    const values = await run.evaluate(there.map((one) => one.expr));
    const { passes } = statistics.counters();
    const sparkJobs = (await shared.jobs()) - before;
    const others = await here.evaluate(expected.map((one) => one.expr));
    for (const [i, value] of values.entries()) {
      const other = others[i];
      assert.ok(value.kind === 'dense' && other?.kind === 'dense');
      assertClose(value, other, 1e-10, `value ${i}`);
    }
    const spark = [...statistics.nodes]
      .filter(([, record]) => record.backend === 'spark')
      .map(([expr]) => expr.op.name);
    session.cache.clear();
    await local.close();
    return { passes, sparkJobs, spark };
  }

  it('multiply two that are cut alike, block by block beside each other', async () => {
    const x = (session: Evaluator): Matrix => data(session, 1);
    const y = (session: Evaluator): Matrix => data(session, 2, 20);
    const counts = await same(
      (session) => [x(session).t().matmul(y(session))],
      (session) => [x(session), y(session)],
    );
    assert.deepEqual([counts.passes, counts.sparkJobs], [1, 1]);
    assert.ok(counts.spark.includes('matmul'), counts.spark.join());
  });

  it('multiply two that are cut differently, of which one is cut anew for it', async () => {
    // A cut of rows starts at another row than data made as they are.
    const x = (session: Evaluator): Matrix =>
      rand(session, ROWS + 123, 16, { seed: 3, min: -1, max: 1 }).slice([123, ROWS + 123]);
    const y = (session: Evaluator): Matrix => data(session, 4, 20);
    const counts = await same(
      (session) => [x(session).t().matmul(y(session))],
      (session) => [x(session), y(session)],
    );
    assert.equal(counts.passes, 1);
    assert.equal(counts.sparkJobs, 2, 'one learns the cuts');
    assert.ok(counts.spark.includes('matmul'), counts.spark.join());
  });

  it('cut anew once, however often both are read together', async () => {
    const { session } = await shared.session({ rddReuse: 'off' });
    const x = rand(session, ROWS + 123, 16, { seed: 3 }).slice([123, ROWS + 123]);
    const y = data(session, 4, 20);
    for (const one of [x, y]) await session.persist([one.expr]);
    const stored = async (): Promise<number> => (await shared.storage()).persistentRdds;
    const kept = await stored();
    const jobs: number[] = [];
    for (const power of [1, 2, 3]) {
      const before = await shared.jobs();
      const product = await x.t().matmul(y.mul(power)).value();
      jobs.push((await shared.jobs()) - before);
      const here = new Session({ local: createReferenceBackend() });
      const rows = rand(here, ROWS + 123, 16, { seed: 3 }).slice([123, ROWS + 123]);
      const expected = await rows
        .t()
        .matmul(data(here, 4, 20).mul(power))
        .value();
      assertClose(product, expected, 1e-10, `product ${power}`);
    }
    assert.deepEqual(jobs, [2, 1, 1], 'the first learns the cuts');
    assert.equal(await stored(), kept + 1);
    session.cache.clear();
    await eventually('the copy to go as well', async () => (await stored()) < kept);
  });

  it('multiply rows by a matrix that is in Spark as well, which is brought together once', async () => {
    const [rows, common] = [2500, 1500];
    const a = (session: Evaluator): Matrix => rand(session, rows, common, { seed: 5 });
    const b = (session: Evaluator): Matrix => rand(session, common, 800, { seed: 6, min: -1 });
    const counts = await same(
      (session) => [
        a(session).matmul(b(session)).colSums(),
        a(session).matmul(b(session)).abs().sum().asMatrix(),
      ],
      (session) => [a(session), b(session)],
    );
    assert.ok(counts.spark.includes('matmul'), counts.spark.join());
    assert.ok(counts.sparkJobs <= 2, `${counts.sparkJobs} jobs`);
  });

  it('says what to do when the right operand fits in no memory whole', async () => {
    const { session } = await shared.session({ rddReuse: 'off' });
    const common = 30_000_000;
    const product = rand(session, 2, common, { seed: 7 }).matmul(
      rand(session, common, 80, { seed: 8 }),
    );
    await assert.rejects(product.sum().value(), (error: unknown) => {
      assert.ok(error instanceof ResourceError, String(error));
      assert.match(error.message, /30000000x80/);
      return true;
    });
  });

  it('find the first rows by a column in one job, of any cut', async () => {
    for (const options of [{ by: 3 }, { by: 0, descending: true }]) {
      const counts = await same((session) => [data(session, 9).topK(1000, options)]);
      assert.deepEqual([counts.passes, counts.sparkJobs], [1, 1]);
      assert.ok(counts.spark.includes('topK'), counts.spark.join());
    }
  });

  it('order all rows of computed values, ties by row and NaN last', async () => {
    const program: Program = (session) => {
      // Thirds of whole numbers: many ties, and 0 / 0 in the third of the rows that is 0.
      const x = data(session, 10).mul(2).floor();
      const ratio = x.div(x).add(x);
      return [ratio.topK(ROWS, { by: 2 }), ratio.topK(37, { by: 5, descending: true })];
    };
    const counts = await same(program);
    assert.deepEqual([counts.passes, counts.sparkJobs], [1, 1]);
  });

  it('find as the reference does, also in rows kept before', async () => {
    const cells = Float64Array.from({ length: ROWS * 12 }, (_, i) =>
      i % 7 === 3 ? NaN : (i * 37) % 101,
    );
    const build = (session: Evaluator): Matrix => matrix(session, dense(ROWS, 12, cells)).mul(2);
    const order = { by: 4, descending: true };
    const { session } = await shared.session();
    const x = build(session);
    await session.persist([x.expr]);
    const before = await shared.jobs();
    const found = await x.topK(25, order).value();
    assert.equal((await shared.jobs()) - before, 1);
    const reference = new Session({ local: createReferenceBackend() });
    const expected = await build(reference).topK(25, order).value();
    assert.deepEqual([...found.data], [...expected.data]);
    // Asked again, and for fewer of them: no job.
    const again = await x.topK(25, order).value();
    const fewer = await x.topK(10, order).value();
    assert.equal((await shared.jobs()) - before, 1);
    assert.deepEqual([...again.data], [...expected.data]);
    assert.deepEqual([...fewer.data], [...expected.data.slice(0, 10 * 13)]);
  });
});
