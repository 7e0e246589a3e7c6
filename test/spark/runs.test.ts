/** Runs side by side in one session on real Spark: each counts its jobs and is cancelled alone. */
import assert from 'node:assert/strict';
import { type Evaluator, type Matrix, type Run, rand } from '../../driver/index.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';
import { eventually, SharedSpark } from '../support/spark-session.js';

const data = (where: Evaluator, rows: number): Matrix =>
  rand(where, rows, 20, { seed: 5, min: -1 }).mul(2);

async function cold(program: (x: Matrix) => Matrix, rows: number): Promise<DenseMatrix> {
  const session = new Session({ local: await createCpuBackend(), reuse: 'off' });
  const value = await program(data(session, rows)).value();
  await session.close();
  return value;
}

describe('runs side by side on Spark', function () {
  this.timeout(300_000);
  let shared: SharedSpark;
  let session: Session;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED runs side by side: ${started}`);
      this.skip();
    } else shared = started;
  });
  beforeEach(async () => {
    ({ session } = await shared.session({ rddReuse: 'off' }));
  });
  afterEach(() => session?.cache.clear());
  after(() => shared?.close());

  const countersOf = ({ statistics }: Run) => {
    const { passes, sparkJobs, misses } = statistics.counters();
    return { passes, sparkJobs, misses };
  };

  it('count their own jobs, and a value both need for the one that computed it', async () => {
    const rows = 200_000;
    const before = await shared.jobs();
    const [first, second] = [session.run(), session.run()];
    const values = await Promise.all([
      data(first, rows).tsmm().value(),
      data(second, rows).tsmm().add(1).value(),
      data(second, rows).colSums().value(),
    ]);
    const programs = [
      (x: Matrix) => x.tsmm(),
      (x: Matrix) => x.tsmm().add(1),
      (x: Matrix) => x.colSums(),
    ];
    for (const [i, value] of values.entries()) {
      assertClose(value, await cold(programs[i]!, rows), 1e-10, `value ${i}`);
    }
    const [own, other] = [countersOf(first), countersOf(second)];
    assert.equal(own.passes, 1);
    assert.equal(other.passes, 1, 'of the sums alone');
    assert.deepEqual([own.sparkJobs, other.sparkJobs], [1, 1]);
    assert.ok((await shared.jobs()) - before >= own.sparkJobs + other.sparkJobs);
    assert.equal(first.statistics.counters().hits, 0);
    assert.ok(second.statistics.counters().hits >= 1);
    assert.equal(countersOf(session).sparkJobs, 0);
  });

  it('go on when the one that had claimed what both need is cancelled in the middle of its job', async () => {
    const rows = 4_000_000;
    const told: number[][] = [[], []];
    const controller = new AbortController();
    const [first, second] = [
      session.run({ signal: controller.signal, onProgress: (at) => told[0]!.push(at) }),
      session.run({ onProgress: (at) => told[1]!.push(at) }),
    ];
    const gone = data(first, rows).tsmm().value();
    const isGone = assert.rejects(gone, { name: 'AbortError' });
    const stays = data(second, rows).tsmm().value();
    const { channel } = shared.embedded;
    await eventually('a run on Spark', async () => {
      const { runs } = (await channel.call('status', {})).result;
      return runs.length === 1 && told[0]!.length > 0;
    });
    assert.deepEqual(told[1], [], 'the second waits');
    controller.abort();
    await isGone;
    const atTheEnd = told[0]!.length;
    assertClose(await stays, await cold((x) => x.tsmm(), rows), 1e-10, 'the value');
    assert.equal(told[0]!.length, atTheEnd);
    assert.deepEqual([countersOf(first).passes, countersOf(second).passes], [0, 1]);
    assert.ok(countersOf(second).sparkJobs > 0);
  });

  it('go on when the one that waits is cancelled', async () => {
    const rows = 1_000_000;
    const controller = new AbortController();
    const [first, second] = [session.run(), session.run({ signal: controller.signal })];
    const stays = data(first, rows).tsmm().value();
    const gone = data(second, rows).tsmm().add(1).value();
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(gone, { name: 'AbortError' });
    assertClose(await stays, await cold((x) => x.tsmm(), rows), 1e-10, 'the value');
    assert.deepEqual([countersOf(first).passes, countersOf(second).passes], [1, 0]);
  });
});
