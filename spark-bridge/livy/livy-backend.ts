/**
 * Spark behind Apache Livy as a backend: the shim's jar for the cluster's Scala, a session of this machine's own that
 * survives our process, the channel over statements. Invariant: closing the backend ends the session.
 */
import { basename, join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { buildShim } from '../embedded/install.js';
import type { ScalaVersion } from '../embedded/locations.js';
import { createSparkBackend, type SparkBackend } from '../programs/spark-backend.js';
import { type ConnectOptions, connectLivy } from './connect.js';
import { folderSessionStore } from './session-store.js';

export interface LivyBackendOptions
  extends Omit<ConnectOptions, 'connection' | 'key' | 'store' | 'jar'> {
  readonly connection?: ConnectOptions['connection'];
  /** What the session is for; a session of the same key that still runs is adopted. Default `default`. */
  readonly key?: string;
  /** Default: records below REPRISE_HOME. */
  readonly store?: ConnectOptions['store'];
  /** Default: the jar built here, uploaded. */
  readonly jar?: ConnectOptions['jar'];
  /** Of the cluster's Spark; default 2.12. */
  readonly scala?: ScalaVersion;
  /** Told of each step of starting. */
  readonly onProgress?: (line: string) => void;
}

/**
 * Opens a session at `connection` (default REPRISE_LIVY_URL) and runs plans there.
 * @throws ConfigError without an address; LivyError and ExecutionError as the cluster refuses
 */
export async function createLivyBackend(options: LivyBackendOptions = {}): Promise<SparkBackend> {
  const url = options.connection?.url ?? env.livyUrl();
  if (url === undefined) {
    throw new ConfigError(
      'livy: expected the address of a Livy server, got none; set REPRISE_LIVY_URL',
      {
        key: 'REPRISE_LIVY_URL',
      },
    );
  }
  const { scala = '2.12', onProgress, ...rest } = options;
  const built =
    rest.jar === undefined
      ? await buildShim({ scala, ...(onProgress ? { onProgress } : {}) })
      : undefined;
  const jar = rest.jar ?? { by: 'upload' as const, path: built ?? '' };
  // The jar's name has the digest of its sources, so a session with another shim is not adopted.
  const version = 'path' in jar ? basename(jar.path) : 'uri' in jar ? jar.uri : 'present';
  const link = await connectLivy({
    ...rest,
    connection: { ...options.connection, url },
    key: `${options.key ?? 'default'} ${version}`,
    store: options.store ?? folderSessionStore(join(env.home(), 'livy')),
    jar,
    onState: (state) => {
      rest.onState?.(state);
      onProgress?.(`livy: session ${state}`);
    },
  });
  try {
    return await createSparkBackend({ channel: link.channel, onClose: () => link.close() });
  } catch (error) {
    await link.close().catch(() => undefined);
    throw error;
  }
}
