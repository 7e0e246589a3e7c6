/**
 * The shim as a batch application, for clusters that allow no sessions: asked for once under a
 * unique name, watched until it says where it listens, reached by the direct channel, and deleted.
 * Invariants: as for sessions, the record is written before the request; arguments and log hold no
 * secret (`key-agreement.ts`); a batch whose driver is gone ends by its lease, and is deleted, not
 * adopted, by the next start: its token died with the process that asked for it.
 */
import type { DirectChannel } from '../channel/direct-channel.js';
import type { AllowedHosts } from './allowed-hosts.js';
import {
  type ApplicationVerbs,
  confirmEnd,
  createRecorded,
  discardRecorded,
  type FoundApplication,
  type StartOptions,
  watchLife,
  whileStarting,
} from './application-life.js';
import { type Application, directChannel, unreachable } from './direct-way.js';
import { isLivyProblem } from './errors.js';
import { type KeyOffer, offerKey } from './key-agreement.js';
import type { LivyClient } from './livy-client.js';
import type { PayloadStorage } from './payload-storage.js';
import { reachShim, type ShimAddress } from './reach-shim.js';
import { identityMismatch } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { ApplicationInfo, SparkResources } from './types.js';
import { sessionPhase } from './wire.js';

export interface OpenBatchOptions extends StartOptions {
  /** What the batch is for; one that was left behind under the same key is deleted. */
  readonly key: string;
  readonly store: SessionStore;
  readonly spec?: SparkResources;
  /** The shim's jar, where the cluster reads it. */
  readonly jarUri: string;
  readonly allow: AllowedHosts;
  /** Where the batch leaves its address if the log lacks the driver's output. Default: its log. */
  readonly storage?: PayloadStorage;
  readonly namePrefix?: string;
  /** The application ends when its driver has been silent this long. @units seconds, default 120 */
  readonly leaseSeconds?: number;
  readonly adoptGraceMs?: number;
  readonly closeTimeoutMs?: number;
  readonly lostAfterMs?: number;
}

export interface LivyBatch extends Application {
  readonly client: LivyClient;
  readonly name: string;
  readonly id: number;
  readonly channel: DirectChannel;
  /** Ends the application and waits until the server says so. Idempotent. */
  close(): Promise<void>;
}

const LOG_LINES = 200;
/** How a line begins that says where a shim listens. */
const ANNOUNCED = 'REPRISE-SHIM';

/**
 * Starts the batch and reaches its shim.
 * @throws LivyError: `dead` with the log's tail, `timeout`, `busy`, `auth`, `request`; ConfigError
 *   when the shim can't be reached or is not allowed; the batch is deleted first
 */
export async function openBatch(client: LivyClient, options: OpenBatchOptions): Promise<LivyBatch> {
  await discardRecorded(client, batchVerbs(client), options.store, options.key);
  const offer = offerKey();
  const { info, record } = await requestBatch(client, options, offer);
  const batch = watchBatch(client, options, record);
  try {
    const address = await announcement(batch, options, info);
    const reach = await reachShim(address, offer, {
      allow: options.allow,
    });
    if (!reach.ok) throw unreachable('livy batch', reach.tried);
    const channel = directChannel(batch, reach.shim, options);
    return { ...batch, channel, ...living(batch, channel, options) };
  } catch (error) {
    await batch.end().catch(() => undefined);
    throw error;
  }
}

const batchVerbs = (client: LivyClient): ApplicationVerbs => ({
  find: (name) => client.findBatch(name),
  remove: (name) => client.deleteBatch(name),
});

function requestBatch(
  client: LivyClient,
  options: OpenBatchOptions,
  offer: KeyOffer,
): Promise<FoundApplication> {
  const { key, store, signal } = options;
  const bind = options.allow.isEmpty ? 'loopback' : 'any';
  const lease = String(options.leaseSeconds ?? 120);
  const folder = options.storage?.folderUri ?? '-';
  const spec = {
    ...options.spec,
    file: options.jarUri,
    className: 'reprise.shim.server.BatchMain',
  };
  return createRecorded({
    client,
    verbs: batchVerbs(client),
    store,
    key,
    prefix: options.namePrefix ?? 'reprise-batch',
    create: (name) =>
      client.createBatch(
        { ...spec, name, args: [name, offer.publicKey, bind, lease, folder] },
        { signal },
      ),
    graceMs: options.adoptGraceMs,
    signal,
  });
}

