/**
 * What sessions and batches have in common, from the request to the confirmed end: asked for once
 * under a unique name, watched while they start, told dead with the end of their log, and ended
 * until the server says so. Invariant: the record is written before the request
 * (`session-store.ts`).
 */
import { randomBytes } from 'node:crypto';
import type { Application } from './direct-way.js';
import { finalError, livyFacts } from './errors.js';
import type { LivyClient } from './livy-client.js';
import { pause } from './retry.js';
import { identityMismatch, identityOf } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { ApplicationInfo } from './types.js';
import { checkName } from './wire.js';

export interface FoundApplication {
  readonly info: ApplicationInfo;
  readonly record: SessionRecord;
}

/** Sessions of a server, or its batches. */
export interface ApplicationVerbs {
  find(name: string): Promise<ApplicationInfo | undefined>;
  remove(name: string): Promise<void>;
}

export interface Creation {
  readonly client: LivyClient;
  readonly verbs: ApplicationVerbs;
  readonly store: SessionStore;
  readonly key: string;
  /** First part of the name; a random part follows. */
  readonly prefix: string;
  readonly create: (name: string) => Promise<ApplicationInfo>;
  /** Time to look for what got no answer before asking again. @units ms, default 20000 */
  readonly graceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const POLL_FIRST_MS = 200;
const POLL_CAP_MS = 2000;

/** Asks for a session or batch once, recorded before and after. @throws the server's refusal */
export async function createRecorded(creation: Creation): Promise<FoundApplication> {
  const { key, store, client } = creation;
  const name = `${creation.prefix}-${randomBytes(8).toString('hex')}`;
  checkName(name);
  const intent: SessionRecord = {
    key,
    url: client.url,
    name,
    phase: 'intent',
    id: null,
    appId: null,
    owner: null,
    boot: null,
    createdAt: new Date().toISOString(),
  };
  await store.save(intent);
  const info = await createOnce(creation, name);
  const record: SessionRecord = { ...intent, ...identityOf(info), phase: 'created' };
  await store.save(record);
  return { info, record };
}

/**
 * Names are unique on the server, so what may have been made although no answer came is looked up
 * by its name before it is asked for again, and a second request meets its own name.
 */
async function createOnce(creation: Creation, name: string): Promise<ApplicationInfo> {
  const { create, client, verbs, store, key, signal } = creation;
  for (let attempt = 0; ; attempt++) {
    try {
      return await create(name);
    } catch (error) {
      const facts = livyFacts(error);
      if (facts?.outcome !== 'unknown' && facts?.problem !== 'duplicate') {
        await store.remove(key);
        throw error;
      }
      if (signal?.aborted) {
        await discardRecorded(client, verbs, store, key).catch(() => undefined);
        throw error;
      }
      const found = await lookFor(creation, name);
      if (found !== undefined) return found;
      if (attempt >= client.retry.retries || !facts.retryable) throw error;
    }
  }
}

/** A request without an answer may still be at work in the server, so one look is not enough. */
async function lookFor(
  { verbs, graceMs = 20_000, signal }: Creation,
  name: string,
): Promise<ApplicationInfo | undefined> {
  const until = Date.now() + graceMs;
  for (let waitMs = POLL_FIRST_MS; ; waitMs = Math.min(waitMs * 2, POLL_CAP_MS)) {
    const found = await verbs.find(name);
    if (found !== undefined || signal?.aborted || Date.now() + waitMs > until) return found;
    await pause(waitMs, signal);
  }
}

/** Deletes and forgets what is recorded under `key`, if there and ours. @returns whether it was */
export async function discardRecorded(
  client: LivyClient,
  verbs: ApplicationVerbs,
  store: SessionStore,
  key: string,
): Promise<boolean> {
  const record = await store.load(key);
  if (record === undefined) return false;
  const info = record.url === client.url ? await verbs.find(record.name) : undefined;
  const isOurs = info !== undefined && identityMismatch(record, info) === undefined;
  if (isOurs) await verbs.remove(record.name);
  await store.remove(key);
  return isOurs;
}

export interface StartOptions {
  /** From the request to an application that answers. @units ms, default 300000 */
  readonly startTimeoutMs?: number;
  /** Called with each new state while it starts. */
  readonly onState?: (state: string) => void;
  readonly signal?: AbortSignal;
}

export interface Starting<T> extends StartOptions {
  /** What was waited for, once it is there. @throws when it has ended */
  readonly look: (info: ApplicationInfo) => Promise<T | undefined>;
  readonly refresh: () => Promise<ApplicationInfo>;
  /** What to throw when the time is over or the caller gave up. */
  readonly giveUp: (
    why: 'timeout' | 'cancelled',
    info: ApplicationInfo,
    limitMs: number,
  ) => Promise<Error>;
}

/** Looks at an application until it has started, ever less often. */
export async function whileStarting<T>(first: ApplicationInfo, starting: Starting<T>): Promise<T> {
  const { startTimeoutMs: limitMs = 300_000, signal } = starting;
  const until = Date.now() + limitMs;
  let told = '';
  let info = first;
  for (let waitMs = POLL_FIRST_MS; ; waitMs = Math.min(waitMs * 1.5, POLL_CAP_MS)) {
    if (info.state !== told) starting.onState?.(info.state);
    told = info.state;
    const found = await starting.look(info);
    if (found !== undefined) return found;
    if (signal?.aborted) throw await starting.giveUp('cancelled', info, limitMs);
    if (Date.now() >= until) throw await starting.giveUp('timeout', info, limitMs);
    await pause(Math.min(waitMs, Math.max(1, until - Date.now())), signal);
    info = await starting.refresh();
  }
}

/** Whether an application of ours still is: `end` and `over` fire `lost`, once. */
export interface Life extends Pick<Application, 'lost' | 'over'> {
  end(error: Error): void;
}

/** @param label as users know it: `livy session NAME` @param log the end of its log */
export function watchLife(label: string, id: number, log: () => Promise<readonly string[]>): Life {
  const lost = new AbortController();
  const over = async (why: string): Promise<Error> => {
    if (lost.signal.aborted) return lost.signal.reason as Error;
    const lines = await log().catch(() => []);
    const tail = lines.length > 0 ? `\n${lines.join('\n')}` : '';
    const message = `${label}: expected it to run, got ${why}${tail}`;
    const error = finalError(message, 'dead', id, { log: lines });
    lost.abort(error);
    return error;
  };
  return { lost: lost.signal, over, end: (error) => lost.abort(error) };
}

export interface Ending {
  readonly label: string;
  readonly record: SessionRecord;
  readonly limitMs: number;
  readonly verbs: ApplicationVerbs;
  /** What to do about it as it is now; what is not there any more is over anyway. */
  readonly next: (info: ApplicationInfo) => 'over' | 'remove' | 'wait';
}

/**
 * Ends an application: DELETE, then its state, since an answer to DELETE alone does not say that it
 * has ended.
 * @throws LivyError `timeout` when it can't be confirmed
 */
export async function confirmEnd(ending: Ending): Promise<void> {
  const { label, record, limitMs, verbs } = ending;
  const until = Date.now() + limitMs;
  let why = 'no answer';
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, POLL_CAP_MS)) {
    try {
      const now = await verbs.find(record.name);
      const step = now === undefined ? 'over' : ending.next(now);
      if (step === 'over') return;
      why = `state ${now?.state}`;
      if (step === 'remove') await verbs.remove(record.name);
    } catch (error) {
      const facts = livyFacts(error);
      if (!facts?.retryable) throw error;
      why = `${facts.problem} trouble`;
    }
    if (Date.now() + waitMs > until) break;
    await pause(waitMs);
  }
  throw finalError(
    `${label}: expected it to end in ${limitMs} ms, got ${why}; application ${record.appId ?? 'unknown'} may still run`,
    'timeout',
    record.name,
    { outcome: 'unknown' },
  );
}
