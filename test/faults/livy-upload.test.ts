/**
 * Fault 29, a broken pipe to Spark: the driver's JVM is killed while a large payload is on its way
 * to it. The JVM is stopped first, so that the kernel's buffers are full and a write is surely
 * pending when it dies. Needs `/proc`, to see that.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { BackendLostError } from '../../driver/errors.js';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import { matrix, rand } from '../../driver/matrix/create.js';
import { Session } from '../../driver/runtime/session.js';
import { cellsToBytes } from '../../spark-bridge/channel/frame-codec.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { sparkMissing } from '../support/spark.js';
import { SECRET, type SparkWay, sparkWays } from '../support/spark-ways.js';

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
  describe(`a Spark driver killed during an upload: ${way.name}`, function () {
    this.timeout(300_000);
    /** Statements carry some megabytes at most; direct calls overfill socket buffers many times. */
    const rows = way.name === 'Livy statements' ? 60_000 : 1_000_000;
    let spark: SparkBackend;
    const warnings: string[] = [];

    before(async function () {
      const missing = existsSync('/proc/self/net/tcp') ? sparkMissing() : 'no /proc/net to see';
      if (missing !== undefined) {
        console.warn(`SKIPPED broken uploads: ${missing}`);
        this.skip();
      }
      spark = await way.open(warnings);
    });
    after(async () => {
      await spark?.close();
      if (spark !== undefined) await way.end();
    });

    it('rejects the call with one error that has the end of the log, and goes on with another', async () => {
      const { boot } = (await spark.channel.call('ping', {})).result;
      const x = noise(rows);
      const shape = { rows, cols: COLS };
      const sent = spark.channel.call('broadcast', { handle: 'x', ...shape }, [
        cellsToBytes(x.data),
      ]);
      await breakUpload(way, sent, true);
      await assert.rejects(sent, (error) => {
        assert.ok(error instanceof BackendLostError, String(error));
        assert.match(error.message, /expected .* to run, got .*(SIGKILL|dead|reached)/);
        assert.match(error.message, way.name === 'embedded' ? /logs.spark-/ : /last words/);
        assert.ok(!JSON.stringify([error.message, error.facts]).includes(SECRET));
        return true;
      });
      await spark.channel.renew?.();
      assert.notEqual((await spark.channel.call('ping', {})).result.boot, boot);
      assert.equal(warnings.length, 1, warnings.join('\n'));
    });

    it('loses nothing, and computes only what was unfinished, once', async () => {
      warnings.length = 0;
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const done = rand(session, 60_000, COLS, { seed: 1 }).tsmm();
      const doneValue = await done.value();
      const x = noise(rows);
      const run = session.run();
      const unfinished = matrix(run, x).tsmm().value();
      await breakUpload(way, unfinished, false);
      const [again, gram] = await Promise.all([done.in(run).value(), unfinished]);
      assert.deepEqual(again, doneValue);
      const cold = new Session({ local: createReferenceBackend() });
      assertClose(gram, await matrix(cold, x).tsmm().value(), 1e-10, 'gram of the uploaded rows');
      const { kernels, sparkJobs } = run.statistics.counters();
      assert.deepEqual({ kernels, sparkJobs }, { kernels: 1, sparkJobs: 1 });
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.ok(!warnings.join().includes(SECRET));
    });
  });
}

/** Kills the driver while `sent` is on its way to it. */
async function breakUpload(way: SparkWay, sent: Promise<unknown>, isFirst: boolean): Promise<void> {
  let hasEnded = false;
  sent.then(
    () => {
      hasEnded = true;
    },
    () => {
      hasEnded = true;
    },
  );
  const statements = way.count('statement run');
  process.kill(way.pid(), 'SIGSTOP');
  const isUnderWay = (): boolean =>
    way.name === 'Livy statements'
      ? way.count('statement run') > statements
      : unsentBytes() > 64 * 1024;
  for (let i = 0; !isUnderWay(); i++) {
    assert.ok(i < 2000, `expected the upload to be under way (${isFirst ? 'call' : 'session'})`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(hasEnded, false);
  way.kill();
}

/** Bytes that this process wrote to its sockets and nobody has taken yet. */
function unsentBytes(): number {
  const own = new Set(
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // Closed meanwhile.
      }
    }),
  );
  let bytes = 0;
  for (const table of ['tcp', 'tcp6']) {
    const path = `/proc/self/net/${table}`;
    if (!existsSync(path)) continue;
    for (const line of readFileSync(path, 'utf8').trim().split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [queues = '', inode = ''] = [fields[4], fields[9]];
      if (own.has(inode)) bytes += Number.parseInt(queues.split(':')[0] ?? '0', 16);
    }
  }
  return bytes;
}
