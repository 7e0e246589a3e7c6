/**
 * From "I need a session" to a session that answers, and to its confirmed end. Invariants: the record is written before
 * the request (see `session-store.ts`); one key has one session, found again by its unique name after a lost
 * answer or a restart; a session that is not ours by every fact we know is neither used nor deleted.
 */
import { randomBytes } from 'node:crypto';
import { ConfigError } from '../../driver/errors.js';
import { createOnce } from './create-once.js';
import { isLivyProblem, livyError } from './errors.js';
import type { LivyClient } from './livy-client.js';
import { type LivySession, makeSession } from './livy-session.js';
import { pause } from './retry.js';
import { identityMismatch, identityOf } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { SessionInfo, SessionSpec } from './types.js';
import { checkName, sessionPhase } from './wire.js';

export interface OpenSessionOptions {
  /** What the session is for; a session of the same key that still runs is adopted. */
  readonly key: string;
  readonly store: SessionStore;
  readonly spec: Omit<SessionSpec, 'name'>;
  /** First part of the name; a random part follows. Default `reprise`. */
  readonly namePrefix?: string;
  /** From the request to a session that takes statements. @units ms, default 300000 */
  readonly startTimeoutMs?: number;
  /** How long a session whose creation got no answer is looked for before it is asked for again. @units ms, default 20000 */
  readonly adoptGraceMs?: number;
  /** How long `close` waits for the end to show. @units ms, default 60000 */
  readonly closeTimeoutMs?: number;
  /** Called with each new state while the session starts. */
  readonly onState?: (state: string) => void;
  readonly signal?: AbortSignal;
}

/** The lease: Livy ends a session whose client has been silent this long. @units seconds */
const HEARTBEAT_SECONDS = 600;
const POLL_FIRST_MS = 200;
const POLL_CAP_MS = 2000;
/** Lines of the driver's log in an error. */
const LOG_LINES = 40;

/**
 * Opens a session of this key: adopts the recorded one if it runs and is ours, else creates one.
 * @throws LivyError: `dead` with the log's tail when it dies while starting, `timeout` when it does not start in
 *   time (it is deleted first), `busy`, `auth`, `request` as Livy refuses; ConfigError for names and old servers
 */
export async function openSession(
  client: LivyClient,
  options: OpenSessionOptions,
): Promise<LivySession> {
  const features = await client.features({ signal: options.signal });
  if (!features.lookupByName) {
    const { text } = await client.version();
    throw new ConfigError(`livy: expected a server of version 0.6 or later, got ${text}`, {
      key: 'REPRISE_LIVY_URL',
    });
  }
  const recorded = await options.store.load(options.key);
  const found = recorded ? await findOurs(client, recorded) : undefined;
  const adopted = found !== undefined;
  const { info, record } = found ?? (await create(client, options));
  const ready = await untilReady(client, options, record, info);
  const full: SessionRecord = { ...record, ...identityOf(ready), phase: 'created' };
  await options.store.save(full);
  return makeSession(client, {
    info: ready,
    record: full,
    store: options.store,
    adopted,
    heartbeatSeconds: options.spec.heartbeatSeconds ?? HEARTBEAT_SECONDS,
    idleSeconds: options.spec.idleSeconds ?? 3600,
    closeTimeoutMs: options.closeTimeoutMs ?? 60_000,
  });
}

/**
 * Deletes the recorded session of `key`, if it is there and ours, and forgets it; for cleaning up after a crash.
 * @returns whether a session was deleted
 */
export async function discardSession(
  client: LivyClient,
  store: SessionStore,
  key: string,
): Promise<boolean> {
  const record = await store.load(key);
  if (record === undefined) return false;
  const found = await findOurs(client, record, true);
  if (found) await client.deleteSession(record.name);
  await store.remove(key);
  return found !== undefined;
}

interface Found {
  readonly info: SessionInfo;
  readonly record: SessionRecord;
}

