/** Sessions from intent to confirmed end, under faults; each test counts the server's actions. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WRITING } from '../../driver/support/leftovers.js';
import { discardRecorded } from '../../spark-bridge/livy/application-life.js';
import { isLivyProblem, livyFacts } from '../../spark-bridge/livy/errors.js';
import { keepAliveMs, sessionVerbs } from '../../spark-bridge/livy/livy-session.js';
import {
  claimSessionKey,
  folderSessionStore,
  type SessionRecord,
} from '../../spark-bridge/livy/session-store.js';
import { jettyPage, message } from '../support/livy-server/answers.js';
import { type Fixture, livyFixture } from '../support/livy-server/livy-fixture.js';

describe('livy sessions', function () {
  this.timeout(15_000);
  let fixture: Fixture;
  afterEach(async () => fixture.end());
  const posted = /^\/sessions$/;

  it('starts, is kept, and ends confirmed', async () => {
    fixture = await livyFixture();
    const states: string[] = [];
    const session = await fixture.open({ onState: (it) => states.push(it) });
    assert.deepEqual(states, ['starting', 'idle']);
    assert.equal((await fixture.store.load('test'))?.phase, 'created');
    await session.close();
    assert.equal(fixture.server.sessions.size, 0);
    assert.equal(fixture.server.count('session deleted'), 1);
    assert.equal(await fixture.store.load('test'), undefined);
    await session.close();
    assert.equal(fixture.server.count('session deleted'), 1);
  });

  for (const kind of ['drop-after', 'half-json', 'short-body'] as const) {
    it(`adopts its session by name when the answer to its creation is lost (${kind})`, async () => {
      fixture = await livyFixture({
        server: { faults: [{ method: 'POST', path: posted, action: { kind } }] },
      });
      const session = await fixture.open();
      assert.equal(fixture.server.count('session created'), 1);
      assert.equal(fixture.server.count('driver started'), 1);
      assert.equal(fixture.server.sessions.get(session.id)?.name, session.name);
    });
  }

  it('asks again with the same name when no session is found', async () => {
    fixture = await livyFixture({
      server: { faults: [{ method: 'POST', path: posted, action: { kind: 'drop-before' } }] },
    });
    await fixture.open();
    assert.equal(fixture.server.count('POST /sessions'), 2);
    assert.equal(fixture.server.count('session created'), 1);
  });

  it('adopts a session that shows up only after the proxy gave up', async () => {
    fixture = await livyFixture({
      server: {
        faults: [{ method: 'POST', path: posted, action: { kind: 'delay-before', ms: 750 } }],
      },
    });
    await fixture.open({ adoptGraceMs: 1000 });
    assert.equal(fixture.server.count('session created'), 1);
    assert.equal(fixture.server.count('POST /sessions'), 1);
  });

  it('adopts the first session when the second request meets its own name', async () => {
    fixture = await livyFixture({
      server: {
        faults: [{ method: 'POST', path: posted, action: { kind: 'delay-before', ms: 1100 } }],
      },
    });
    await fixture.open({ adoptGraceMs: 100, startTimeoutMs: 4000 });
    await sleep(600);
    assert.equal(fixture.server.sessions.size, 1);
    assert.equal(fixture.server.count('session created'), 1);
  });

  it('waits while too many sessions are being created', async () => {
    const full = message(400, 'Rejected, too many sessions are being created!');
    fixture = await livyFixture({
      server: {
        faults: [{ method: 'POST', path: posted, times: 2, action: { kind: 'answer', ...full } }],
      },
    });
    await fixture.open();
    assert.equal(fixture.server.count('POST /sessions'), 3);
    assert.equal(fixture.server.count('session created'), 1);
  });

  it('deletes a session that never starts, and shows the end of its log', async () => {
    fixture = await livyFixture({ server: { startMs: Number.POSITIVE_INFINITY } });
    await assert.rejects(fixture.open({ startTimeoutMs: 150 }), (error: unknown) => {
      assert.ok(isLivyProblem(error, 'timeout'));
      assert.match(
        (error as Error).message,
        /state starting after 150 ms.*\nspark-submit started/s,
      );
      assert.deepEqual(livyFacts(error)?.log, ['spark-submit started for session 0']);
      return true;
    });
    assert.equal(fixture.server.count('session deleted'), 1);
    assert.equal(await fixture.store.load('test'), undefined);
  });

  it('takes a state it has never heard of for "not yet"', async () => {
    fixture = await livyFixture({ server: { startMs: Number.POSITIVE_INFINITY } });
    const states: string[] = [];
    const next: Readonly<Record<string, string>> = { starting: 'hibernating', hibernating: 'idle' };
    await fixture.open({
      onState: (it) => {
        states.push(it);
        if (next[it] !== undefined) fixture.server.setState(0, next[it]);
      },
    });
    assert.deepEqual(states, ['starting', 'hibernating', 'idle']);
  });

  it('reports a session that dies while starting, with the log', async () => {
    fixture = await livyFixture({ server: { startMs: Number.POSITIVE_INFINITY } });
    const onState = (): void =>
      fixture.server.kill(0, 'java.lang.OutOfMemoryError: Java heap space');
    await assert.rejects(fixture.open({ onState }), (error: unknown) => {
      assert.ok(isLivyProblem(error, 'dead'));
      assert.match((error as Error).message, /OutOfMemoryError/);
      return true;
    });
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('deletes the session when the caller gives up while it starts', async () => {
    fixture = await livyFixture({ server: { startMs: Number.POSITIVE_INFINITY } });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(fixture.open({ signal: controller.signal }), (error: unknown) =>
      isLivyProblem(error, 'cancelled'),
    );
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('deletes the session when the caller gives up while it is being asked for', async () => {
    fixture = await livyFixture({
      server: { faults: [{ method: 'POST', path: posted, action: { kind: 'delay', ms: 300 } }] },
    });
    const controller = new AbortController();
    const timer = setInterval(() => {
      if (fixture.server.count('session created') === 0) return;
      clearInterval(timer);
      controller.abort();
    }, 5);
    await assert.rejects(fixture.open({ signal: controller.signal }), (error: unknown) =>
      isLivyProblem(error, 'cancelled'),
    );
    assert.equal(fixture.server.count('session created'), 1);
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('adopts the running session of its key in the next process', async () => {
    fixture = await livyFixture();
    const first = await fixture.open();
    first.detach();
    const second = await fixture.open();
    assert.ok(second.adopted);
    assert.equal(second.id, first.id);
    assert.equal(fixture.server.count('session created'), 1);
  });

  it('leaves its session to the next process when the server is silent', async () => {
    fixture = await livyFixture();
    const session = await fixture.open();
    const action = { kind: 'drop-before' } as const;
    fixture.server.addFaults({ path: /./, times: Number.POSITIVE_INFINITY, action });
    await assert.rejects(session.check(), (error) => isLivyProblem(error, 'network'));
    await session.close();
    fixture.server.clearFaults();
    assert.equal(fixture.server.count('DELETE /sessions'), 0);
    const next = await fixture.open();
    assert.ok(next.adopted && next.id === session.id);
    await next.close();
    assert.equal(fixture.server.sessions.size, 0);
  });

  it('adopts a session of which only the intent was written', async () => {
    fixture = await livyFixture();
    await fixture.client.createSession({ name: 'reprise-left-behind' });
    await fixture.store.save(intent(fixture.client.url, 'reprise-left-behind'));
    const session = await fixture.open();
    assert.ok(session.adopted);
    assert.equal(fixture.server.count('session created'), 1);
  });

  it('discards what a crashed process left, and only that', async () => {
    fixture = await livyFixture();
    await fixture.client.createSession({ name: 'reprise-left-behind' });
    fixture.server.addForeignSession('somebody-elses', 'eve');
    await fixture.store.save(intent(fixture.client.url, 'reprise-left-behind'));
    const { client, store } = fixture;
    const discard = () => discardRecorded(client, sessionVerbs(client), store, 'test');
    assert.equal(await discard(), true);
    assert.deepEqual(
      [...fixture.server.sessions.values()].map((it) => it.name),
      ['somebody-elses'],
    );
    assert.equal(await discard(), false);
  });

  it('goes on with its session after a restart with recovery', async () => {
    fixture = await livyFixture();
    const session = await fixture.open();
    fixture.server.restart({ recovery: true });
    await session.checkIfBroken();
    assert.equal((await session.check()).id, session.id);
    assert.ok(!session.lost.aborted);
  });

  it("refuses a stranger's session that got its id after a restart without recovery", async () => {
    fixture = await livyFixture();
    const session = await fixture.open();
    fixture.server.restart({ recovery: false });
    const stranger = fixture.server.addForeignSession('somebody-elses', 'eve');
    assert.equal(stranger.id, session.id);
    await assert.rejects(session.check(), (error: unknown) => isLivyProblem(error, 'dead'));
    assert.ok(session.lost.aborted);
    await session.close();
    assert.ok(fixture.server.sessions.has(stranger.id), "the stranger's session must live on");
  });

  it('refuses a session with its name but another application', async () => {
    fixture = await livyFixture();
    const session = await fixture.open();
    fixture.server.restart({ recovery: false });
    fixture.server.addForeignSession(session.name, 'eve');
    await sleep(40);
    await assert.rejects(session.check(), (error: unknown) => isLivyProblem(error, 'identity'));
    await session.close();
    assert.equal(fixture.server.sessions.size, 1, "the stranger's session must live on");
  });

  it('keeps an idle session alive for many times its idle limit', async () => {
    fixture = await livyFixture();
    const session = await fixture.open({ spec: { idleSeconds: 1, heartbeatSeconds: 0 } });
    await sleep(3200);
    assert.equal(fixture.server.count('session ended: idle'), 0);
    assert.equal((await session.check()).state, 'idle');
    session.detach();
    await sleep(1300);
    assert.equal(fixture.server.count('session ended: idle'), 1);
  });

  it('leaves a lease that ends the session when the client is gone', async () => {
    fixture = await livyFixture();
    const session = await fixture.open({ spec: { heartbeatSeconds: 1 } });
    await sleep(2000);
    assert.equal(fixture.server.count('session ended: silent'), 0);
    session.detach();
    await sleep(1300);
    assert.equal(fixture.server.count('session ended: silent'), 1);
  });

  it('always asks for a lease', async () => {
    fixture = await livyFixture();
    await fixture.open();
    assert.equal(fixture.server.sessions.get(0)?.request.heartbeatTimeoutInSecond, 600);
    assert.equal(keepAliveMs(600, 3600), 200_000);
  });

  it('tells everyone waiting that the session has died', async () => {
    fixture = await livyFixture();
    const session = await fixture.open({ spec: { heartbeatSeconds: 0.3 } });
    const told = new Promise((resolve) => session.lost.addEventListener('abort', resolve));
    fixture.server.kill(session.id, 'Container killed by YARN');
    await told;
    assert.match((session.lost.reason as Error).message, /state dead\n.*Container killed by YARN/s);
  });

  it('takes the answer of an upload as Livy 0.9 gives it', async () => {
    fixture = await livyFixture();
    const session = await fixture.open();
    await fixture.client.uploadJar(session.name, import.meta.filename);
    assert.equal(fixture.server.count('POST /sessions/*/upload-jar'), 1);
    assert.ok(Number(fixture.server.sessions.get(session.id)?.driver.get('jar')) > 1000);
  });

  it('confirms the end through a broken proxy', async () => {
    fixture = await livyFixture();
    const session = await fixture.open();
    const away = jettyPage(503, 'Service Unavailable');
    fixture.server.addFaults({
      method: 'DELETE',
      path: /./,
      times: 2,
      action: { kind: 'answer', ...away },
    });
    await session.close();
    assert.equal(fixture.server.sessions.size, 0);
  });

  for (const name of ['a b', '17', '<script>', 'x"y', '../x', '']) {
    it(`refuses the session name ${JSON.stringify(name)} before anything is sent`, async () => {
      fixture = await livyFixture();
      await fixture.client.version();
      await assert.rejects(
        fixture.client.createSession({ name }),
        /livy session name: expected letters/,
      );
      assert.equal(fixture.server.count('POST /sessions'), 0);
    });
  }
});

