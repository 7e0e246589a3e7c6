/**
 * Every way to a Spark driver that can be killed, real JVMs all: embedded, and behind the Livy test
 * server by statements, directly and as a batch. Whoever opens one learns its process, its
 * warnings, and whether it left an application behind.
 */
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { buildShim } from '../../spark-bridge/embedded/install.js';
import {
  createLivyBackend,
  createSparkBackend,
  type LivyBackendOptions,
  type SparkBackend,
} from '../../spark-bridge/index.js';
import { memorySessionStore } from '../../spark-bridge/livy/session-store.js';
import { type LivyTestServer, startLivyTestServer } from './livy-server/livy-server.js';
import { driverPid, realDrivers } from './livy-server/real-driver.js';

/** Stands in the settings, and in what a Livy driver says last: it must be in no message. */
export const SECRET = 'open-sesame-471100';
const conf = {
  'spark.reprise.chunkRows': '2000',
  'spark.hadoop.fs.s3a.secret.key': SECRET,
};

export interface SparkWay {
  readonly name: string;
  readonly open: (warnings: string[]) => Promise<SparkBackend>;
  /** The driver that runs now. */
  readonly pid: () => number;
  /** Kills the driver that runs now. */
  readonly kill: () => void;
  /** Livy's count of what happened; 0 for embedded. */
  readonly count: (what: string) => number;
  /** After the backend was closed: no application stays behind. */
  readonly end: () => Promise<void>;
}

function livy(name: string, more: LivyBackendOptions): SparkWay {
  let server: LivyTestServer;
  const living = () => [...server.sessions.values()].filter((it) => it.state !== 'dead');
  return {
    name,
    open: async (warnings) => {
      server = await startLivyTestServer({ ...(await realDrivers(conf)), startMs: 50 });
      return await createLivyBackend({
        connection: { url: server.url },
        key: name,
        store: memorySessionStore(),
        jar: { by: 'uri', uri: pathToFileURL(await buildShim()).href },
        spec: { conf },
        pollMs: 20,
        waitMs: { min: 100, max: 1000 },
        startTimeoutMs: 120_000,
        lostAfterMs: 10_000,
        onWarning: (message) => warnings.push(message),
        ...more,
      });
    },
    pid: () => driverPid(living()[0]),
    kill: () => {
      const [session] = living();
      session?.log.push(`last words: fs.s3a.secret.key=${SECRET}`);
      process.kill(driverPid(session), 'SIGKILL');
    },
    count: (what) => server.count(what),
    end: async () => {
      assert.deepEqual(living(), [], 'no application stays behind');
      await server.close();
    },
  };
}

function embedded(): SparkWay {
  let jvm = 0;
  return {
    name: 'embedded',
    open: (warnings) =>
      createSparkBackend({
        memoryBytes: 1024 ** 3,
        cores: 2,
        conf,
        onWarning: (message) => warnings.push(message),
        onStart: (pid) => {
          jvm = pid;
        },
      }),
    pid: () => jvm,
    kill: () => process.kill(jvm, 'SIGKILL'),
    count: () => 0,
    end: async () => undefined,
  };
}

export const sparkWays: readonly SparkWay[] = [
  embedded(),
  livy('Livy statements', { channelMode: 'statements' }),
  livy('direct behind Livy', { channelMode: 'direct' }),
  livy('Livy batch', { mode: 'batch', leaseSeconds: 60 }),
];
