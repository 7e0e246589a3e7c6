/**
 * What sessions and batches have in common, from the request to the confirmed end: asked for once
 * under a unique name, watched while they start, told dead with the end of their log, and ended
 * until the server says so. Invariant: the record is written before the request
 * (`session-store.ts`).
 */
import { randomBytes } from 'node:crypto';
import { createOnce } from './create-once.js';
import { livyError, livyFacts } from './errors.js';
import { pause } from './retry.js';
import { identityOf } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { SessionInfo } from './types.js';
import { checkName } from './wire.js';

/** A session or a batch, as the server tells it. */
export type ApplicationInfo = Pick<SessionInfo, 'id' | 'name' | 'state' | 'appId' | 'owner'>;

export interface Found<I extends ApplicationInfo> {
  readonly info: I;
  readonly record: SessionRecord;
}

export interface Creation<I extends ApplicationInfo> {
  readonly url: string;
  readonly store: SessionStore;
  readonly key: string;
  /** First part of the name; a random part follows. */
  readonly prefix: string;
  readonly create: (name: string) => Promise<I>;
  readonly find: (name: string) => Promise<I | undefined>;
  /** Deletes what the record names, and forgets it. */
  readonly discard: () => Promise<unknown>;
  readonly retries: number;
  readonly graceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Asks for a session or batch once, and records it before and after. @throws what the server refuses it with */
export async function createRecorded<I extends ApplicationInfo>(
  creation: Creation<I>,
): Promise<Found<I>> {
  const { key, store, url, retries, graceMs, signal, discard } = creation;
  const name = `${creation.prefix}-${randomBytes(8).toString('hex')}`;
  checkName(name);
  const intent: SessionRecord = {
    key,
    url,
    name,
    phase: 'intent',
    id: null,
    appId: null,
    owner: null,
    boot: null,
    createdAt: new Date().toISOString(),
  };
  await store.save(intent);
  const info = await createOnce({
    create: () => creation.create(name),
    find: () => creation.find(name),
    forget: () => store.remove(key),
    discard,
    retries,
    graceMs,
    signal,
  });
  const record: SessionRecord = { ...intent, ...identityOf(info), phase: 'created' };
  await store.save(record);
  return { info, record };
}

export interface StartOptions {
  /** From the request to an application that answers. @units ms, default 300000 */
  readonly startTimeoutMs?: number;
  /** Called with each new state while it starts. */
  readonly onState?: (state: string) => void;
  readonly signal?: AbortSignal;
}

export interface Starting<I extends ApplicationInfo, T> extends StartOptions {
  /** What was waited for, once it is there. @throws when it has ended */
  readonly look: (info: I) => Promise<T | undefined>;
  readonly refresh: () => Promise<I>;
  /** What to throw when the time is over or the caller gave up. */
  readonly giveUp: (why: 'timeout' | 'cancelled', info: I, limitMs: number) => Promise<Error>;
}

const POLL_FIRST_MS = 200;
const POLL_CAP_MS = 2000;

/** Looks at an application until it has started, ever less often. */
export async function whileStarting<I extends ApplicationInfo, T>(
  first: I,
  starting: Starting<I, T>,
): Promise<T> {
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

/** That an application is over, with the end of its log. @param label as users know it: `livy session NAME` */
export function deadError(label: string, id: number, why: string, log: readonly string[]): Error {
  const tail = log.length > 0 ? `\n${log.join('\n')}` : '';
  return livyError(`${label}: expected it to run, got ${why}${tail}`, {
    problem: 'dead',
    outcome: 'refused',
    retryable: false,
    sessionId: id,
    log,
  });
}

export interface Ending<I extends ApplicationInfo> {
  readonly label: string;
  readonly record: SessionRecord;
  readonly limitMs: number;
  readonly find: () => Promise<I | undefined>;
  readonly remove: () => Promise<unknown>;
  /** What to do about it as it is now; what is not there any more is over anyway. */
  readonly next: (info: I) => 'over' | 'remove' | 'wait';
}

/**
 * Ends an application: DELETE, then its state, since an answer to DELETE alone does not say that it
 * has ended.
 * @throws LivyError `timeout` when it can't be confirmed
 */
export async function confirmEnd<I extends ApplicationInfo>(ending: Ending<I>): Promise<void> {
  const { label, record, limitMs } = ending;
  const until = Date.now() + limitMs;
  let why = 'no answer';
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, POLL_CAP_MS)) {
    try {
      const now = await ending.find();
      const step = now === undefined ? 'over' : ending.next(now);
      if (step === 'over') return;
      why = `state ${now?.state}`;
      if (step === 'remove') await ending.remove();
    } catch (error) {
      const facts = livyFacts(error);
      if (!facts?.retryable) throw error;
      why = `${facts.problem} trouble`;
    }
    if (Date.now() + waitMs > until) break;
    await pause(waitMs);
  }
  throw livyError(
    `${label}: expected it to end in ${limitMs} ms, got ${why}; application ${record.appId ?? 'unknown'} may still run`,
    { problem: 'timeout', outcome: 'unknown', retryable: false, sessionId: record.name },
  );
}
