/**
 * From an address to a working channel: session opened or adopted, the shim's jar brought in the
 * way the cluster allows, the shim asked who it is. Invariant: whoever gets a `LivyLink` owns its
 * session and ends it by `close`; when opening fails, nothing is left running.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { ExecutionError } from '../../driver/errors.js';
import type { Channel } from '../channel/channel.js';
import type { WireDescription } from '../channel/wire.js';
import { parseAllowedHosts } from './allowed-hosts.js';
import { type ChannelMode, type DirectOptions, openDirectChannel } from './direct-way.js';
import { isLivyProblem } from './errors.js';
import { createLivyChannel, type LivyChannel, type LivyChannelOptions } from './livy-channel.js';
import { createLivyClient, type LivyClient } from './livy-client.js';
import type { LivySession } from './livy-session.js';
import type { PayloadStorage } from './payload-storage.js';
import { type OpenSessionOptions, openLivySession } from './session-lifecycle.js';
import { type RunningVersions, versionsIn, versionsQuestion } from './statement-code.js';
import { type StatementOptions, StatementRunner } from './statements.js';
import type { LivyConnection } from './types.js';

/** How the shim's jar reaches the session. */
export type JarDelivery =
  /** The cluster can read this URI (`hdfs:`, `s3a:`, or `file:` below the allowed folders). */
  | { readonly by: 'uri'; readonly uri: string }
  /**
   * Sent over HTTP once the session runs; at most 100 MiB unless the server allows more. A function
   * is told what the session says it runs: one jar does not fit every Spark.
   */
  | { readonly by: 'upload'; readonly path: string | JarFor }
  /** Put in shared storage, then named by its URI. */
  | { readonly by: 'storage'; readonly path: string; readonly storage: PayloadStorage }
  /** The cluster has it on its class path already. */
  | { readonly by: 'present' };

export type JarFor = (running: RunningVersions) => Promise<string>;

export interface ConnectOptions
  extends Omit<OpenSessionOptions, 'spec'>,
    LivyChannelOptions,
    Partial<DirectOptions> {
  readonly connection: LivyConnection;
  /**
   * `direct` talks to the shim itself, at a millisecond a call; `statements` works wherever Livy
   * works; `auto` is direct where the driver is on this machine or on one that `allow` names.
   * Default `statements`.
   */
  readonly channelMode?: ChannelMode;
  readonly spec?: OpenSessionOptions['spec'];
  readonly jar: JarDelivery;
  /** Native BLAS libraries for driver and executors, local paths; default none: their own. */
  readonly blas?: readonly string[];
}

export interface LivyLink {
  readonly client: LivyClient;
  readonly session: LivySession;
  /** The way calls take: `statements`, or the direct channel. */
  readonly channel: Channel;
  readonly statements: LivyChannel;
  /** What the shim says of itself and its cluster. */
  readonly description: WireDescription;
  /** Ends session and channel; returns when the server says that the session is over. */
  close(): Promise<void>;
  /** Leaves the session running for the next process with the same key. */
  detach(): Promise<void>;
}

/** @throws LivyError, ConfigError, ExecutionError; first deletes the session unless adopted */
export async function connectLivy(options: ConnectOptions): Promise<LivyLink> {
  const { connection, jar, spec, storage, ...rest } = options;
  const client = createLivyClient(connection);
  let session: LivySession | undefined;
  try {
    const jars = [...(spec?.jars ?? []), ...(await jarUris(jar))];
    const sessionSpec = { ...spec, ...(jars.length > 0 ? { jars } : {}) };
    session = await openLivySession(client, { ...rest, spec: sessionSpec });
    if (jar.by === 'upload' && !session.adopted) await upload(session, jar.path, rest);
    // Before the shim is asked anything: what a JVM loads first stays.
    if (!session.adopted) await sendBlas(client, session.name, options);
    const statements = createLivyChannel(session, { ...rest, ...(storage ? { storage } : {}) });
    const description = await greet(session, statements, jar, rest);
    const direct = await openDirect(session, statements, options);
    return linkOf(client, session, { statements, direct, description });
  } catch (error) {
    if (session?.adopted) session.detach();
    else await session?.close().catch(() => undefined);
    client.http.close();
    throw error;
  }
}

/** Without it everything works, only slower. */
async function sendBlas(
  client: LivyClient,
  session: string,
  { blas = [], connection, signal }: ConnectOptions,
): Promise<void> {
  try {
    for (const path of blas) await client.uploadFile(session, path, { signal });
  } catch (error) {
    if (signal?.aborted || isLivyProblem(error, 'dead', 'gone', 'auth')) throw error;
    connection.onWarning?.(
      `livy: executors use the BLAS they have, since OpenBLAS could not be sent: ${(error as Error).message}`,
    );
  }
}

async function openDirect(
  session: LivySession,
  statements: LivyChannel,
  options: ConnectOptions,
): Promise<Channel | undefined> {
  const { channelMode: mode = 'statements', allow = parseAllowedHosts() } = options;
  if (mode === 'statements') return undefined;
  return await openDirectChannel(session, statements, mode, { ...options, allow });
}

/** Whoever gives up while a session is made ready must not wait for its answers. */
type StartingOptions = StatementOptions & Pick<OpenSessionOptions, 'signal'>;

async function upload(
  session: LivySession,
  jar: string | JarFor,
  options: StartingOptions,
): Promise<void> {
  const path = typeof jar === 'string' ? jar : await jar(await versionsOf(session, options));
  await session.client.uploadJar(session.name, path);
}

async function versionsOf(
  session: LivySession,
  options: StartingOptions,
): Promise<RunningVersions> {
  const question = versionsQuestion();
  const text = await new StatementRunner(session, options).run(question, options.signal);
  const running = versionsIn(text, question.nonce);
  if (running !== undefined) return running;
  throw new ExecutionError(
    `livy session ${session.name}: expected its Spark and Scala versions, got ${JSON.stringify(text.slice(0, 120))}`,
    { backend: 'spark' },
  );
}

async function jarUris(jar: JarDelivery): Promise<string[]> {
  if (jar.by === 'uri') return [jar.uri];
  if (jar.by !== 'storage') return [];
  return [await jar.storage.put(basename(jar.path), await readFile(jar.path))];
}

async function greet(
  session: LivySession,
  channel: Channel,
  jar: JarDelivery,
  options: StartingOptions,
): Promise<WireDescription> {
  const hello = async (): Promise<WireDescription> => {
    const { signal } = options;
    return (await channel.call('hello', {}, [], signal ? { signal } : {})).result;
  };
  try {
    return await hello();
  } catch (error) {
    // The process before us may have died between the start of the session and the upload.
    if (jar.by !== 'upload' || !session.adopted || !isLivyProblem(error, 'remote')) throw error;
    await upload(session, jar.path, options);
    return await hello();
  }
}

function linkOf(
  client: LivyClient,
  session: LivySession,
  parts: Pick<LivyLink, 'statements' | 'description'> & { readonly direct: Channel | undefined },
): LivyLink {
  const { statements, description, direct } = parts;
  const closeChannels = async (): Promise<void> => {
    await direct?.close();
    await statements.close();
  };
  return {
    client,
    session,
    channel: direct ?? statements,
    statements,
    description,
    close: async () => {
      await closeChannels();
      try {
        await session.close();
      } finally {
        client.http.close();
      }
    },
    detach: async () => {
      session.detach();
      await closeChannels();
      client.http.close();
    },
  };
}
