/**
 * Spark with executors in JVMs of their own (`local-cluster`): same values, also when one of them
 * is killed in the middle of a job or takes kept rows with it, and no more actions at once than the
 * living ones carry. Needs `/proc`, to find the executors.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { rand } from '../../driver/index.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { Float64Matrix } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { Session } from '../../driver/runtime/session.js';
import { buildShim, installSpark } from '../../spark-bridge/embedded/install.js';
import {
  createSparkBackend,
  type EmbeddedSpark,
  findSpark,
  type SparkBackend,
  startEmbeddedSpark,
} from '../../spark-bridge/index.js';
import { make, random, segment } from '../support/segments.js';
import { sparkMissing } from '../support/spark.js';

/** Processes that `pid` started and that run Spark's executors. */
function executorsOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((process) => {
      try {
        const stat = readFileSync(`/proc/${process}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z' || Number(parent) !== pid) return false;
        return readFileSync(`/proc/${process}/cmdline`, 'utf8').includes('ExecutorBackend');
      } catch {
        return false; // It ended meanwhile.
      }
    });
}

async function waitFor(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`expected ${what} within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a cluster of executors', () => {
  let home: string | undefined;
  let embedded: EmbeddedSpark;
  let spark: SparkBackend;

  before(async function () {
    this.timeout(600_000);
    const missing = existsSync('/proc/self') ? sparkMissing() : 'no /proc to find executors in';
    if (missing !== undefined) {
      console.warn(`SKIPPED a cluster of executors: ${missing}`);
      this.skip();
    }
    const { jars, target } = await installSpark();
    const shim = await buildShim({ target });
    // Spark's workers start executors from SPARK_HOME/jars, and write beside that.
    home = mkdtempSync(join(tmpdir(), 'reprise-cluster-'));
    mkdirSync(join(home, 'work'));
    symlinkSync(jars, join(home, 'jars'));
    const before = { ...process.env };
    Object.assign(process.env, { SPARK_HOME: home, SPARK_SCALA_VERSION: target.scala });
    try {
      assert.deepEqual(findSpark()?.target, target);
      embedded = await startEmbeddedSpark({
        memoryBytes: 1024 ** 3,
        conf: {
          'spark.master': 'local-cluster[2,1,768]',
          'spark.executor.memory': '768m',
          'spark.executor.extraClassPath': shim,
          'spark.executor.heartbeatInterval': '2s',
          'spark.reprise.chunkRows': '5000',
        },
      });
    } finally {
      for (const name of ['SPARK_HOME', 'SPARK_SCALA_VERSION']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
    spark = await createSparkBackend({ channel: embedded.channel });
    await waitFor('two executors', async () => executorsOf(embedded.pid).length === 2);
  });
  after(async () => {
    await embedded?.close();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  });

  async function gramOf(x: Expr): Promise<{ gram: Float64Array; sparkJobs: number }> {
    const gram = make('tsmm', [x]);
    const { values, sparkJobs } = await spark.run(segment([x, gram], { outputs: [gram] }), {});
    return { gram: (values.get(gram) as Float64Matrix).data, sparkJobs };
  }

  it('computes on its executors what the reference computes', async () => {
    const x = random(12_000, 3, 1);
    const { gram, sparkJobs } = await gramOf(x);
    const whole = ops.tsmm.reference([ops.rand.reference([], x.attrs, x)], {}, make('tsmm', [x]));
    gram.forEach((cell, i) => {
      assert.ok(Math.abs(cell / whole.data[i]! - 1) < 1e-12);
    });
    assert.equal(sparkJobs, 1);
  });

  it('gives the same bits when an executor is killed in the middle of a job', async () => {
    const x = random(6_000_000, 12, 2);
    const undisturbed = await gramOf(x);
    const disturbed = gramOf(x);
    await waitFor('the job to be under way', async () => {
      const { result } = await embedded.channel.call('status', {});
      return result.runs.some(({ progress }) => progress > 0);
    });
    const [victim] = executorsOf(embedded.pid);
    process.kill(victim!, 'SIGKILL');
    assert.deepEqual((await disturbed).gram, undisturbed.gram);
    assert.equal((await disturbed).sparkJobs, 1, 'Spark runs the lost tasks again, not the job');
    await waitFor('another executor', async () => {
      const now = executorsOf(embedded.pid);
      return now.length === 2 && !now.includes(victim!);
    });
  });

  it('runs as many actions at once as the living executors carry, over all programs', async () => {
    // A dozen sums over unlike rows: as many actions, all of them ready at once.
    const sums = Array.from({ length: 12 }, (_, i) =>
      make('sum', [random(400_000 + i * 5000, 10, 100 + i)]),
    );
    const nodes = sums.flatMap((sum) => [...sum.inputs, sum]);
    const answers: (readonly number[])[] = [];
    let isOver = false;
    const keepAsking = async (): Promise<void> => {
      while (!isOver) {
        const { values, sparkJobs } = await spark.run(segment(nodes, { outputs: sums }), {});
        answers.push(sums.map((sum) => (values.get(sum) as Float64Matrix).data[0]!));
        assert.equal(sparkJobs, sums.length);
      }
    };
    const seen: { readonly limit: number; readonly running: number; readonly waiting: number }[] =
      [];
    const settled = (carried: number) => async (): Promise<boolean> => {
      const { actions } = (await embedded.channel.call('status', {})).result;
      seen.push(actions);
      return actions.limit === carried && actions.running === carried && actions.waiting > 0;
    };
    const held = new Set<number>();
    const programs = Promise.all([keepAsking(), keepAsking(), keepAsking()]);
    try {
      await waitFor('an action for each of two executors', settled(2));
      const [victim, survivor] = executorsOf(embedded.pid);
      process.kill(victim!, 'SIGKILL');
      // The next executor waits, so that the time with one alone does not depend on its start.
      await waitFor('one action at a time', async () => {
        for (const pid of executorsOf(embedded.pid)) {
          if (pid === victim || pid === survivor || held.has(pid)) continue;
          held.add(pid);
          process.kill(pid, 'SIGSTOP');
        }
        return settled(1)();
      });
      for (const pid of held) process.kill(pid, 'SIGCONT');
      held.clear();
      await waitFor('two actions again', settled(2));
    } finally {
      for (const pid of held) process.kill(pid, 'SIGCONT');
      isOver = true;
      await programs;
    }
    const most = Math.max(...seen.map(({ running }) => running));
    assert.equal(most, 2, JSON.stringify(seen));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const whole = ops.rand.reference([], sums[0]!.inputs[0]!.attrs, sums[0]!.inputs[0]!);
    const total = whole.data.reduce((sum, cell) => sum + cell, 0);
    assert.ok(Math.abs(answers[0]![0]! / total - 1) < 1e-12);
  }).timeout(300_000);

  it('makes values again from their lineage when the executor that kept them has ended', async () => {
    const backend = await createSparkBackend({
      channel: embedded.channel,
      onClose: async () => {},
    });
    const local = createReferenceBackend();
    const session = new Session({ local, blocks: backend, placement: 'blocks' });
    const x = rand(session, 200_000, 8, { seed: 5, distribution: 'normal' }).exp();
    await session.persist([x.expr]);
    const before = await x.mul(2).colSums().value();
    const handle = session.cache.probe(x.expr)?.value;
    assert.ok(handle?.kind === 'handle' && backend.holds(handle));
    for (const executor of executorsOf(embedded.pid)) process.kill(executor, 'SIGKILL');
    const run = session.run();
    // Another action over the same kept value, and the same one at another scale.
    const [halves, sums] = await Promise.all([
      x.in(run).mul(0.5).colSums().value(),
      x.in(run).mul(4).colSums().value(),
    ]);
    halves.data.forEach((cell, i) => {
      assert.ok(Math.abs(cell / before.data[i]! - 0.25) < 1e-12, `column ${i}`);
      assert.ok(Math.abs(sums.data[i]! / before.data[i]! - 2) < 1e-12, `column ${i}`);
    });
    assert.equal(backend.holds(handle), false);
    // rand and exp once more, and the two products with their sums.
    assert.equal(run.statistics.counters().kernels, 6);
    session.cache.clear();
    await backend.tier.settle();
  }).timeout(300_000);
});
