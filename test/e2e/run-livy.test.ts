/**
 * `reprise run --engine spark` through Livy, as a user does: the Livy test server on a real socket,
 * real Spark drivers with the real shim behind it. The answers are those of this machine, and no
 * session, batch or JVM stays behind, whatever happens.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildShim } from '../../spark-bridge/embedded/install.js';
import { findSpark } from '../../spark-bridge/embedded/locations.js';
import { reprise } from '../support/cli.js';
import { duckdb, JobFolder } from '../support/job-folder.js';
import {
  type LivyTestServer,
  type LivyTestServerOptions,
  startLivyTestServer,
} from '../support/livy-server/livy-server.js';
import { driverPid, type RealDrivers, realDrivers } from '../support/livy-server/real-driver.js';
import { startedRequests } from '../support/livy-server/started-requests.js';
import { sparkMissing } from '../support/spark.js';

const JOB = {
  data: { path: 'data.parquet', target: 'y', features: ['a', 'b'] },
  cv: { folds: 5, shuffle: true, seed: 3 },
};

describe('reprise run through Livy', function () {
  this.timeout(300_000);
  let folder: JobFolder;
  let drivers: RealDrivers;
  let server: LivyTestServer;
  let pids: number[];

  before(async function () {
    const missing = sparkMissing();
    if (missing !== undefined) {
      console.warn(`SKIPPED reprise run through Livy: ${missing}`);
      this.skip();
    }
    drivers = await realDrivers();
    await buildShim();
  });
  beforeEach(async () => {
    pids = [];
    folder = new JobFolder();
    const rows = 'select i * 37 % 101 as a, i * i % 89 as b, (i * 37 % 101) * 2.0 + i % 7 as y';
    await duckdb(
      `copy (${rows} from range(2000) t(i)) to '${folder.file('data.parquet')}' (format parquet)`,
    );
    folder.job(JOB);
  });
  afterEach(async () => {
    folder.remove();
    await server?.close();
    for (let i = 0; i < 100 && pids.some(isAlive); i++) await sleep(100);
    assert.deepEqual(pids.filter(isAlive), [], 'no JVM stays behind');
  });

  const start = async (options: Partial<LivyTestServerOptions> = {}): Promise<void> => {
    server = await startLivyTestServer({ ...drivers, startMs: 50, ...options });
  };
  const seePids = (): void => {
    for (const session of server.sessions.values()) {
      if (session.driver.has('child')) pids.push(driverPid(session));
    }
  };
  const run = (
    env: Readonly<Record<string, string>> = {},
    onStart: (child: ChildProcess) => void = () => {},
  ) =>
    reprise(['run', 'job.yaml', '--engine', 'spark', '--json'], {
      cwd: folder.path,
      env: { REPRISE_LIVY_URL: server.url, ...env },
      onStart,
    });
  /** Of this machine, for the same data and job in every test. */
  let known: Promise<number> | undefined;
  const scoreHere = async (): Promise<number> => {
    const { stdout } = await reprise(['run', 'job.yaml', '--engine', 'local', '--json'], {
      cwd: folder.path,
    });
    return JSON.parse(stdout).best.score;
  };
  const score = (): Promise<number> => {
    known ??= scoreHere();
    return known;
  };
  const assertAnswer = async (result: Awaited<ReturnType<typeof run>>): Promise<void> => {
    assert.equal(result.code, 0, result.stderr);
    const answer = JSON.parse(result.stdout);
    assert.equal(answer.engine, 'spark');
    const here = await score();
    assert.ok(Math.abs(answer.best.score / here - 1) <= 1e-9, `${answer.best.score}, here ${here}`);
    assert.equal(server.sessions.size, 0, 'no session or batch stays behind');
  };

  it('gives the answer of this machine by a batch, found by what it leaves in the folder', async () => {
    await start({
      launch: (session) => {
        // Where its log does not show it, the batch's address is in the folder.
        const value = { push: () => 0, length: 0, slice: () => [] };
        Object.defineProperty(session, 'log', { value });
        drivers.launch(session);
      },
    });
    const env = {
      REPRISE_LIVY_MODE: 'batch',
      REPRISE_LIVY_STORAGE: join(folder.path, 'shared'),
      // Else the first batch is one for another Spark, as `livy/batch` has it.
      REPRISE_SPARK_VERSION: findSpark()?.version ?? '',
    };
    await assertAnswer(await run(env));
    assert.equal(server.count('statement run'), 0);
    assert.equal(server.count('POST /batches'), 1);
  });

  it('finishes though the driver is killed in the middle', async () => {
    await start();
    const watch = setInterval(() => {
      // Two greetings and the description have been; what follows reads the data.
      if (pids.length > 0 || startedRequests(server.sessions.get(0)) < 4) return;
      seePids();
      if (pids[0] !== undefined) process.kill(pids[0], 'SIGKILL');
    }, 10);
    const result = await run({ REPRISE_LIVY_CHANNEL: 'statements' });
    clearInterval(watch);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(server.count('session created'), 2);
    assert.match(result.stderr, /expected it to run, got .*dead/);
    const living = [...server.sessions.values()].filter((it) => it.state !== 'dead');
    assert.deepEqual(living, []);
    const here = await score();
    assert.ok(Math.abs(JSON.parse(result.stdout).best.score / here - 1) <= 1e-9);
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    it(`ends the session on ${signal} while it starts`, async () => {
      await start({ startMs: Number.POSITIVE_INFINITY });
      const result = await run({}, (child) => {
        const timer = setInterval(() => {
          if (server.count('session created') === 0) return;
          clearInterval(timer);
          setTimeout(() => child.kill(signal), 300);
        }, 20);
      });
      assert.equal(result.code, code, result.stderr);
      assert.equal(server.count('session created'), 1);
      assert.equal(server.sessions.size, 0);
      assert.deepEqual(folder.runs(), []);
    });
  }

  it('ends session and driver on SIGINT in the middle of a run', async () => {
    await start();
    const result = await run({ REPRISE_LIVY_CHANNEL: 'statements' }, (child) => {
      const timer = setInterval(() => {
        // The first asks for versions, the second greets the shim.
        if (server.count('statement run') < 3) return;
        seePids();
        clearInterval(timer);
        child.kill('SIGINT');
      }, 10);
    });
    assert.equal(result.code, 130, result.stderr);
    assert.equal(pids.length, 1);
    assert.equal(server.sessions.size, 0);
    assert.deepEqual(folder.runs(), []);
  });

  it('ends at once on a second SIGINT; the next run takes over what that left, and gives the answer of this machine', async () => {
    await start({
      startMs: Number.POSITIVE_INFINITY,
      // The first attempt to delete the session gets no answer for as long as somebody waits.
      faults: [
        { method: 'DELETE', path: /^\/sessions/, action: { kind: 'delay-before', ms: 600_000 } },
      ],
    });
    const deletions = (): number =>
      server.requests.filter(({ method }) => method === 'DELETE').length;
    const result = await run({}, (child) => {
      const timer = setInterval(() => {
        if (server.count('session created') === 0) return;
        clearInterval(timer);
        child.kill('SIGINT');
        const second = setInterval(() => {
          if (deletions() === 0) return;
          clearInterval(second);
          child.kill('SIGINT');
        }, 20);
      }, 20);
    });
    assert.equal(result.code, 130, result.stderr);
    assert.equal(deletions(), 1);
    assert.equal(server.sessions.size, 1, 'nobody waited for its end');
    assert.equal(folder.runs().length, 1, 'its journal');
    server.setState(0, 'idle');
    await assertAnswer(await run());
    assert.equal(server.count('session created'), 1);
  });

  it('finishes and ends its session when nobody reads what it says', async () => {
    await start();
    let requests = 0;
    const watch = setInterval(() => {
      requests = Math.max(requests, startedRequests(server.sessions.get(0)));
    }, 20);
    const result = await run({}, (child) => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
    clearInterval(watch);
    assert.equal(result.code, 0);
    assert.equal(requests, 2, 'a greeting, the direct channel; the rest goes by that');
    assert.ok(server.count('session created') === 1 && server.count('session deleted') === 1);
    assert.equal(server.sessions.size, 0);
    assert.equal(folder.runs().length, 1);
  });

  it('refuses a setting it does not know, before it asks for anything', async () => {
    await start();
    const result = await run({ REPRISE_LIVY_CHANNEL: 'fast' });
    assert.equal(result.code, 3, result.stderr);
    assert.match(result.stderr, /REPRISE_LIVY_CHANNEL: expected auto, direct, statements/);
    assert.equal(server.requests.length, 0);
  });
});

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);
