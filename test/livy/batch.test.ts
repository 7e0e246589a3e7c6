/** Batches from request to confirmed end, under faults. A small shim on a real socket, by lease. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ConfigError } from '../../driver/errors.js';
import { buildShim } from '../../spark-bridge/embedded/install.js';
import { findSpark } from '../../spark-bridge/embedded/locations.js';
import { lineOf, shimTarget } from '../../spark-bridge/embedded/spark-lines.js';
import { parseAllowedHosts } from '../../spark-bridge/livy/allowed-hosts.js';
import { isLivyProblem } from '../../spark-bridge/livy/errors.js';
import { offerKey, proofOf } from '../../spark-bridge/livy/key-agreement.js';
import { createLivyBackend } from '../../spark-bridge/livy/livy-backend.js';
import { type OpenBatchOptions, openBatch } from '../../spark-bridge/livy/livy-batch.js';
import { createLivyClient, type LivyClient } from '../../spark-bridge/livy/livy-client.js';
import { folderStorage } from '../../spark-bridge/livy/payload-storage.js';
import {
  folderSessionStore,
  memorySessionStore,
  type SessionStore,
} from '../../spark-bridge/livy/session-store.js';
import { answerKey } from '../support/livy-server/answer-key.js';
import { echoShim } from '../support/livy-server/frame-handlers.js';
import { FAST } from '../support/livy-server/livy-fixture.js';
import {
  type LivyTestServer,
  type LivyTestServerOptions,
  startLivyTestServer,
} from '../support/livy-server/livy-server.js';
import { realDrivers } from '../support/livy-server/real-driver.js';
import type { TestSession } from '../support/livy-server/sessions.js';
import { otherLine } from '../support/other-line.js';
import { sparkMissing } from '../support/spark.js';

describe('livy batches', function () {
  this.timeout(20_000);
  let server: LivyTestServer;
  let client: LivyClient;
  let store: SessionStore;
  const shims: Server[] = [];

  /** Listens as the application of this batch would, and says so in its log. */
  const announce = (session: TestSession): void => {
    const [name = '', key = ''] = session.request.args as string[];
    const { publicKey, token } = answerKey(key);
    const { handler } = echoShim();
    const shim = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        if (request.url === '/v1/prove') return response.end(proofOf(token, body));
        if (request.headers.authorization !== `Bearer ${token}`) {
          return response.writeHead(401).end();
        }
        return void handler(body, { boot: 'b' }).then((bytes) => response.end(bytes));
      });
    });
    shims.push(shim);
    session.onEnd.add(() => shim.closeAllConnections());
    shim.listen(0, '127.0.0.1', () => {
      const { port } = shim.address() as AddressInfo;
      const address = { key: publicKey, port, hosts: ['127.0.0.1'], boot: 'b', protocol: 1 };
      session.log.push(`REPRISE-SHIM ${name} ${JSON.stringify(address)}`);
    });
  };
  const start = async (options: Partial<LivyTestServerOptions> = {}): Promise<void> => {
    server = await startLivyTestServer({
      evaluator: async () => ({ error: 'no sessions here' }),
      launch: announce,
      ...options,
    });
    client = createLivyClient({ url: server.url, ...FAST });
    store = memorySessionStore();
  };
  const open = (more: Partial<OpenBatchOptions> = {}) =>
    openBatch(client, {
      key: 'test',
      store,
      jarUri: 'hdfs:///shim.jar',
      allow: parseAllowedHosts(),
      startTimeoutMs: 3000,
      adoptGraceMs: 300,
      closeTimeoutMs: 2000,
      ...more,
    });
  afterEach(async () => {
    client.close();
    await server.close();
    for (const shim of shims.splice(0)) shim.close();
  });

  it('start, answer, and end confirmed; nothing secret is in what Livy shows', async () => {
    await start();
    const batch = await open();
    await batch.channel.call('ping', {});
    assert.equal((await store.load('test'))?.phase, 'created');
    const [session] = [...server.sessions.values()];
    const shown = JSON.stringify([session?.request, session?.log]);
    const texts = shown.match(/[0-9a-f]{64}(?![0-9a-f])/g) ?? [];
    assert.ok(texts.length > 0, 'the public keys are shown');
    for (const found of texts) {
      const answer = await fetch(
        `http://127.0.0.1:${(shims[0]!.address() as AddressInfo).port}/v1/call`,
        {
          method: 'POST',
          headers: { Authorization: `Bearer ${found}` },
        },
      );
      assert.equal(answer.status, 401, 'what is shown opens nothing');
    }
    await batch.close();
    await batch.close();
    assert.equal(server.sessions.size, 0);
    assert.equal(await store.load('test'), undefined);
  });

  for (const kind of ['drop-after', 'half-json'] as const) {
    it(`are asked for once when the answer is lost (${kind})`, async () => {
      await start({ faults: [{ method: 'POST', path: /^\/batches$/, action: { kind } }] });
      const batch = await open();
      assert.equal(server.count('session created'), 1);
      await batch.close();
    });
  }

  it('that end while they start are reported with their log, and deleted', async () => {
    await start({
      launch: (session) => {
        session.log.push('java.lang.ClassNotFoundException: reprise.shim.server.BatchMain');
        setTimeout(() => server.kill(session.id), 100);
      },
    });
    await assert.rejects(open(), (error: unknown) => {
      assert.ok(isLivyProblem(error, 'dead'));
      return /got state dead\n.*ClassNotFoundException/s.test((error as Error).message);
    });
    assert.equal(server.sessions.size, 0);
    assert.equal(await store.load('test'), undefined);
  });

  it('that never say where they are, or are not to be reached, are deleted', async () => {
    await start({ launch: () => undefined });
    await assert.rejects(
      open({ startTimeoutMs: 300 }),
      /no address of its shim.*REPRISE_LIVY_STORAGE/s,
    );
    assert.equal(server.sessions.size, 0);
    await server.close();
    await start({
      launch: (session) => {
        const [name = ''] = session.request.args as string[];
        const address = {
          key: offerKey().publicKey,
          port: 1,
          hosts: ['127.0.0.1', '192.0.2.1'],
          boot: 'b',
          protocol: 1,
        };
        session.log.push(`REPRISE-SHIM ${name} ${JSON.stringify(address)}`);
      },
    });
    await assert.rejects(open(), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      return /ECONNREFUSED; 192\.0\.2\.1:1 is not in REPRISE_LIVY_ALLOW/.test(error.message);
    });
    assert.equal(server.sessions.size, 0);
  });

  it('are deleted when the caller gives up while they start', async () => {
    await start({ launch: () => undefined });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(open({ signal: controller.signal }), /a cancellation/);
    assert.equal(server.sessions.size, 0);
  });

  it('that a crashed process left are deleted by the next, not adopted', async () => {
    await start();
    const left = await open();
    const next = await open();
    assert.notEqual(next.name, left.name);
    assert.deepEqual(
      [...server.sessions.values()].map((it) => it.name),
      [next.name],
    );
    await next.close();
  });

  it('that die later say so, once, with the log', async () => {
    await start();
    const batch = await open({ lostAfterMs: 2000 });
    server.kill(batch.id, 'Container killed by YARN for exceeding memory limits');
    shims[0]?.close();
    await assert.rejects(batch.channel.call('ping', {}), /expected an answer to ping/);
    assert.ok(batch.lost.aborted);
    assert.match((batch.lost.reason as Error).message, /state dead\n.*exceeding memory limits/s);
    await batch.close();
    assert.equal(server.sessions.size, 0);
  });

  it('that were given the shim of another Spark say so, and are started again with the right one', async function () {
    this.timeout(180_000);
    await start();
    if (sparkMissing() !== undefined) this.skip();
    await otherLine();
    await server.close();
    await start(await realDrivers());
    const folder = await mkdtemp(join(tmpdir(), 'reprise-misfit-'));
    const backend = await createLivyBackend({
      connection: { url: server.url },
      mode: 'batch',
      key: 'misfit',
      store: folderSessionStore(folder),
      storage: folderStorage(folder),
    });
    const { spark, scala } = backend.description;
    assert.deepEqual(shimTarget({ spark, scala }), findSpark()?.target);
    assert.equal(server.count('POST /batches'), lineOf(spark) === '3.5' ? 1 : 2);
    await backend.close();
    await rm(folder, { recursive: true });
  });

  it('ends by its lease when its driver is silent', async function () {
    this.timeout(180_000);
    await start();
    if (sparkMissing() !== undefined) this.skip();
    await server.close();
    const { launch } = await realDrivers();
    await start({ launch });
    const folder = await mkdtemp(join(tmpdir(), 'reprise-lease-'));
    const jar = pathToFileURL(await buildShim()).href;
    const script = fileURLToPath(new URL('./batch-parent.js', import.meta.url));
    const parent = spawn(process.execPath, [script, server.url, jar, folder, '4'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: parent.stdout }), 'line');
    const session = server.sessions.get(0);
    await sleep(6000);
    assert.equal(session?.state, 'running', 'its driver keeps it alive for longer than the lease');
    parent.kill('SIGKILL');
    const end = Date.now() + 30_000;
    while (session?.state === 'running' && Date.now() < end) await sleep(100);
    assert.equal(session?.state, 'success');
    assert.equal((await folderSessionStore(folder).load('killed'))?.name, session?.name);
    await rm(folder, { recursive: true });
  });
});
