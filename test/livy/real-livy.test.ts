/**
 * The client against a real Apache Livy, at REPRISE_LIVY_URL; skipped, loudly, without one. The jar
 * goes by upload, or is read by the cluster from the URI in REPRISE_LIVY_JAR. One session serves
 * the whole suite, in this order.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { ResourceError } from '../../driver/errors.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import { rand } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { env } from '../../driver/support/env.js';
import { bytesToCells, cellsToBytes } from '../../spark-bridge/channel/frame-codec.js';
import type { WireProgram } from '../../spark-bridge/channel/wire.js';
import { buildShim } from '../../spark-bridge/embedded/install.js';
import { shimTarget } from '../../spark-bridge/embedded/spark-lines.js';
import {
  createLivyBackend,
  type LivyBackendOptions,
  type SparkBackend,
} from '../../spark-bridge/index.js';
import { connectLivy, type JarDelivery, type LivyLink } from '../../spark-bridge/livy/connect.js';
import { createLivyClient } from '../../spark-bridge/livy/livy-client.js';
import { memorySessionStore } from '../../spark-bridge/livy/session-store.js';
import { assertClose } from '../support/close.js';

const url = env.livyUrl();
const say = (line: string): void => console.log(`      ${line}`);

const program = (
  run: string,
  rows: number,
  cols: number,
  more: Partial<WireProgram>,
): WireProgram => ({
  run,
  inputs: [{ id: 1, rows, cols, payload: 0, handle: null }],
  instructions: [],
  outputs: [],
  persist: [],
  ...more,
});

describe('a real Livy', function () {
  this.timeout(600_000);
  let link: LivyLink;
  const store = memorySessionStore();
  const open = async (): Promise<LivyLink> => {
    const uri = env.livyJar();
    const jar: JarDelivery = uri
      ? { by: 'uri', uri }
      : { by: 'upload', path: (running) => buildShim({ target: shimTarget(running, 'livy') }) };
    return await connectLivy({
      connection: { url: url ?? '', onWarning: say },
      key: 'real-livy-suite',
      store,
      jar,
      spec: { heartbeatSeconds: 120, driverMemory: '1g' },
      startTimeoutMs: 400_000,
    });
  };

  before(async function () {
    if (url === undefined) {
      console.log(
        '    SKIPPED: set REPRISE_LIVY_URL to the address of an Apache Livy to run this suite',
      );
      this.skip();
    }
    const started = performance.now();
    link = await open();
    const { spark, scala, blas } = link.description;
    const version = (await link.client.version()).text;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(
      `Livy ${version}, Spark ${spark}, Scala ${scala}, ${blas}; session and shim up in ${seconds} s`,
    );
  });
  after(async () => {
    await link?.close();
  });

  it('answers a ping, in a statement each', async () => {
    const times: number[] = [];
    for (let i = 0; i < 11; i++) {
      const started = performance.now();
      const { result } = await link.channel.call('ping', {});
      times.push(performance.now() - started);
      assert.equal(result.boot, link.description.boot);
    }
    times.sort((a, b) => a - b);
    say(`a ping: median ${times[5]?.toFixed(0)} ms, fastest ${times[0]?.toFixed(0)} ms`);
  });

  it('runs a program on Spark: t(X) %*% X of row blocks', async () => {
    const [rows, cols] = [400, 6];
    const x = Float64Array.from({ length: rows * cols }, (_, i) => ((i * 7919) % 101) / 10 - 5);
    const { result, payloads } = await link.channel.call(
      'runProgram',
      program('tsmm-1', rows, cols, {
        instructions: [
          {
            id: 2,
            op: 'tsmm',
            attrs: {},
            operands: [{ id: 1, blocked: true }],
            rows: cols,
            cols,
            blocked: true,
          },
        ],
        outputs: [2],
      }),
      [cellsToBytes(x)],
    );
    const gram = bytesToCells(payloads[0] ?? new Uint8Array());
    for (let a = 0; a < cols; a++) {
      for (let b = 0; b < cols; b++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += x[row * cols + a]! * x[row * cols + b]!;
        assert.ok(Math.abs(sum - gram[a * cols + b]!) <= 1e-10 * Math.abs(sum) + 1e-9);
      }
    }
    assert.ok(result.sparkJobs >= 1);
  });

  it('carries payloads both ways unchanged, and many calls at once', async () => {
    const rows = 20_000;
    const x = new Float64Array(randomBytes(rows * 8).buffer).map((it) =>
      Number.isFinite(it) ? it : 1,
    );
    const started = performance.now();
    await link.channel.call(
      'runProgram',
      program('keep-1', rows, 1, {
        persist: [{ id: 1, handle: 'kept', level: null, lazy: false }],
      }),
      [cellsToBytes(x)],
    );
    const upMs = performance.now() - started;
    const before = link.statements.statements();
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        link.channel.call('collect', { handle: 'kept', run: `c${i}` }),
      ),
    );
    for (const { payloads } of all) {
      assert.deepEqual(Buffer.from(payloads[0] ?? []), Buffer.from(cellsToBytes(x)));
    }
    const statements = link.statements.statements() - before;
    say(
      `${(rows * 8) / 1000} kB up in ${upMs.toFixed(0)} ms; 6 collects of as much in ${statements} statements`,
    );
    assert.ok(statements <= 6);
    await link.channel.call('unpersist', { handles: ['kept'] });
  });

  it('refuses an answer of 60 MB in the shim, and goes on', async () => {
    // The outer product of two small vectors has 7.5 million cells.
    const size = 2750;
    const vector = cellsToBytes(Float64Array.from({ length: size }, () => Math.random()));
    const call = link.channel.call(
      'runProgram',
      {
        run: 'large-1',
        inputs: [
          { id: 1, rows: size, cols: 1, payload: 0, handle: null },
          { id: 2, rows: 1, cols: size, payload: 1, handle: null },
        ],
        instructions: [
          {
            id: 3,
            op: 'matmul',
            attrs: {},
            operands: [
              { id: 1, blocked: true },
              { id: 2, blocked: false },
            ],
            rows: size,
            cols: size,
            blocked: true,
          },
        ],
        outputs: [3],
        persist: [],
      },
      [vector, vector],
    );
    await assert.rejects(call, (error: unknown) => {
      assert.ok(error instanceof ResourceError, String(error));
      return /expected a result of at most \d+ bytes/.test(error.message);
    });
    await link.channel.call('ping', {});
  });

  it('is adopted by the next connection of its key', async () => {
    const { id } = link.session;
    await link.detach();
    link = await open();
    assert.ok(link.session.adopted);
    assert.equal(link.session.id, id);
  });
});

/** Ways a backend can take on this server; a batch needs a jar that the cluster reads. */
const ways: readonly LivyBackendOptions[] = [
  { mode: 'session', channelMode: 'statements' },
  { mode: 'session', channelMode: 'direct' },
  { mode: 'batch' },
];