const intent = (url: string, name: string): SessionRecord => ({
  key: 'test',
  url,
  name,
  phase: 'intent',
  id: null,
  appId: null,
  owner: null,
  boot: null,
  createdAt: '2026-01-01T00:00:00.000Z',
});

describe('livy session records on disk', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-livy-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('come back whole, private, and leave no temporary files', async () => {
    const store = folderSessionStore(join(folder, 'records'));
    const record = intent('http://h', 'reprise-x');
    await store.save(record);
    await store.save({ ...record, phase: 'created', id: 3 });
    assert.equal((await store.load('test'))?.id, 3);
    const [file, ...more] = await readdir(join(folder, 'records'));
    assert.equal(more.length, 0);
    assert.equal((await stat(join(folder, 'records', file ?? ''))).mode & 0o777, 0o600);
    await store.remove('test');
    assert.equal(await store.load('test'), undefined);
  });

  it('belong to a process: that of a dead one is taken over, by one of many', async () => {
    const store = folderSessionStore(folder);
    // A process of its own makes the key and dies.
    const module = new URL('../../spark-bridge/livy/session-store.js', import.meta.url).href;
    const script = `const m = await import('${module}'); console.log(await m.claimSessionKey('${folder}', 'p'))`;
    const dead = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    }).trim();
    const alive = await claimSessionKey(folder, 'p');
    const now = new Date().toISOString();
    await store.save({ ...intent('http://h', 'of-the-dead'), key: dead, createdAt: now });
    await store.save({ ...intent('http://h', 'of-the-living'), key: alive, createdAt: now });
    assert.equal(await store.load(await claimSessionKey(folder, 'another')), undefined);
    const keys = await Promise.all([1, 2, 3, 4].map(() => claimSessionKey(folder, 'p')));
    const taken = await Promise.all(keys.map((key) => store.load(key)));
    const names = taken.flatMap((record) => record?.name ?? []);
    assert.deepEqual(names, ['of-the-dead']);
    assert.equal((await store.load(alive))?.name, 'of-the-living');
    assert.equal(await store.load(dead), undefined);
    // One that dies while it takes a record over leaves it for the next; what it was writing goes.
    const [record] = taken.flatMap((it) => it ?? []);
    await store.remove(record!.key);
    const token = dead.slice(dead.lastIndexOf(' @') + 2);
    await writeFile(join(folder, `${token}.claim`), JSON.stringify(record));
    await writeFile(join(folder, `${WRITING}${token}`), '{"key": "p');
    const next = await claimSessionKey(folder, 'p');
    assert.equal((await store.load(next))?.name, 'of-the-dead');
    assert.equal((await readdir(folder)).length, 2);
  });

  it('go when their session must have ended long ago', async () => {
    const store = folderSessionStore(folder);
    await store.save({ ...intent('http://h', 'old'), createdAt: '2020-01-01T00:00:00.000Z' });
    await claimSessionKey(folder, 'p');
    assert.deepEqual(await readdir(folder), []);
  });

  it('count as absent when damaged', async () => {
    const store = folderSessionStore(folder);
    await store.save(intent('http://h', 'reprise-x'));
    const [file] = await readdir(folder);
    await writeFile(join(folder, file ?? ''), '{"key": "te');
    assert.equal(await store.load('test'), undefined);
  });
});