interface WatchedBatch extends Application {
  readonly client: LivyClient;
  readonly record: SessionRecord;
  readonly name: string;
  readonly id: number;
  check(): Promise<ApplicationInfo>;
  /** Deletes it and waits for the end to show. */
  end(): Promise<void>;
}

function watchBatch(
  client: LivyClient,
  options: OpenBatchOptions,
  record: SessionRecord,
): WatchedBatch {
  const { name } = record;
  const id = record.id as number;
  const { lost, over } = watchLife(`livy batch ${name}`, id, async () => {
    const lines = await client.batchLog(name, LOG_LINES);
    return lines.filter((line) => !line.startsWith(ANNOUNCED)).slice(-40);
  });
  const check = async (): Promise<ApplicationInfo> => {
    if (lost.aborted) throw lost.reason;
    const now = await client.findBatch(name);
    if (now === undefined) throw await over('no such batch');
    const mismatch = identityMismatch(record, now);
    if (mismatch !== undefined) throw await over(`another batch of its name (${mismatch})`);
    if (sessionPhase(now.state) === 'ended') throw await over(`state ${now.state}`);
    return now;
  };
  const end = async (): Promise<void> => {
    await confirmEnd({
      label: `livy batch ${name}`,
      record,
      limitMs: options.closeTimeoutMs ?? 60_000,
      verbs: batchVerbs(client),
      // Also one that has ended: it would stand in Livy's list for a day.
      next: () => 'remove',
    });
    await options.store.remove(record.key);
  };
  return { client, record, name, id, lost, over, check, end };
}

/** What the batch says of itself, from the storage folder or its log. */
function announcement(
  batch: WatchedBatch,
  options: OpenBatchOptions,
  first: ApplicationInfo,
): Promise<ShimAddress> {
  const where = 'is the queue full, or its log elsewhere (REPRISE_LIVY_STORAGE)?';
  return whileStarting(first, {
    ...options,
    look: async () => (await fromStorage(batch.name, options)) ?? (await fromLog(batch)),
    refresh: () => batch.check(),
    giveUp: (why, { state }, limitMs) => {
      const got = why === 'cancelled' ? 'a cancellation' : `state ${state}`;
      return batch.over(`${got} and no address of its shim after ${limitMs} ms; ${where}`);
    },
  });
}

async function fromStorage(
  name: string,
  { storage }: OpenBatchOptions,
): Promise<ShimAddress | undefined> {
  if (storage === undefined) return undefined;
  const file = `${name}.address`;
  const bytes = await storage.get(file, 64 * 1024).catch(() => undefined);
  if (bytes === undefined) return undefined;
  await storage.remove(file);
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as ShimAddress;
}

async function fromLog(batch: WatchedBatch): Promise<ShimAddress | undefined> {
  const head = `${ANNOUNCED} ${batch.name} `;
  try {
    const lines = await batch.client.batchLog(batch.name, LOG_LINES);
    const line = lines.find((it) => it.includes(head));
    if (line === undefined) return undefined;
    return JSON.parse(line.slice(line.indexOf(head) + head.length)) as ShimAddress;
  } catch (error) {
    // A line cut in two comes whole at the next look; a batch without a log is told by its state.
    if (error instanceof SyntaxError || isLivyProblem(error, 'gone')) return undefined;
    throw error;
  }
}

/** Keeps the lease, and ends the application by its own verb before Livy is asked to. */
function living(
  batch: WatchedBatch,
  channel: DirectChannel,
  options: OpenBatchOptions,
): Pick<LivyBatch, 'close'> {
  const beatMs = Math.max(100, ((options.leaseSeconds ?? 120) * 1000) / 3);
  const timer = setInterval(() => {
    channel.call('ping', {}, [], { timeoutMs: beatMs }).catch(() => undefined);
  }, beatMs);
  timer.unref();
  batch.lost.addEventListener('abort', () => clearInterval(timer), { once: true });
  let closing: Promise<void> | undefined;
  const finish = async (): Promise<void> => {
    clearInterval(timer);
    if (!batch.lost.aborted) {
      await channel.call('shutdown', {}, [], { timeoutMs: 2000 }).catch(() => undefined);
    }
    await channel.close();
    await batch.end();
  };
  return {
    close: () => {
      closing ??= finish();
      return closing;
    },
  };
}
