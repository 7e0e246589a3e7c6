/**
 * Spark drivers killed in the middle of a plan (faults 24 and 30), real JVMs all: embedded, and
 * behind the Livy test server by statements, directly and as a batch. The answer is a cold run's,
 * only what had no value runs again, and no application stays behind.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { ResourceError } from '../../driver/errors.js';
import { rand } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { createSparkBackend, type SparkBackend } from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { sparkMissing } from '../support/spark.js';
import { SECRET, sparkWays } from '../support/spark-ways.js';

const gram = (x: Matrix): Matrix => x.mul(2).sub(1).tsmm();

for (const way of sparkWays) {
  describe(`a Spark driver killed in mid-plan: ${way.name}`, function () {
    this.timeout(300_000);
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

    it('gives the cold answer from a new driver, and runs again only what was unfinished', async () => {
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
  });
}

describe('a frame whose Spark ended before it was described', function () {
  this.timeout(300_000);

  it('is described by the next Spark', async function () {
    if (sparkMissing() !== undefined) this.skip();
    const folder = await mkdtemp(join(tmpdir(), 'reprise-lost-'));
    const path = join(folder, 'two.csv');
    await writeFile(path, 'a,b\n1,2\n3,4\n');
    let jvm = 0;
    const spark = await createSparkBackend({
      memoryBytes: 1024 ** 3,
      cores: 1,
      onStart: (pid) => {
        jvm = pid;
      },
    });
    try {
      process.kill(jvm, 'SIGKILL');
      const { rows, columns } = await spark.frames.describe(path);
      assert.equal(rows, 2);
      assert.deepEqual(
        columns.map(({ name }) => name),
        ['a', 'b'],
      );
    } finally {
      await spark.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe('a Spark driver out of memory', function () {
  this.timeout(300_000);

  it('is told as that, with advice, and its work is not tried again', async function () {
    if (sparkMissing() !== undefined) this.skip();
    let starts = 0;
    const spark = await createSparkBackend({
      memoryBytes: 512 * 1024 ** 2,
      cores: 1,
      onStart: () => {
        starts++;
      },
    });
    try {
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const all = rand(session, 30_000, 2000, { seed: 1 }).mul(2);
      await assert.rejects(all.value(), (error) => {
        assert.ok(error instanceof ResourceError, String(error));
        return /memory|heap/i.test(error.message);
      });
      assert.equal(starts, 1);
    } finally {
      await spark.close();
    }
  });
});

async function until(holds: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
