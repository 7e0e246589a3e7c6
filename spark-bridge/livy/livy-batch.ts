/**
 * The shim as a batch application, for clusters that allow no sessions: asked for once under a unique name, watched
 * until it says where it listens, reached by the direct channel, and deleted. Invariants: as for sessions, the record is
 * written before the request; arguments and log hold no secret (`key-agreement.ts`); a batch whose driver is gone ends
 * by its lease, and is deleted, not adopted, by the next start: its token died with the process that asked for it.
 */
import { randomBytes } from 'node:crypto';
import type { DirectChannel } from '../channel/direct-channel.js';
import type { AllowedHosts } from './allowed-hosts.js';
import { createOnce } from './create-once.js';
import { type Application, directChannel, unreachable } from './direct-way.js';
import { isLivyProblem, livyError } from './errors.js';
import { type KeyOffer, offerKey } from './key-agreement.js';
import type { LivyClient } from './livy-client.js';
import type { PayloadStorage } from './payload-storage.js';
import { reachShim, type ShimAddress } from './reach-shim.js';
import { pause } from './retry.js';
import { identityMismatch, identityOf } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { BatchInfo, SparkResources } from './types.js';
import { checkName, sessionPhase } from './wire.js';

export interface OpenBatchOptions {
  /** What the batch is for; one that was left behind under the same key is deleted. */
  readonly key: string;
  readonly store: SessionStore;
  readonly spec?: SparkResources;
  /** The shim's jar, where the cluster reads it. */
  readonly jarUri: string;
  readonly allow: AllowedHosts;
  /** Where the batch leaves its address, for clusters whose log does not show the driver's output. Default: its log. */
  readonly storage?: PayloadStorage;
  readonly namePrefix?: string;
  /** The application ends when its driver has been silent this long. @units seconds, default 120 */
  readonly leaseSeconds?: number;
  /** From the request to a shim that answers. @units ms, default 300000 */
  readonly startTimeoutMs?: number;
  readonly adoptGraceMs?: number;
  readonly closeTimeoutMs?: number;
  readonly reachTimeoutMs?: number;
  readonly lostAfterMs?: number;
  readonly onState?: (state: string) => void;
  readonly signal?: AbortSignal;
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
const POLL_FIRST_MS = 200;
const POLL_CAP_MS = 2000;

/**
 * Starts the batch and reaches its shim.
 * @throws LivyError: `dead` with the log's tail, `timeout`, `busy`, `auth`, `request`; ConfigError when the shim
 *   can't be reached or is not allowed; the batch is deleted first
 */
export async function openBatch(client: LivyClient, options: OpenBatchOptions): Promise<LivyBatch> {
  await discardBatch(client, options.store, options.key);
  const offer = offerKey();
  const name = `${options.namePrefix ?? 'reprise-batch'}-${randomBytes(8).toString('hex')}`;
  checkName(name);
  const record: SessionRecord = {
    key: options.key,
    url: client.url,
    name,
    phase: 'intent',
    id: null,
    appId: null,
    owner: null,
    boot: null,
    createdAt: new Date().toISOString(),
  };
  await options.store.save(record);
  const info = await requestBatch(client, options, name, offer);
  const batch = watchBatch(client, options, { ...record, ...identityOf(info), phase: 'created' });
  try {
    await options.store.save(batch.record);
    const address = await announcement(batch, options, info);
    const reach = await reachShim(address, offer, {
      allow: options.allow,
      ...(options.reachTimeoutMs === undefined ? {} : { timeoutMs: options.reachTimeoutMs }),
    });
    if (!reach.ok) throw unreachable('livy batch', reach.tried);
    const channel = directChannel(batch, reach.shim, options);
    return { ...batch, channel, ...living(batch, channel, options) };
  } catch (error) {
    await batch.end().catch(() => undefined);
    throw error;
  }
}

/** Deletes the batch recorded under `key`, if it is there and ours. @returns whether there was one */
export async function discardBatch(
  client: LivyClient,
  store: SessionStore,
  key: string,
): Promise<boolean> {
  const record = await store.load(key);
  if (record === undefined) return false;
  const info = record.url === client.url ? await client.findBatch(record.name) : undefined;
  const isOurs = info !== undefined && identityMismatch(record, info) === undefined;
  if (isOurs) await client.deleteBatch(record.name);
  await store.remove(key);
  return isOurs;
}

function requestBatch(
  client: LivyClient,
  options: OpenBatchOptions,
  name: string,
  offer: KeyOffer,
): Promise<BatchInfo> {
  const bind = options.allow.isEmpty ? 'loopback' : 'any';
  const lease = String(options.leaseSeconds ?? 120);
  const folder = options.storage?.folderUri ?? '-';
  const spec = {
    ...options.spec,
    name,
    file: options.jarUri,
    className: 'reprise.shim.server.BatchMain',
    args: [name, offer.publicKey, bind, lease, folder],
  };
  return createOnce({
    create: () => client.createBatch(spec, { signal: options.signal }),
    find: () => client.findBatch(name),
    forget: () => options.store.remove(options.key),
    discard: () => discardBatch(client, options.store, options.key),
    retries: client.retry.retries,
    graceMs: options.adoptGraceMs,
    signal: options.signal,
  });
}

interface WatchedBatch extends Application {
  readonly client: LivyClient;
  readonly record: SessionRecord;
  readonly name: string;
  readonly id: number;
  check(): Promise<BatchInfo>;
  /** Deletes it and waits for the end to show. */
  end(): Promise<void>;
}

function watchBatch(
  client: LivyClient,
  options: OpenBatchOptions,
  record: SessionRecord,
): WatchedBatch {
  const lost = new AbortController();
  const { name } = record;
  const id = record.id as number;
  const over = async (why: string): Promise<Error> => {
    if (lost.signal.aborted) return lost.signal.reason as Error;
    const log = await client.batchLog(name, LOG_LINES).then(
      (it) => it.lines.filter((line) => !line.startsWith(ANNOUNCED)).slice(-40),
      () => [],
    );
    const tail = log.length > 0 ? `\n${log.join('\n')}` : '';
    const error = livyError(`livy batch ${name}: expected it to run, got ${why}${tail}`, {
      problem: 'dead',
      outcome: 'refused',
      retryable: false,
      sessionId: id,
      log,
    });
    lost.abort(error);
    return error;
  };
  const check = async (): Promise<BatchInfo> => {
    if (lost.signal.aborted) throw lost.signal.reason;
    const now = await client.findBatch(name);
    if (now === undefined) throw await over('no such batch');
    const mismatch = identityMismatch(record, now);
    if (mismatch !== undefined) throw await over(`another batch of its name (${mismatch})`);
    if (sessionPhase(now.state) === 'ended') throw await over(`state ${now.state}`);
    return now;
  };
  const end = async (): Promise<void> => {
    await confirmEnd(client, name, options.closeTimeoutMs ?? 60_000);
    await options.store.remove(record.key);
  };
  return { client, record, name, id, lost: lost.signal, over, check, end };
}

/** What the batch says of itself, from the storage folder or its log. */
async function announcement(
  batch: WatchedBatch,
  options: OpenBatchOptions,
  first: BatchInfo,
): Promise<ShimAddress> {
  const limitMs = options.startTimeoutMs ?? 300_000;
  const until = Date.now() + limitMs;
  let told = '';
  let info = first;
  for (let waitMs = POLL_FIRST_MS; ; waitMs = Math.min(waitMs * 1.5, POLL_CAP_MS)) {
    if (info.state !== told) options.onState?.(info.state);
    told = info.state;
    const address = (await fromStorage(batch.name, options)) ?? (await fromLog(batch));
    if (address !== undefined) return address;
    const got = options.signal?.aborted ? 'a cancellation' : `state ${info.state}`;
    if (options.signal?.aborted || Date.now() >= until) {
      const error = await batch.over(
        `${got} and no address of its shim after ${limitMs} ms; is the queue full, or its log elsewhere (REPRISE_LIVY_STORAGE)?`,
      );
      throw error;
    }
    await pause(Math.min(waitMs, Math.max(1, until - Date.now())), options.signal);
    info = await batch.check();
  }
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
    const { lines } = await batch.client.batchLog(batch.name, LOG_LINES);
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

async function confirmEnd(client: LivyClient, name: string, limitMs: number): Promise<void> {
  const until = Date.now() + limitMs;
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2000)) {
    await client.deleteBatch(name);
    const now = await client.findBatch(name);
    if (now === undefined) return;
    if (Date.now() + waitMs > until) {
      throw livyError(
        `livy batch ${name}: expected it to end in ${limitMs} ms, got state ${now.state}; application ${now.appId ?? 'unknown'} may still run`,
        { problem: 'timeout', outcome: 'unknown', retryable: false, sessionId: name },
      );
    }
    await pause(waitMs);
  }
}