for (const way of ways) {
  const name = way.mode === 'batch' ? 'a batch' : `a session, ${way.channelMode}`;
  describe(`plans on a real Livy: ${name}`, function () {
    this.timeout(600_000);
    let spark: SparkBackend;
    const warnings: string[] = [];
    /** Others may use this server, too. */
    const namePrefix = `reprise-test-${randomBytes(4).toString('hex')}`;
    const ours = async () => ({
      sessions: (await client.sessions()).filter((it) => it.name?.startsWith(namePrefix)),
      batches: (await client.batches()).filter((it) => it.name?.startsWith(namePrefix)),
    });
    const client = createLivyClient({ url: url ?? 'http://127.0.0.1' });
    before(async function () {
      const hasJar = env.livyJar() !== undefined || env.livyStorage() !== undefined;
      if (url === undefined || (way.mode === 'batch' && !hasJar)) {
        console.log(
          `    SKIPPED: set REPRISE_LIVY_URL${url === undefined ? '' : ' and REPRISE_LIVY_JAR or REPRISE_LIVY_STORAGE'} to run plans in ${name}`,
        );
        this.skip();
      }
      const started = performance.now();
      spark = await createLivyBackend({
        ...way,
        key: `real-livy-${name}`,
        namePrefix,
        store: memorySessionStore(),
        spec: { driverMemory: '1g' },
        onWarning: (message) => warnings.push(message),
      });
      say(`${spark.channel.kind} up in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    });
    after(async () => {
      await spark?.close();
      client.close();
    });

    const gramOf = (session: Evaluator): Matrix =>
      rand(session, 60_000, 20, { seed: 7 }).mul(2).sub(1).tsmm();

    it('gives the values of the reference, and again without a job', async () => {
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const reference = new Session({ local: createReferenceBackend() });
      const value = await gramOf(session).value();
      assertClose(value, await gramOf(reference).value(), 1e-10, 'gram');
      const second = session.run();
      assert.deepEqual(await gramOf(second).value(), value);
      assert.equal(second.statistics.counters().sparkJobs, 0);
    });

    it('opens another application when its own is deleted under it, and finishes', async () => {
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const boot = (await spark.channel.call('ping', {})).result.boot;
      const gram = await gramOf(session).value();
      const total = rand(session, 20_000_000, 20, { seed: 3 }).sum().value();
      total.catch(() => undefined);
      await sleep(1500);
      const { sessions, batches } = await ours();
      for (const { id } of sessions) await client.deleteSession(id);
      for (const { id } of batches) await client.deleteBatch(id);
      const mean = Number(await total) / 4e8;
      assert.ok(Math.abs(mean - 0.5) < 1e-4, `mean ${mean}`);
      assert.deepEqual(await gramOf(session).value(), gram);
      assert.notEqual((await spark.channel.call('ping', {})).result.boot, boot);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      say(`after a deletion: ${warnings[0]?.split('\n')[0]}`);
    });

    it('leaves no application behind', async () => {
      await spark.close();
      assert.deepEqual(await ours(), { sessions: [], batches: [] });
    });
  });
}
