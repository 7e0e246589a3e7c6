/**
 * Spark behind Apache Livy as a backend: a session (or batch) of this machine's own, the shim's jar
 * for the cluster's Scala, and the channel. Invariants: closing the backend ends the application;
 * when the application dies, the next one is opened in the same way, and never beside the first.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import type { SqlParser } from '../../driver/frame/sql/parser.js';
import { env } from '../../driver/support/env.js';
import { RenewableChannel, type Way } from '../channel/renewable-channel.js';
import { buildShim } from '../embedded/install.js';
import { nativeBlasFiles, shimDigest, wantedSpark } from '../embedded/locations.js';
import { shimTarget } from '../embedded/spark-lines.js';
import { createSparkBackend, type SparkBackend } from '../programs/spark-backend.js';
import { type ConnectOptions, connectLivy, type JarDelivery } from './connect.js';
import { openBatch } from './livy-batch.js';
import { createLivyClient } from './livy-client.js';
import { createLivyHttp } from './livy-http.js';
import { claimSessionKey, folderSessionStore } from './session-store.js';
import { livySettings } from './settings.js';
import type { RunningVersions } from './statement-code.js';

export interface LivyBackendOptions
  extends Omit<ConnectOptions, 'connection' | 'key' | 'store' | 'jar'> {
  /** Default: what the variables REPRISE_LIVY_* say. */
  readonly connection?: ConnectOptions['connection'];
  /** `batch` runs the shim as its own application, where sessions are barred. Default `session`. */
  readonly mode?: 'session' | 'batch';
  /** The session's purpose; a dead process's session of this key is adopted. Default `default`. */
  readonly key?: string;
  /** Default: records below REPRISE_HOME. */
  readonly store?: ConnectOptions['store'];
  /** Default: the one built here for the cluster's Spark and Scala, uploaded. */
  readonly jar?: ConnectOptions['jar'];
  /** A batch ends when its driver has been silent this long. @units seconds, default 120 */
  readonly leaseSeconds?: number;
  /** Parses expressions. Default: none, and only columns can be read. */
  readonly sql?: SqlParser;
  /** Told of each step of starting. */
  readonly onProgress?: (line: string) => void;
  /** Told what the operator should know: clear-text passwords, old servers, dead applications. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens a session at `connection` (default: REPRISE_LIVY_URL and its like) and runs plans there.
 * @throws ConfigError without an address or for settings that do not fit; LivyError and
 *   ExecutionError as the cluster refuses
 */
export async function createLivyBackend(options: LivyBackendOptions = {}): Promise<SparkBackend> {
  const plan = await planOf(options);
  const open = (): Promise<Way> => (plan.mode === 'batch' ? openBatchWay(plan) : openLink(plan));
  const channel = new RenewableChannel(await open(), {
    open,
    onLost: (message) =>
      options.onWarning?.(`${message}\nlivy: opening another application for what is unfinished`),
  });
  try {
    return await createSparkBackend({ ...options, channel });
  } catch (error) {
    await channel.close().catch(() => undefined);
    throw error;
  }
}

/** What the environment and the server say of Livy. @throws LivyError when it does not answer */
export async function describeLivy(): Promise<{ text: string; sendsBlas: boolean }> {
  const { connection, mode, channelMode, shipsBlas, storage } = livySettings();
  const client = createLivyClient({ ...connection, timeoutMs: 5000, retry: { retries: 0 } });
  try {
    const { text } = await client.version();
    const how = mode === 'batch' ? 'a batch' : `a session, channel ${channelMode}`;
    const sendsBlas = shipsBlas && (mode === 'session' || storage !== undefined);
    return { text: `Livy ${text} at ${client.url} (${how})`, sendsBlas };
  } finally {
    client.close();
  }
}

type Plan = ConnectOptions &
  Pick<LivyBackendOptions, 'mode' | 'leaseSeconds'> & {
    /** What a batch that came to nothing said of its cluster. */
    batchVersions?: RunningVersions;
  };

