/** From an address to a working channel, and batches; whatever fails, no session stays behind. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectOptions, connectLivy } from '../../spark-bridge/livy/connect.js';
import { isLivyProblem } from '../../spark-bridge/livy/errors.js';
import { folderStorage } from '../../spark-bridge/livy/payload-storage.js';
import type { RunningVersions } from '../../spark-bridge/livy/statement-code.js';
import { echoShim } from '../support/livy-server/frame-handlers.js';
import { FAST, type Fixture, livyFixture } from '../support/livy-server/livy-fixture.js';
import { questionOf } from '../support/livy-server/read-code.js';
import type { Evaluator } from '../support/livy-server/sessions.js';
import { shimEvaluator } from '../support/livy-server/shim-model.js';

describe('livy connect', () => {
  let fixture: Fixture;
  let folder: string;
  let jar: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-connect-'));
    jar = join(folder, 'shim.jar');
    await writeFile(jar, 'not really a jar, but the test server only counts its bytes');
  });
  afterEach(async () => {
    await fixture.end();
    await rm(folder, { recursive: true });
  });
  const connect = (more: Partial<ConnectOptions>): ReturnType<typeof connectLivy> =>
    connectLivy({
      connection: { url: fixture.server.url, ...FAST },
      key: 'test',
      store: fixture.store,
      jar: { by: 'present' },
      startTimeoutMs: 2000,
      closeTimeoutMs: 2000,
      pollMs: 5,
      waitMs: { min: 20, max: 100 },
      ...more,
    });
  /** A REPL that knows the shim only once its jar was uploaded. */
  const needsJar: Evaluator = async (code, context) =>
    context.session.driver.has('jar') || questionOf(code) !== undefined
      ? shimEvaluator(echoShim().handler)(code, context)
      : { error: '<console>:23: error: not found: value reprise' };

  it('uploads the jar, greets the shim, and ends the session', async () => {
    fixture = await livyFixture({ server: { evaluator: needsJar } });
    const link = await connect({ jar: { by: 'upload', path: jar } });
    assert.equal(link.description.boot.length, 12);
    assert.equal(fixture.server.count('POST /sessions/*/upload-jar'), 1);
    await link.close();
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('says what mends a server that may not read what it was sent', async () => {
    fixture = await livyFixture({ server: { evaluator: needsJar } });
    const staged = '/home/livy/.livy-sessions/ac1601fb-44ec-4e10-a6c0-99a90f693cde/shim.jar';
    // Livy 0.9 without shared storage, word for word.
    const msg = `requirement failed: Local path ${staged} cannot be added to user sessions.`;
    const action = { kind: 'answer', status: 400, body: JSON.stringify({ msg }) } as const;
    fixture.server.addFaults({ path: /upload-jar$/, action });
    await assert.rejects(connect({ jar: { by: 'upload', path: jar } }), (error) => {
      const { message } = error as Error;
      assert.match(message, /livy\.file\.local-dir-whitelist = \/home\/livy\/\.livy-sessions,/);
      assert.match(message, /livy\.session\.staging-dir .*REPRISE_LIVY_JAR .*local:/);
      return true;
    });
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('sends a BLAS before the shim is asked anything, and goes on when it is refused', async () => {
    fixture = await livyFixture({ server: { evaluator: needsJar } });
    const action = { kind: 'answer', status: 400, body: '{"msg":"too large"}' } as const;
    fixture.server.addFaults({ path: /upload-file$/, skip: 1, action });
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    for (const expected of [0, 1]) {
      const link = await connect({
        connection: { url: fixture.server.url, ...FAST, onWarning },
        jar: { by: 'upload', path: jar },
        blas: [jar],
      });
      await link.close();
      assert.equal(warnings.filter((it) => /OpenBLAS could not be sent/.test(it)).length, expected);
    }
    assert.equal(fixture.server.count('POST /sessions/*/upload-file'), 2);
  });

  it('uploads the jar to an adopted session whose first owner never did', async () => {
    fixture = await livyFixture({ server: { evaluator: needsJar } });
    (await fixture.open()).detach();
    const link = await connect({ jar: { by: 'upload', path: jar } });
    assert.ok(link.session.adopted);
    assert.equal(fixture.server.count('session created'), 1);
    assert.equal(fixture.server.count('POST /sessions/*/upload-jar'), 1);
    await link.close();
  });

  it('asks a session what it runs, and uploads the jar that fits', async () => {
    fixture = await livyFixture({ server: { evaluator: needsJar } });
    const asked: unknown[] = [];
    const path = async (running: RunningVersions): Promise<string> => {
      asked.push(running);
      return jar;
    };
    const first = await connect({ jar: { by: 'upload', path } });
    assert.deepEqual(asked, [{ spark: '3.5.6', scala: '2.12.18' }]);
    await first.detach();
    await (await connect({ jar: { by: 'upload', path } })).close();
    assert.equal(asked.length, 1, 'one that is taken over has its jar');
  });

  it('says what a session answers that is no version, and deletes it', async () => {
    const odd: Evaluator = async () => ({ text: 'Python 3.12' });
    fixture = await livyFixture({ server: { evaluator: odd } });
    const path = (): Promise<string> => Promise.resolve(jar);
    await assert.rejects(
      connect({ jar: { by: 'upload', path } }),
      /expected its Spark and Scala versions, got "Python 3\.12"/,
    );
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('names a jar the cluster can read, or puts it where it can', async () => {
    fixture = await livyFixture();
    const first = await connect({ jar: { by: 'uri', uri: 'hdfs:///jars/shim.jar' } });
    const asked = (): unknown => [...fixture.server.sessions.values()].at(-1)?.request.jars;
    assert.deepEqual(asked(), ['hdfs:///jars/shim.jar']);
    await first.close();
    const storage = folderStorage(join(folder, 'shared'), 'hdfs:///shared');
    const second = await connect({ jar: { by: 'storage', path: jar, storage } });
    assert.deepEqual(asked(), ['hdfs:///shared/shim.jar']);
    assert.deepEqual(await readdir(join(folder, 'shared')), ['shim.jar']);
    await second.close();
  });

  it('deletes the session when the shim can not be greeted', async () => {
    fixture = await livyFixture({ server: { evaluator: needsJar } });
    await assert.rejects(connect({}), (error: unknown) => isLivyProblem(error, 'remote'));
    assert.equal(fixture.server.count('session created'), 1);
    assert.equal(fixture.server.sessions.size, 0);
    assert.equal(await fixture.store.load('test'), undefined);
  });

  it('leaves the session to the next process when it is detached', async () => {
    fixture = await livyFixture();
    const first = await connect({});
    await first.detach();
    const second = await connect({});
    assert.ok(second.session.adopted);
    assert.equal(second.description.boot, first.description.boot);
    await second.close();
  });

  it('starts, finds, reads and deletes batches', async () => {
    fixture = await livyFixture();
    const { client } = fixture;
    const spec = { name: 'mine', file: 'hdfs:///jars/shim.jar', className: 'reprise.shim.Main' };
    const batch = await client.createBatch(spec);
    assert.equal((await client.findBatch('mine'))?.id, batch.id);
    assert.equal((await client.batches()).length, 1);
    // The driver registers when it pleases.
    const [started] = (await client.batchLog('mine')) ?? [];
    assert.equal(started, 'spark-submit started for session 0');
    assert.equal(await client.findSession('mine'), undefined, 'a batch is no session');
    await assert.rejects(client.createBatch(spec), (error: unknown) =>
      isLivyProblem(error, 'duplicate'),
    );
    await client.deleteBatch('mine');
    await client.deleteBatch('mine');
    assert.equal(await client.findBatch('mine'), undefined);
  });
});
