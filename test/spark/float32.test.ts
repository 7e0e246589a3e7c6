/** float32 on Spark: half the memory and bytes, the CPU's values, as many jobs, no cross hits. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Matrix, matrix, openFrame, rand, resolveFeatures } from '../../driver/index.js';
import { DTYPES, type DType } from '../../driver/ir/dtype.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import type { Channel } from '../../spark-bridge/channel/channel.js';
import { createSparkBackend, writeMatrix } from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { SharedSpark } from '../support/spark-session.js';

/** More than 8 MB in either dtype, so that they are row blocks. */
const ROWS = 160_000;
const COLS = 16;
const WIDE = 256;

const data = (session: Session, dtype: DType, seed = 1, sparsity = 1): Matrix =>
  rand(session, ROWS, COLS, { seed, dtype, sparsity, distribution: 'normal' });

/** Cells, rows moved and laid beside others, sums, products, and what is float64 by definition. */
function program(s: Session, dtype: DType): readonly Matrix[] {
  const x = data(s, dtype);
  const centred = x.sub(x.colMeans()).div(2).sigmoid();
  const sparse = data(s, dtype, 2, 0.1).mul(3);
  const moved = centred.slice([5_001, 155_002]);
  const beside = moved.add(sparse.slice([0, 150_001]));
  return [
    centred.tsmm(),
    centred.t().matmul(sparse),
    beside.colSums(),
    beside.cbind(beside.rowSums()).colMaxs(),
    centred.rbind(sparse).mmchain(x.slice([0, 1]).t()),
    centred.cast(dtype === 'float32' ? 'float64' : 'float32').colSums(),
    centred.rowIndexMax().colSums(),
  ];
}

interface Outcome {
  readonly values: readonly DenseMatrix[];
  readonly counts: readonly number[];
}

async function outcomeOf(session: Session, dtype: DType): Promise<Outcome> {
  const run = session.run();
  const values: DenseMatrix[] = [];
  for (const value of program(session, dtype)) values.push(await value.in(run).value());
  const { kernels, passes, sparkJobs } = run.statistics.counters();
  return { values, counts: [kernels, passes, sparkJobs] };
}

describe('float32 on Spark', () => {
  let shared: SharedSpark;
  let cpu: Session;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED float32 on Spark: ${started}`);
      this.skip();
    } else shared = started;
    cpu = new Session({ local: await createCpuBackend() });
  });
  after(async () => {
    await cpu?.close();
    await shared?.close();
  });

  it('takes half the storage by Spark’s own account', async () => {
    // Made of row numbers, and rows moved with some of their columns.
    const makes = [
      (x: Matrix) => x.mul(2).exp(),
      (x: Matrix) => x.slice([1, ROWS - 1], [0, COLS - 1]),
    ];
    for (const make of makes) {
      const stored: number[] = [];
      for (const dtype of DTYPES) {
        const { session, spark } = await shared.session();
        const before = (await shared.storage()).handles.map(({ handle }) => handle);
        const x = make(data(session, dtype));
        await session.persist([x.expr]);
        const { handles } = await shared.storage();
        const own = handles.filter(({ handle }) => !before.includes(handle));
        assert.equal(own.length, 1);
        stored.push(own[0]!.memoryBytes);
        const value = await x.value();
        assertClose(value, await make(data(cpu, dtype)).value(), 1e-6, dtype);
        const cells = value.data.byteLength;
        assert.ok(own[0]!.memoryBytes >= cells && own[0]!.memoryBytes < cells * 1.01);
        session.cache.clear();
        await spark.tier.settle();
      }
      const [wide, single] = stored as [number, number];
      assert.ok(single < wide * 0.505, `${single} of ${wide} bytes`);
    }
  });

  it('has the values of the CPU in as many passes, and takes nothing of the other dtype', async () => {
    const { session, spark } = await shared.session();
    const outcomes = [];
    for (const dtype of DTYPES) {
      const { values, counts } = await outcomeOf(session, dtype);
      const expected = await outcomeOf(cpu, dtype);
      for (const [i, value] of values.entries()) {
        const { dtype: own } = expected.values[i]!;
        assert.equal(value.dtype, own);
        const tolerance = dtype === 'float64' && own === 'float64' ? 1e-10 : 1e-5;
        assertClose(value, expected.values[i]!, tolerance, `${dtype}, value ${i}`);
      }
      outcomes.push(counts);
    }
    // The second dtype found nothing of the first: it ran as much.
    assert.deepEqual(outcomes[1], outcomes[0]);
    session.cache.clear();
    await spark.tier.settle();
  });

  it('sends four bytes a cell, both ways', async () => {
    let bytes = 0;
    const { channel } = shared.embedded;
    const counting: Channel = {
      kind: channel.kind,
      call: async (verb, args, payloads = [], options) => {
        const reply = await channel.call(verb, args, payloads, options);
        for (const { byteLength } of [...payloads, ...reply.payloads]) bytes += byteLength;
        return reply;
      },
      close: async () => {},
    };
    const spark = await createSparkBackend({ channel: counting, onClose: async () => {} });
    const local = await createCpuBackend();
    const session = new Session({ local, blocks: spark, placement: 'blocks' });
    const cells = Float32Array.from({ length: ROWS * COLS }, (_, i) => 2 + Math.sin(i));
    const w = Float32Array.from({ length: COLS * WIDE }, (_, i) => 1 + Math.cos(i));
    const doubled = matrix(session, ROWS, COLS, cells).mul(2);
    const product = doubled.matmul(matrix(session, COLS, WIDE, w)).rowSums();
    const got = await product.value();
    const sent = ROWS * COLS * 4 + COLS * WIDE * 4 + ROWS * 4;
    assert.ok(bytes >= sent && bytes < sent * 1.01, `${bytes} for ${sent} bytes`);
    const here = matrix(cpu, ROWS, COLS, cells)
      .mul(2)
      .matmul(matrix(cpu, COLS, WIDE, w))
      .rowSums();
    assertClose(got, await here.value(), 1e-5, 'product');
    await session.close();
  });

  it('is written to files and read back exactly', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reprise-test-'));
    try {
      const { session, spark } = await shared.session({}, { materialiseBytes: 1e6 });
      const blocks = rand(session, 40_000, 8, { seed: 4, dtype: 'float32' });
      const host = matrix(session, 3, 2, Float32Array.of(1, -0.5, 0.1, 1e30, 1e-40, 3));
      for (const [name, x] of Object.entries({ blocks, host })) {
        const path = join(folder, name);
        await writeMatrix(session, spark, x, path);
        const frame = await openFrame(session, spark.frames, path);
        const target = frame.description.columns.at(-1)!.name;
        const read = await resolveFeatures(spark.frames, frame.description, { target });
        const features = [...read.features, read.target!];
        const all = Matrix.of(session, frame.encode(features));
        const single = Matrix.of(session, frame.encode(features, { dtype: 'float32' }));
        const wanted = (await x.value()).data;
        assert.deepEqual((await single.value()).data, wanted, name);
        assert.deepEqual((await all.cast('float32').value()).data, wanted, name);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
