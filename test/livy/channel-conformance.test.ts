/**
 * One suite over every way to a shim: embedded, Livy statements, direct behind Livy, and a Livy
 * batch, also over TLS. The Livy is our test server on a real socket; Spark and the shim are real.
 * Whatever the way, the same call gives the same answer or error.
 */
import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { DataError, ExecutionError, InternalError, UnsupportedError } from '../../driver/errors.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import { rand } from '../../driver/matrix/create.js';
import { Session } from '../../driver/runtime/session.js';
import type { Channel } from '../../spark-bridge/channel/channel.js';
import { bytesToCells, cellsToBytes } from '../../spark-bridge/channel/frame-codec.js';
import type { WireInstruction, WireJson, WireProgram } from '../../spark-bridge/channel/wire.js';
import { buildShim } from '../../spark-bridge/embedded/install.js';
import {
  createLivyBackend,
  createSparkBackend,
  type SparkBackend,
} from '../../spark-bridge/index.js';
import { parseAllowedHosts } from '../../spark-bridge/livy/allowed-hosts.js';
import { memorySessionStore } from '../../spark-bridge/livy/session-store.js';
import { assertClose } from '../support/close.js';
import { type LivyTestServer, startLivyTestServer } from '../support/livy-server/livy-server.js';
import { realDrivers } from '../support/livy-server/real-driver.js';
import { createTestSpark, SMALL_CHUNKS, sparkMissing } from '../support/spark.js';

interface Row {
  readonly name: string;
  /** What `channel.kind` says. */
  readonly kind: string;
  readonly open: () => Promise<SparkBackend>;
  readonly close: () => Promise<void>;
  /** Its shim listens on every address. */
  readonly isEverywhere?: boolean;
}

let server: LivyTestServer;

const throughLivy = (name: string, kind: string, mode: 'session' | 'batch', allow = ''): Row => ({
  name,
  kind,
  open: async () => {
    const drivers = await realDrivers(SMALL_CHUNKS);
    server = await startLivyTestServer({ ...drivers, startMs: 50 });
    return await createLivyBackend({
      connection: { url: server.url },
      mode,
      channelMode: kind === 'direct' ? 'direct' : 'statements',
      allow: parseAllowedHosts(allow),
      key: name,
      store: memorySessionStore(),
      jar: { by: 'uri', uri: pathToFileURL(await buildShim()).href },
      pollMs: 20,
      pollCapMs: 200,
      waitMs: { min: 100, max: 2000 },
      startTimeoutMs: 120_000,
    });
  },
  close: async () => {
    assert.deepEqual([...server.sessions.keys()], [], 'no session or batch stays behind');
    await server.close();
  },
});

const rows: readonly Row[] = [
  {
    name: 'embedded',
    kind: 'direct',
    open: async () => {
      const spark = await createTestSpark({ conf: SMALL_CHUNKS });
      if (typeof spark === 'string') throw new Error(spark);
      return spark;
    },
    close: async () => undefined,
  },
  throughLivy('Livy statements', 'livy', 'session'),
  throughLivy('direct behind Livy', 'direct', 'session'),
  throughLivy('Livy batch', 'direct', 'batch'),
  // Allowed to be elsewhere, so its shim listens on every address, and by TLS.
  { ...throughLivy('Livy batch over TLS', 'direct', 'batch', '*'), isEverywhere: true },
];

const program = (run: string, more: Partial<WireProgram>): WireProgram => ({
  run,
  inputs: [],
  instructions: [],
  outputs: [],
  persist: [],
  ...more,
});

const instruction = (
  id: number,
  op: string,
  shape: readonly [number, number],
  operands: readonly number[],
  attrs: WireJson = {},
): WireInstruction => ({
  id,
  op,
  attrs,
  operands: operands.map((operand) => ({ id: operand, blocked: true })),
  rows: shape[0],
  cols: shape[1],
  blocked: true,
});

/** The sum of a generated matrix: minutes of work for a large one, in tasks of row blocks. */
const sumOfRandom = (run: string, count: number): WireProgram =>
  program(run, {
    instructions: [
      instruction(1, 'rand', [count, 20], [], {
        rows: count,
        cols: 20,
        seed: 1,
        distribution: 'uniform',
        min: 0,
        max: 1,
      }),
      instruction(2, 'sum', [1, 1], [1]),
    ],
    outputs: [2],
  });

