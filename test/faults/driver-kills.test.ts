/**
 * Spark drivers killed while they work, real JVMs all: embedded, and behind the Livy test server by
 * statements, directly and as a batch; each way is killed twice. Faults 24 and 30, in the middle
 * of a plan: the answer is a cold run's, only what had no value runs again, and no application stays
 * behind. Fault 29, a broken pipe to Spark: the driver is killed while two large payloads are on
 * their way to it. It is stopped first, so that the kernel's buffers are full and writes are surely pending when it
 * dies; `/proc` tells that.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { BackendLostError } from '../../driver/errors.js';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import { matrix, rand } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { cellsToBytes } from '../../spark-bridge/channel/frame-codec.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { sparkMissing } from '../support/spark.js';
import { SECRET, type SparkWay, sparkWays } from '../support/spark-ways.js';

const gram = (x: Matrix): Matrix => x.mul(2).sub(1).tsmm();

const COLS = 8;
const noise = (rows: number): DenseMatrix =>
  dense(
    rows,
    COLS,
    // A fixed walk over 31 bits: does not compress, so all of it must travel.
    Float64Array.from(
      { length: rows * COLS },
      (_, i) => ((i * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31,
    ),
  );

for (const way of sparkWays) {
  describe(`a Spark driver killed: ${way.name}`, function () {
    this.timeout(300_000);
    /** Statements carry some megabytes at most; direct calls overfill socket buffers many times. */
    const rows = way.name === 'Livy statements' ? 60_000 : 1_000_000;
    let spark: SparkBackend;
    const warnings: string[] = [];

    before(async function () {
      const missing = sparkMissing();
      if (missing !== undefined) {
        console.warn(`SKIPPED killed Spark drivers: ${missing}`);
        this.skip();
      }
      spark = await way.open(warnings);
    });
    after(async () => {
      await spark?.close();
      if (spark !== undefined) await way.end();
    });

    it('during uploads: rejects the call with one error that has the end of the log; a session loses nothing, and computes only what was unfinished, once', async function () {
      if (!seesSockets()) this.skip();
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const done = rand(session, 60_000, COLS, { seed: 1 }).tsmm();
      const doneValue = await done.value();
      const { boot } = (await spark.channel.call('ping', {})).result;
      const x = noise(rows);
      const shape = { rows, cols: COLS };
      const run = session.run();
      const before = way.count('statement run');
      process.kill(way.pid(), 'SIGSTOP');
      const sent = spark.channel.call('broadcast', { handle: 'x', ...shape }, [
        cellsToBytes(x.data),
      ]);
      const unfinished = matrix(run, x).tsmm().value();
      await breakUploads(way, [sent, unfinished], before);
      await assert.rejects(sent, (error) => {
        assert.ok(error instanceof BackendLostError, String(error));
        assert.match(error.message, /expected .* to run, got .*(SIGKILL|dead|reached)/);
        assert.match(error.message, way.name === 'embedded' ? /logs.spark-/ : /last words/);
        assert.ok(!JSON.stringify([error.message, error.facts]).includes(SECRET));
        return true;
      });
      const [again, product] = await Promise.all([done.in(run).value(), unfinished]);
      assert.deepEqual(again, doneValue);
      const cold = new Session({ local: createReferenceBackend() });
      assertClose(
        product,
        await matrix(cold, x).tsmm().value(),
        1e-10,
        'gram of the uploaded rows',
      );
      const { kernels, sparkJobs } = run.statistics.counters();
      assert.deepEqual({ kernels, sparkJobs }, { kernels: 1, sparkJobs: 1 });
      assert.notEqual((await spark.channel.call('ping', {})).result.boot, boot);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.ok(!warnings.join().includes(SECRET));
    });

    it('in mid-plan: gives the cold answer from a new driver, and runs again only what was unfinished', async () => {
      warnings.length = 0;
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const done = gram(rand(session, 60_000, 20, { seed: 1 }));
      const kept = rand(session, 80_000, 20, { seed: 2 }).mul(3);
      const doneValue = await done.value();
      await session.persist([kept.expr]);
      const boot = (await spark.channel.call('ping', {})).result.boot;
      const run = session.run();
      const counts = run.statistics;
      const open = [gram(kept.in(run)), rand(run, 8_000_000, 20, { seed: 3 }).sum()];
      const values = Promise.all([done.in(run).value(), ...open.map((it) => it.value())]);
      await until(async () => (await spark.channel.call('status', {})).result.runs.length > 0);
      way.kill();
      const [again, gramOfKept, total] = await values;
      assert.deepEqual(again, doneValue);
      const cold = new Session({ local: createReferenceBackend() });
      const wanted = await gram(rand(cold, 80_000, 20, { seed: 2 }).mul(3)).value();
      assertClose(gramOfKept as typeof wanted, wanted, 1e-10, 'gram of the kept rows');
      const mean = Number(total) / (8_000_000 * 20);
      assert.ok(Math.abs(mean - 0.5) < 1e-4, `mean ${mean}`);
      assert.notEqual((await spark.channel.call('ping', {})).result.boot, boot);
      assert.equal(counts.nodes.get(done.expr)?.state ?? 'reused', 'reused');
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0] ?? '', /expected .* to run, got/);
      assert.ok(!JSON.stringify(warnings).includes(SECRET), 'no secret in the log tail');
    });

    if (way.name !== 'embedded') return;
    it('before a frame is described: the next driver describes it', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'reprise-lost-'));
      const path = join(folder, 'two.csv');
      await writeFile(path, 'a,b\n1,2\n3,4\n');
      way.kill();
      const { rows, columns } = await spark.frames.describe(path);
      assert.equal(rows, 2);
      assert.deepEqual(
        columns.map(({ name }) => name),
        ['a', 'b'],
      );
      await rm(folder, { recursive: true });
    });
  });
}

/** Kills the stopped driver while all of `sent` are on their way to it; of statements one runs at a time. */
async function breakUploads(
  way: SparkWay,
  sent: readonly Promise<unknown>[],
  statements: number,
): Promise<void> {
  let hasEnded = false;
  const end = (): void => {
    hasEnded = true;
  };
  for (const one of sent) one.then(end, end);
  const isUnderWay = (): boolean =>
    way.name === 'Livy statements'
      ? way.count('statement run') > statements
      : unsentBytes().filter((bytes) => bytes > 64 * 1024).length >= sent.length;
  for (let i = 0; !isUnderWay(); i++) {
    assert.ok(i < 2000, `expected ${sent.length} uploads to be under way, got ${unsentBytes()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(hasEnded, false);
  way.kill();
}

/** Whether this system tells what is unsent. */
function seesSockets(): boolean {
  return existsSync('/proc/self/net/tcp');
}

/** Bytes that this process wrote and nobody has taken yet, of each of its sockets. */
function unsentBytes(): number[] {
  const own = new Set(
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // Closed meanwhile.
      }
    }),
  );
  const bytes: number[] = [];
  for (const table of ['tcp', 'tcp6']) {
    const path = `/proc/self/net/${table}`;
    if (!existsSync(path)) continue;
    for (const line of readFileSync(path, 'utf8').trim().split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [queues = '', inode = ''] = [fields[4], fields[9]];
      if (own.has(inode)) bytes.push(Number.parseInt(queues.split(':')[0] ?? '0', 16));
    }
  }
  return bytes;
}

async function until(holds: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
