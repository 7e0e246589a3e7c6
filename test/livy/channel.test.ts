/** The shim's channel over statements, under faults; each test counts what ran. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError, ResourceError } from '../../driver/errors.js';
import { isLivyProblem } from '../../spark-bridge/livy/errors.js';
import type { LivyChannel, LivyChannelOptions } from '../../spark-bridge/livy/livy-channel.js';
import type { LivySession } from '../../spark-bridge/livy/livy-session.js';
import { folderStorage } from '../../spark-bridge/livy/payload-storage.js';
import { echoProgram } from '../support/livy-server/frame-handlers.js';
import { type Fixture, livyFixture } from '../support/livy-server/livy-fixture.js';

describe('livy channel', function () {
  this.timeout(15_000);
  let fixture: Fixture;
  let session: LivySession;
  let channel: LivyChannel;
  const start = async (
    options: Parameters<typeof livyFixture>[0] = {},
    channelOptions: LivyChannelOptions = {},
  ): Promise<void> => {
    fixture = await livyFixture(options);
    session = await fixture.open();
    channel = fixture.channel(session, channelOptions);
  };
  afterEach(async () => {
    await channel.close();
    await fixture.end();
  });
  const submitted = /\/statements$/;
  const looked = /\/statements\/\d+$/;
  const echo = async (run: string, bytes: Uint8Array): Promise<void> => {
    const { payloads } = await channel.call('runProgram', echoProgram(run), [bytes]);
    assert.ok(Buffer.from(payloads[0] ?? []).equals(bytes), 'the payload comes back unchanged');
  };

  it('answers, with payloads, in one statement', async () => {
    await start();
    await echo('a', randomBytes(20_000));
    assert.equal(channel.statements(), 1);
    assert.equal(fixture.executed(0), 1);
  });

  it('puts calls made together into one statement and runs them side by side', async () => {
    await start({ shim: { delayMs: 300 } });
    const started = Date.now();
    await Promise.all(Array.from({ length: 8 }, (_, i) => echo(`r${i}`, randomBytes(1000))));
    assert.ok(Date.now() - started < 8 * 300);
    assert.equal(fixture.executed(0), 8);
    assert.equal(fixture.server.count('POST /sessions/*/statements'), channel.statements());
    assert.ok(channel.statements() < 8);
  });

  it('takes a new call while an old one runs', async () => {
    await start();
    const controller = new AbortController();
    const long = channel.call('runProgram', echoProgram('forever-1'), [], {
      signal: controller.signal,
    });
    await sleep(50);
    await channel.call('ping', {});
    controller.abort();
    await assert.rejects(long, { name: 'AbortError' });
  });

  it('turns the error of a reply into its class', async () => {
    await start();
    await assert.rejects(
      channel.call('collect', { handle: 'nowhere', run: 'r' }),
      (error: unknown) => error instanceof DataError && error.facts.handle === 'nowhere',
    );
  });

  for (const kind of ['drop-after', 'half-json', 'short-body'] as const) {
    it(`does not send a statement twice when the answer to it is lost (${kind})`, async () => {
      await start();
      fixture.server.addFaults({ method: 'POST', path: submitted, action: { kind } });
      await echo('a', randomBytes(100));
      assert.equal(fixture.server.count('POST /sessions/*/statements'), 1);
      assert.equal(fixture.server.count('statement run'), 1);
      assert.equal(fixture.executed(0), 1);
    });
  }

  it('finds a lost statement without the list when the list has grown too large', async () => {
    await start();
    await echo('a', randomBytes(100));
    fixture.server.addFaults(
      { method: 'POST', path: submitted, action: { kind: 'drop-after' } },
      {
        method: 'GET',
        path: submitted,
        times: 99,
        action: { kind: 'answer', status: 500, body: '"too large"' },
      },
    );
    await echo('b', randomBytes(100));
    assert.equal(fixture.server.count('POST /sessions/*/statements'), 2);
    assert.equal(fixture.executed(0), 2);
  });

  it('finds a lost statement on a server that can not order its list', async () => {
    await start({ server: { version: '0.7.1' } });
    for (let i = 0; i < 25; i++) await channel.call('ping', {});
    fixture.server.addFaults({ method: 'POST', path: submitted, action: { kind: 'drop-after' } });
    await echo('b', randomBytes(100));
    assert.equal(fixture.server.count('POST /sessions/*/statements'), 26);
  });

  it('sends again a statement that never arrived', async () => {
    await start();
    fixture.server.addFaults({ method: 'POST', path: submitted, action: { kind: 'drop-before' } });
    await echo('a', randomBytes(100));
    assert.equal(fixture.server.count('POST /sessions/*/statements'), 2);
    assert.equal(fixture.executed(0), 1);
  });

  it('does the work once when a statement given up for lost runs after all', async () => {
    await start();
    fixture.server.addFaults({
      method: 'POST',
      path: submitted,
      action: { kind: 'delay-before', ms: 1000 },
    });
    await echo('a', randomBytes(100));
    await sleep(700);
    assert.equal(fixture.server.count('statement run'), 2, 'both statements ran');
    assert.equal(fixture.executed(0), 1, 'their request ran once');
  });

  it('waits while the session recovers', async () => {
    await start();
    fixture.server.setState(0, 'recovering');
    setTimeout(() => fixture.server.setState(0, 'idle'), 700);
    await echo('a', randomBytes(100));
    assert.equal(fixture.server.count('statement run'), 1);
    assert.equal(fixture.server.count('POST /sessions/*/statements'), 2);
  });

  it('asks the shim again when Livy has dropped the result', async () => {
    await start();
    fixture.server.addFaults({
      method: 'GET',
      path: looked,
      action: { kind: 'answer', status: 404, body: '"Statement not found"' },
    });
    await echo('a', randomBytes(100));
    assert.equal(fixture.server.count('statement run'), 2);
    assert.equal(fixture.executed(0), 1);
  });

  it('lives through the eviction of old statements', async () => {
    await start({ server: { retainedStatements: 3 } });
    for (let i = 0; i < 10; i++) await echo(`r${i}`, randomBytes(100));
    assert.equal(fixture.executed(0), 10);
    assert.equal(fixture.server.sessions.get(0)?.statements.size, 3);
  });

  it('sends larger payloads in chunks', async () => {
    await start();
    const bytes = randomBytes(300_000);
    await echo('a', bytes);
    assert.equal(channel.statements(), 8);
    assert.equal(fixture.executed(0), 1);
  });

  it('sends a lost chunk again', async () => {
    await start();
    fixture.server.addFaults({
      method: 'GET',
      path: looked,
      skip: 1,
      action: { kind: 'answer', status: 404, body: '"Statement not found"' },
    });
    await echo('a', randomBytes(150_000));
    assert.equal(fixture.executed(0), 1);
  });

  it('refuses a payload beyond its limits, and says what would take it', async () => {
    await start({}, { chunkedLimitBytes: 100_000 });
    await assert.rejects(
      channel.call('runProgram', echoProgram('a'), [randomBytes(200_000)]),
      (error: unknown) => error instanceof ResourceError && /shared storage/.test(error.message),
    );
    assert.equal(fixture.server.count('statement run'), 0);
    await echo('b', randomBytes(10));
  });

  it('passes large payloads both ways through shared storage, and cleans up', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reprise-storage-'));
    await start({}, { storage: folderStorage(folder, `file://${folder}`), storeOverBytes: 50_000 });
    await echo('a', randomBytes(3_000_000));
    assert.equal(channel.statements(), 1);
    assert.deepEqual(await readdir(folder), []);
    await rm(folder, { recursive: true });
  });

  it('reports an answer too large for statements, and takes it through storage', async () => {
    await start({ shim: { limitBytes: 1_000_000 } });
    await assert.rejects(
      channel.call('collect', { handle: 'bytes:5000000', run: 'r' }),
      (error: unknown) =>
        error instanceof ResourceError && /at most 1000000 bytes/.test(error.message),
    );
    const folder = await mkdtemp(join(tmpdir(), 'reprise-storage-'));
    const wider = fixture.channel(session, { storage: folderStorage(folder, `file://${folder}`) });
    const { payloads } = await wider.call('collect', { handle: 'bytes:5000000', run: 'r' });
    assert.equal(payloads[0]?.length, 5_000_000);
    assert.deepEqual(await readdir(folder), []);
    await rm(folder, { recursive: true });
  });

  it('reads a reply again that came damaged, without running its request again', async () => {
    let times = 0;
    const print = (text: string): string => (times++ < 2 ? text.slice(0, text.length / 2) : text);
    await start({ shim: { print } });
    await echo('a', randomBytes(5000));
    assert.equal(fixture.executed(0), 1);
    assert.equal(channel.statements(), 3);
  });

  it('gives up on replies that stay damaged', async () => {
    await start({ shim: { print: (text) => text.slice(0, 20) } });
    await assert.rejects(echo('a', randomBytes(5)), /5 times in a row; does something else print/);
  });

  it('says that the jar is missing when it is', async () => {
    await start({
      server: {
        evaluator: async () => ({ error: '<console>:23: error: not found: value reprise' }),
      },
    });
    await assert.rejects(
      channel.call('ping', {}),
      /does not have Reprise's jar, give it as `jars`/,
    );
  });

  it('fails what is open when the session dies in mid-statement, with the log', async () => {
    await start();
    const first = channel.call('runProgram', echoProgram('forever-1'), []);
    const second = channel.call('runProgram', echoProgram('forever-2'), []);
    setTimeout(() => fixture.server.kill(0, 'java.lang.OutOfMemoryError'), 60);
    for (const call of [first, second]) {
      await assert.rejects(call, (error: unknown) => {
        assert.ok(isLivyProblem(error, 'dead'));
        return /OutOfMemoryError/.test((error as Error).message);
      });
    }
    await assert.rejects(channel.call('ping', {}), (error: unknown) =>
      isLivyProblem(error, 'dead'),
    );
  });

  it('goes on after a restart with recovery, and runs nothing twice', async () => {
    await start({ shim: { delayMs: 150 } });
    const call = echo('a', randomBytes(100));
    setTimeout(() => fixture.server.restart({ recovery: true }), 50);
    await call;
    assert.equal(fixture.executed(0), 1);
  });

  it("never sends to a stranger's session after a restart without recovery", async () => {
    await start();
    await channel.call('ping', {});
    fixture.server.restart({ recovery: false });
    const stranger = fixture.server.addForeignSession('somebody-elses', 'eve');
    await sleep(40);
    await assert.rejects(channel.call('ping', {}), (error: unknown) =>
      isLivyProblem(error, 'dead'),
    );
    assert.equal(stranger.statements.size, 0);
  });

  it('refuses a shim that is not the one it knew', async () => {
    await start();
    await channel.call('ping', {});
    fixture.server.sessions.get(0)?.driver.clear();
    await assert.rejects(channel.call('ping', {}), (error: unknown) =>
      isLivyProblem(error, 'identity'),
    );
  });

  it('cancels a run, and keeps the session', async () => {
    await start();
    const controller = new AbortController();
    const call = channel.call('runProgram', echoProgram('forever-1'), [], {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 80);
    await assert.rejects(call, { name: 'AbortError' });
    assert.equal(fixture.shim.running.size, 1, 'the caller is released before the run has ended');
    await sleep(300);
    assert.equal(fixture.shim.running.size, 0);
    assert.equal(fixture.server.count('session deleted'), 0);
    await channel.call('ping', {});
  });

  it('deletes the session when a cancelled run does not end', async () => {
    await start();
    const controller = new AbortController();
    const call = channel.call('runProgram', echoProgram('stubborn-1'), [], {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 80);
    await assert.rejects(call, { name: 'AbortError' });
    await sleep(1200);
    assert.equal(fixture.server.count('session deleted'), 1);
    assert.equal(fixture.server.sessions.size, 0);
    await assert.rejects(channel.call('ping', {}), (error: unknown) =>
      isLivyProblem(error, 'dead'),
    );
  });

  it('keeps to a time limit', async () => {
    await start();
    await assert.rejects(
      channel.call('runProgram', echoProgram('forever-1'), [], { timeoutMs: 80 }),
      /runProgram: expected an answer in 80 ms, got none/,
    );
    await sleep(300);
    assert.equal(fixture.shim.running.size, 0, 'what ran too long is cancelled');
  });

  it('reports the progress of a run', async () => {
    await start({}, { progressMs: 30 });
    const controller = new AbortController();
    const seen = new Promise<number>((resolve) => {
      channel
        .call('runProgram', echoProgram('forever-1'), [], {
          signal: controller.signal,
          onProgress: resolve,
        })
        .catch(() => undefined);
    });
    assert.equal(await seen, 0.5);
    controller.abort();
  });

  it('rejects what is open when it is closed, and leaves the session', async () => {
    await start();
    const call = channel.call('runProgram', echoProgram('forever-1'), []);
    setTimeout(() => void channel.close(), 50);
    await assert.rejects(call, /expected an open channel, got a closed one/);
    await assert.rejects(channel.call('ping', {}), /got a closed one/);
    assert.equal(fixture.server.count('session deleted'), 0);
  });
});