/** What is asked for, from the caller first and the environment second. */
async function planOf(options: LivyBackendOptions): Promise<Plan> {
  const { onProgress, onWarning, ...given } = options;
  const { connection: reached, ...settings } = livySettings(given.connection?.url);
  const { conf, ...spec } = { ...settings.spec, ...given.spec };
  const merged = {
    ...{ blas: settings.shipsBlas ? nativeBlasFiles() : [] },
    ...settings,
    ...given,
    spec: { ...spec, conf: { ...ONE_BLAS_THREAD, ...settings.spec.conf, ...conf } },
  };
  const build = (running: RunningVersions): Promise<string> =>
    buildShim({
      target: shimTarget(running, 'livy'),
      ...(onProgress ? { onProgress } : {}),
      ...(given.signal ? { signal: given.signal } : {}),
    });
  const jar = merged.jar ?? { by: 'upload' as const, path: build };
  const version = versionOf(jar);
  const connection = { ...reached, ...given.connection, ...(onWarning ? { onWarning } : {}) };
  const { baseUrl } = createLivyHttp(connection);
  const purpose = `${given.key ?? 'default'} ${merged.mode} ${version} ${baseUrl}`;
  const folder = join(env.home(), 'livy');
  return {
    ...merged,
    connection,
    key: given.store ? purpose : await claimSessionKey(folder, purpose),
    store: given.store ?? folderSessionStore(folder),
    jar,
    onState: (state) => {
      given.onState?.(state);
      onProgress?.(`livy: ${merged.mode} ${state}`);
    },
  };
}

/** A task fills its core. */
const ONE_BLAS_THREAD = {
  'spark.executorEnv.OPENBLAS_NUM_THREADS': '1',
  'spark.executorEnv.OMP_NUM_THREADS': '1',
};

/** Has the digest of the shim's sources, so that a session with another shim is not adopted. */
function versionOf(jar: JarDelivery): string {
  if (jar.by === 'uri') return jar.uri;
  if (jar.by === 'present') return 'present';
  return typeof jar.path === 'string' ? basename(jar.path) : shimDigest();
}

async function openLink(plan: Plan): Promise<Way> {
  const link = await connectLivy(plan);
  const { channel, session } = link;
  return { channel, lost: session.lost, over: session.over, close: () => link.close() };
}

async function openBatchWay(plan: Plan): Promise<Way> {
  try {
    return await openBatchOf(plan);
  } catch (error) {
    // A batch can't be asked before it runs, but the shim says why it is not the right one.
    const [, spark, scala] = MISFIT.exec(String((error as Error).message)) ?? [];
    const isOurs = plan.jar.by === 'upload' && typeof plan.jar.path !== 'string';
    if (!isOurs || spark === undefined || scala === undefined) throw error;
    plan.batchVersions = { spark, scala };
    return await openBatchOf(plan);
  }
}

/** What `scala-shim/.../Fit.scala` says. */
const MISFIT =
  /shim: expected Spark \S+ with Scala \S+ which .*? got Spark (\S+) with Scala ([\d.]+);/;
/** What REPRISE_SPARK_VERSION says, else what clusters behind Livy run most. */
function likelyVersions(): RunningVersions {
  if (env.sparkVersion() === undefined) return { spark: '3.5', scala: '2.12' };
  const { line, scala } = wantedSpark();
  return { spark: line, scala };
}

async function openBatchOf(plan: Plan): Promise<Way> {
  const client = createLivyClient(plan.connection);
  try {
    const { jar, key, allow, storage, blas = [], ...rest } = plan;
    const files = [...(plan.spec?.files ?? []), ...(await storedFiles(blas, storage))];
    const batch = await openBatch(client, {
      ...rest,
      ...(storage ? { storage } : {}),
      spec: { ...plan.spec, files },
      key,
      jarUri: await batchJar(plan),
      allow: allow ?? livySettings(plan.connection.url).allow,
    });
    const close = (): Promise<void> => batch.close().finally(() => client.close());
    return { channel: batch.channel, lost: batch.lost, over: batch.over, close };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** URIs of these files in shared storage; none without one: a batch can be sent nothing. */
async function storedFiles(
  paths: readonly string[],
  storage: ConnectOptions['storage'],
): Promise<string[]> {
  if (storage === undefined) return [];
  return Promise.all(paths.map(async (path) => storage.put(basename(path), await readFile(path))));
}

/** A batch starts from its jar, so the cluster must be able to read it before anything runs. */
async function batchJar({ jar, storage, batchVersions }: Plan): Promise<string> {
  if (jar.by === 'uri') return jar.uri;
  const place = jar.by === 'storage' ? jar.storage : storage;
  if (place !== undefined && 'path' in jar) {
    const { path } = jar;
    const file = typeof path === 'string' ? path : await path(batchVersions ?? likelyVersions());
    return await place.put(basename(file), await readFile(file));
  }
  throw new ConfigError(
    `livy batch: expected the shim's jar where the cluster reads it, got one that can only be uploaded to a session; set REPRISE_LIVY_JAR (its URI) or REPRISE_LIVY_STORAGE (a folder both sides reach)`,
    { key: 'REPRISE_LIVY_JAR' },
  );
}