for (const row of rows) {
  describe(`channel conformance: ${row.name}`, function () {
    this.timeout(120_000);
    let backend: SparkBackend;
    let channel: Channel;

    before(async function () {
      this.timeout(600_000);
      const missing = sparkMissing();
      if (missing !== undefined) {
        console.warn(`SKIPPED channel conformance: ${missing}`);
        this.skip();
      }
      backend = await row.open();
      channel = backend.channel;
    });
    after(async () => {
      await backend?.close();
      if (backend !== undefined) await row.close();
    });

    const running = async (): Promise<readonly unknown[]> =>
      (await channel.call('status', {})).result.runs;

    it('says who it is, and stays the same', async () => {
      assert.equal(channel.kind, row.kind);
      const { result } = await channel.call('hello', {});
      assert.deepEqual(result, backend.description);
      assert.equal((await channel.call('ping', {})).result.boot, result.boot);
    });

    it('brings every cell back with its bits', async () => {
      const special = Float64Array.of(Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324, 1 / 3);
      const noise = new Float64Array(new Uint8Array(randomBytes(8 * 30_000)).buffer);
      for (const cells of [special, noise]) {
        const inputs = [{ id: 1, rows: cells.length, cols: 1, payload: 0, handle: null }];
        const { payloads } = await channel.call(
          'runProgram',
          program('echo', { inputs, outputs: [1] }),
          [cellsToBytes(cells)],
        );
        assert.ok(Buffer.from(payloads[0]!).equals(Buffer.from(cellsToBytes(cells))));
      }
    });

    it('runs all reductions of a program in one job', async () => {
      const [count, cols] = [4000, 5];
      const x = Float64Array.from({ length: count * cols }, (_, i) => Math.sin(i));
      const { result, payloads } = await channel.call(
        'runProgram',
        program('reduce', {
          inputs: [{ id: 1, rows: count, cols, payload: 0, handle: null }],
          instructions: [
            instruction(2, 'tsmm', [cols, cols], [1]),
            instruction(3, 'sum', [1, 1], [1]),
          ],
          outputs: [2, 3],
        }),
        [cellsToBytes(x)],
      );
      const gram = Array.from({ length: cols * cols }, (_, i) => {
        let sum = 0;
        for (let r = 0; r < count; r++) {
          sum += x[r * cols + Math.floor(i / cols)]! * x[r * cols + (i % cols)]!;
        }
        return sum;
      });
      bytesToCells(payloads[0]!).forEach((cell, i) => {
        assert.ok(Math.abs(cell - gram[i]!) < 1e-9);
      });
      const total = x.reduce((sum, cell) => sum + cell, 0);
      assert.ok(Math.abs(bytesToCells(payloads[1]!)[0]! - total) < 1e-9);
      const { kernels, passes, sparkJobs } = result;
      assert.deepEqual({ kernels, passes, sparkJobs }, { kernels: 2, passes: 1, sparkJobs: 1 });
    });

    it('answers calls made together, each with its own answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          channel.call(
            'runProgram',
            program(`side-${i}`, {
              inputs: [{ id: 1, rows: 1, cols: 1, payload: 0, handle: null }],
              outputs: [1],
            }),
            [cellsToBytes(Float64Array.of(i))],
          ),
        ),
      );
      assert.deepEqual(
        answers.map(({ payloads }) => bytesToCells(payloads[0]!)[0]),
        [0, 1, 2, 3, 4, 5, 6, 7],
      );
    });

    it('turns each kind of error into its class, and goes on', async () => {
      await assert.rejects(
        channel.call('collect', { handle: 'nowhere', run: 'e1' }),
        (error) => error instanceof ExecutionError && error.facts.handle === 'nowhere',
      );
      await assert.rejects(channel.call('dance' as 'ping', {}), UnsupportedError);
      const inputs = [{ id: 1, rows: 4, cols: 1, payload: 0, handle: null }];
      const groups = cellsToBytes(Float64Array.of(0, 0.5, 1, 1));
      const gram = instruction(2, 'groupGram', [4, 2], [1, 1], { groups: 2, center: true });
      const wrong = program('e2', { inputs, instructions: [gram], outputs: [2] });
      await assert.rejects(channel.call('runProgram', wrong, [groups]), (error) => {
        assert.ok(error instanceof DataError, String(error));
        assert.match(error.message, /expected whole numbers, got 0.5/);
        assert.match(String(error.facts.trace), /reprise/);
        return true;
      });
      const short = program('e3', { inputs: [{ ...inputs[0]!, payload: 3 }], outputs: [1] });
      await assert.rejects(channel.call('runProgram', short, [groups]), InternalError);
      await channel.call('ping', {});
    });

    it('rejects an aborted call with its reason, ends its run, and goes on', async () => {
      const reason = new DOMException('enough', 'AbortError');
      await assert.rejects(
        channel.call('runProgram', sumOfRandom('never', 1e8), [], {
          signal: AbortSignal.abort(reason),
        }),
        reason,
      );
      const controller = new AbortController();
      const progress: number[] = [];
      const call = channel.call('runProgram', sumOfRandom('long', 1e8), [], {
        signal: controller.signal,
        onProgress: (fraction) => progress.push(fraction),
      });
      call.catch(() => undefined);
      await until(async () => (await running()).length === 1);
      await until(async () => progress.length > 0);
      assert.ok(progress.every((it) => it >= 0 && it <= 1));
      controller.abort(reason);
      await assert.rejects(call, reason);
      await until(async () => (await running()).length === 0);
      const { payloads } = await channel.call('runProgram', sumOfRandom('short', 1000), []);
      const sum = bytesToCells(payloads[0]!)[0]!;
      assert.ok(sum > 9000 && sum < 11_000, `got ${sum}`);
    });

    it('ends a run that waits for room on the executors, and lets the others go on', async () => {
      const stop = new AbortController();
      const long = ['full-1', 'full-2'].map((run) =>
        channel.call('runProgram', sumOfRandom(run, 1e8), [], { signal: stop.signal }),
      );
      for (const call of long) call.catch(() => undefined);
      const actions = async () => (await channel.call('status', {})).result.actions;
      await until(async () => (await actions()).running === 2);
      assert.equal((await actions()).limit, 2, 'as many as the driver has cores');
      const reason = new DOMException('enough', 'AbortError');
      const third = new AbortController();
      const waiting = channel.call('runProgram', sumOfRandom('third', 1e8), [], {
        signal: third.signal,
      });
      waiting.catch(() => undefined);
      await until(async () => (await actions()).waiting === 1);
      third.abort(reason);
      await assert.rejects(waiting, reason);
      await until(async () => (await actions()).waiting === 0);
      await until(async () => (await running()).length === 2);
      assert.equal((await actions()).running, 2);
      stop.abort(reason);
      await until(async () => (await running()).length === 0);
    });

    it('keeps to a time limit, and ends what ran too long', async () => {
      await assert.rejects(
        channel.call('runProgram', sumOfRandom('late', 1e8), [], { timeoutMs: 700 }),
        (error) => error instanceof ExecutionError && /expected an answer/.test(error.message),
      );
      await until(async () => (await running()).length === 0);
    });

    it('gives a session the values of the reference, and reuses them without a job', async () => {
      const spark = await createSparkBackend({ channel, onClose: async () => undefined });
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const reference = new Session({ local: createReferenceBackend() });
      const gramOf = (where: Evaluator) => {
        const x = rand(where, 60_000, 20, { seed: 7 });
        return x.mul(2).sub(1).tsmm();
      };
      const first = session.run();
      const value = await gramOf(first).value();
      assertClose(value, await gramOf(reference).value(), 1e-10, 'gram');
      assert.equal(first.statistics.counters().sparkJobs, 1);
      const second = session.run();
      assert.deepEqual(await gramOf(second).value(), value);
      assert.equal(second.statistics.counters().sparkJobs, 0);
      assert.equal(second.statistics.counters().kernels, 0);
    });

    if (row.isEverywhere !== true) return;
    it('answers nobody in plain HTTP, and only those who know its certificate', async () => {
      const log = [...server.sessions.values()][0]?.log ?? [];
      const said = log.find((line) => line.startsWith('REPRISE-SHIM ')) ?? '';
      const { port, certificate } = JSON.parse(said.slice(said.indexOf('{')));
      const place = `127.0.0.1:${port}/v1/prove`;
      await assert.rejects(fetch(`http://${place}`, { method: 'POST', body: 'x' }));
      await assert.rejects(fetch(`https://${place}`, { method: 'POST', body: 'x' }), (error) =>
        /SELF_SIGNED/.test(String((error as { cause?: { code?: string } }).cause?.code)),
      );
      const { validTo, subject, publicKey } = new X509Certificate(
        Buffer.from(certificate, 'base64'),
      );
      assert.match(validTo, /2049/);
      assert.match(subject, /CN=reprise-shim/);
      assert.equal(publicKey.asymmetricKeyType, 'ec');
      await backend.channel.call('ping', {});
    });
  });
}

async function until(holds: () => Promise<boolean>, limitMs = 60_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
