/**
 * From "I need a session" to a session that answers, and to its confirmed end. Invariants: the
 * record is written before the request (see `session-store.ts`); one key has one session, found
 * again by its unique name after a lost answer or a restart; a session that is not ours by every
 * fact we know is neither used nor deleted.
 */
import { ConfigError } from '../../driver/errors.js';
import {
  createRecorded,
  type FoundApplication,
  type StartOptions,
  whileStarting,
} from './application-life.js';
import { finalError, isLivyProblem } from './errors.js';
import type { LivyClient } from './livy-client.js';
import { type LivySession, makeSession, sessionVerbs } from './livy-session.js';
import { identityMismatch, identityOf } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { ApplicationInfo, SessionSpec } from './types.js';
import { sessionPhase } from './wire.js';

export interface OpenSessionOptions extends StartOptions {
  /** What the session is for; a session of the same key that still runs is adopted. */
  readonly key: string;
  readonly store: SessionStore;
  readonly spec: Omit<SessionSpec, 'name'>;
  /** First part of the name; a random part follows. Default `reprise`. */
  readonly namePrefix?: string;
  /** Time to look for a session that got no answer before asking again. @units ms, default 20000 */
  readonly adoptGraceMs?: number;
  /** How long `close` waits for the end to show. @units ms, default 60000 */
  readonly closeTimeoutMs?: number;
}

/** The lease: Livy ends a session whose client has been silent this long. @units seconds */
const HEARTBEAT_SECONDS = 600;
/** Lines of the driver's log in an error. */
const LOG_LINES = 40;

/**
 * Opens a session of this key: adopts the recorded one if it runs and is ours, else creates one.
 * @throws LivyError: `dead` with the log's tail when it dies while starting, `timeout` when it does
 *   not start in time (it is deleted first), `busy`, `auth`, `request` as Livy refuses; ConfigError
 *   for names and old servers
 */
export async function openLivySession(
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
  const created = found ?? (await create(client, options));
  const ready = await untilReady(client, options, created);
  const full: SessionRecord = { ...created.record, ...identityOf(ready), phase: 'created' };
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

async function findOurs(
  client: LivyClient,
  record: SessionRecord,
): Promise<FoundApplication | undefined> {
  if (record.url !== client.url) return undefined;
  const info = await client.findSession(record.name);
  if (info === undefined || identityMismatch(record, info) !== undefined) return undefined;
  if (sessionPhase(info.state) === 'ended') {
    // It is ours and over: deleting it frees nothing we need, but leaves no dead entries behind.
    await client.deleteSession(record.name);
    return undefined;
  }
  return { info, record };
}

function create(client: LivyClient, options: OpenSessionOptions): Promise<FoundApplication> {
  const { key, store, signal } = options;
  const spec = { heartbeatSeconds: HEARTBEAT_SECONDS, ...options.spec };
  return createRecorded({
    client,
    verbs: sessionVerbs(client),
    store,
    key,
    prefix: options.namePrefix ?? 'reprise',
    create: (name) => client.createSession({ ...spec, name }, { signal }),
    graceMs: options.adoptGraceMs,
    signal,
  });
}

function untilReady(
  client: LivyClient,
  options: OpenSessionOptions,
  { info: first, record }: FoundApplication,
): Promise<ApplicationInfo> {
  const fail = (got: string, problem: StartProblem, { state }: ApplicationInfo): Promise<Error> =>
    startFailure(client, options, record, got, problem, state);
  return whileStarting(first, {
    ...options,
    look: async (info) => {
      const phase = sessionPhase(info.state);
      if (phase === 'ended') throw await fail(`state ${info.state}`, 'dead', info);
      return phase === 'ready' ? info : undefined;
    },
    giveUp: (why, info, limitMs) => {
      const hint = 'is the queue full, or are the resources asked for too large?';
      const late = `state ${info.state} after ${limitMs} ms; ${hint}`;
      return fail(why === 'cancelled' ? 'a cancellation' : late, why, info);
    },
    refresh: async () => {
      try {
        return await client.session(record.name);
      } catch (error) {
        if (!isLivyProblem(error, 'gone')) throw error;
        await options.store.remove(record.key);
        const message = `livy session ${record.name}: expected it to start, got no such session`;
        throw finalError(message, 'dead', record.name);
      }
    },
  });
}

type StartProblem = 'dead' | 'timeout' | 'cancelled';

/** Deletes what did not start and makes the error, with the end of the driver's log. */
async function startFailure(
  client: LivyClient,
  options: OpenSessionOptions,
  record: SessionRecord,
  got: string,
  problem: StartProblem,
  state: string,
): Promise<Error> {
  const log = await client.sessionLog(record.name, LOG_LINES).catch(() => []);
  let left = '';
  try {
    await client.deleteSession(record.name);
    await options.store.remove(record.key);
  } catch {
    // The record stays, so the next start of this key deals with the session; the lease does so
    // otherwise.
    left = '; it could not be deleted and may still run';
  }
  const tail = log.length > 0 ? `\n${log.join('\n')}` : '';
  const message = `livy session ${record.name}: expected it to start, got ${got}${left}${tail}`;
  return finalError(message, problem, record.name, { state, log });
}