async function findOurs(
  client: LivyClient,
  record: SessionRecord,
  evenEnded = false,
): Promise<Found | undefined> {
  if (record.url !== client.url) return undefined;
  const info = await client.findSession(record.name);
  if (info === undefined || identityMismatch(record, info) !== undefined) return undefined;
  if (!evenEnded && sessionPhase(info.state) === 'ended') {
    // It is ours and over: deleting it frees nothing we need, but leaves no dead entries behind.
    await client.deleteSession(record.name);
    return undefined;
  }
  return { info, record };
}

async function create(client: LivyClient, options: OpenSessionOptions): Promise<Found> {
  const name = `${options.namePrefix ?? 'reprise'}-${randomBytes(8).toString('hex')}`;
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
  const spec: SessionSpec = { heartbeatSeconds: HEARTBEAT_SECONDS, ...options.spec, name };
  const info = await createOnce({
    create: () => client.createSession(spec, { signal: options.signal }),
    find: () => client.findSession(name),
    forget: () => options.store.remove(record.key),
    discard: () => discardSession(client, options.store, record.key),
    retries: client.retry.retries,
    graceMs: options.adoptGraceMs,
    signal: options.signal,
  });
  const created: SessionRecord = { ...record, ...identityOf(info), phase: 'created' };
  await options.store.save(created);
  return { info, record: created };
}

async function untilReady(
  client: LivyClient,
  options: OpenSessionOptions,
  record: SessionRecord,
  first: SessionInfo,
): Promise<SessionInfo> {
  const limitMs = options.startTimeoutMs ?? 300_000;
  const until = Date.now() + limitMs;
  let info = first;
  let told = '';
  for (let waitMs = POLL_FIRST_MS; ; waitMs = Math.min(waitMs * 1.5, POLL_CAP_MS)) {
    if (info.state !== told) options.onState?.(info.state);
    told = info.state;
    const phase = sessionPhase(info.state);
    if (phase === 'ready') return info;
    if (phase === 'ended') {
      throw await startFailure(client, options, record, `state ${info.state}`, 'dead', info.state);
    }
    if (options.signal?.aborted) {
      throw await startFailure(client, options, record, 'a cancellation', 'cancelled', info.state);
    }
    if (Date.now() >= until) {
      const got = `state ${info.state} after ${limitMs} ms; is the queue full, or are the resources asked for too large?`;
      throw await startFailure(client, options, record, got, 'timeout', info.state);
    }
    await pause(Math.min(waitMs, Math.max(1, until - Date.now())), options.signal);
    try {
      info = await client.session(record.name);
    } catch (error) {
      if (!isLivyProblem(error, 'gone')) throw error;
      await options.store.remove(record.key);
      throw livyError(`livy session ${record.name}: expected it to start, got no such session`, {
        problem: 'dead',
        outcome: 'refused',
        retryable: false,
        sessionId: record.name,
      });
    }
  }
}

/** Deletes what did not start and makes the error, with the end of the driver's log. */
async function startFailure(
  client: LivyClient,
  options: OpenSessionOptions,
  record: SessionRecord,
  got: string,
  problem: 'dead' | 'timeout' | 'cancelled',
  state: string,
): Promise<Error> {
  const log = await client
    .sessionLog(record.name, LOG_LINES)
    .then((it) => it.lines)
    .catch(() => []);
  let left = '';
  try {
    await client.deleteSession(record.name);
    await options.store.remove(record.key);
  } catch {
    // The record stays, so the next start of this key deals with the session; the lease does so otherwise.
    left = '; it could not be deleted and may still run';
  }
  const tail = log.length > 0 ? `\n${log.join('\n')}` : '';
  return livyError(`livy session ${record.name}: expected it to start, got ${got}${left}${tail}`, {
    problem,
    outcome: 'refused',
    retryable: false,
    sessionId: record.name,
    state,
    log,
  });
}
