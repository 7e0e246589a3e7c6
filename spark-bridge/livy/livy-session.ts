/**
 * A running session of ours: its identity, its keep-alive and its end. Invariants: after every
 * broken connection the identity is compared before anything is sent; the session is kept alive for
 * as long as this object is open and its process lives; `close` returns only when the server says
 * that the session is over, or nothing at all.
 */
import { type ApplicationVerbs, confirmEnd, watchLife } from './application-life.js';
import { finalError, isLivyProblem } from './errors.js';
import type { LivyClient } from './livy-client.js';
import { identityMismatch } from './session-identity.js';
import type { SessionRecord, SessionStore } from './session-store.js';
import type { ApplicationInfo } from './types.js';
import { sessionPhase } from './wire.js';

export interface LivySession {
  readonly client: LivyClient;
  readonly name: string;
  readonly id: number;
  readonly appId: string | null;
  /** True when it was there before and was taken over. */
  readonly adopted: boolean;
  /** Fires, with the error as its reason, when the session is known to be over. */
  readonly lost: AbortSignal;
  /** Compares the session's identity and state with ours. @throws LivyError `identity` or `dead` */
  check(): Promise<ApplicationInfo>;
  /** `check`, only if a connection broke since the last one. */
  checkIfBroken(): Promise<void>;
  /** Compares the shim's boot token with the record; records it. @throws LivyError `identity` */
  checkBoot(boot: string): Promise<void>;
  /** The error for a session found over: log's tail included, `lost` fires. */
  over(why: string): Promise<Error>;
  /** Stops keeping the session alive and leaves it to the next process of the same key. */
  detach(): void;
  /**
   * Ends the session and awaits it; one whose server fell silent is left to its lease and the next
   * process of the same key. Idempotent. @throws LivyError if it can't be confirmed
   */
  close(): Promise<void>;
}

export interface LivySessionParts {
  readonly info: ApplicationInfo;
  readonly record: SessionRecord;
  readonly store: SessionStore;
  readonly adopted: boolean;
  readonly heartbeatSeconds: number;
  readonly idleSeconds: number;
  readonly closeTimeoutMs: number;
}

/** A third of the shorter limit, so two calls may be lost. @units ms; 0 if nothing limits it */
export function keepAliveMs(heartbeatSeconds: number, idleSeconds: number): number {
  const limits = [heartbeatSeconds, idleSeconds].filter((it) => it > 0);
  return limits.length === 0 ? 0 : Math.max(50, (Math.min(...limits) * 1000) / 3);
}

export const sessionVerbs = (client: LivyClient): ApplicationVerbs => ({
  find: (name) => client.findSession(name),
  remove: (name) => client.deleteSession(name),
});

/** Takes over a session that is ready and starts keeping it alive. */
export function makeSession(client: LivyClient, parts: LivySessionParts): LivySession {
  const { info } = parts;
  let record = parts.record;
  let epoch = client.http.epoch();
  let closing: Promise<void> | undefined;
  const label = `livy session ${record.name}`;
  const log = () => client.sessionLog(record.name, 40);
  const { lost, over, end } = watchLife(label, info.id, log);
  const notOurs = (message: string): Error => {
    const error = finalError(`${label}: ${message}`, 'identity', info.id);
    end(error);
    return error;
  };

  const accept = async (now: ApplicationInfo): Promise<ApplicationInfo> => {
    const mismatch = identityMismatch(record, now);
    if (mismatch !== undefined) {
      throw notOurs(
        `expected our own session, got ${mismatch}; the server was restarted without recovery`,
      );
    }
    if (sessionPhase(now.state) === 'ended') throw await over(`state ${now.state}`);
    return now;
  };

  const check = async (): Promise<ApplicationInfo> => {
    if (lost.aborted) throw lost.reason;
    const before = client.http.epoch();
    const now = await client.findSession(record.name);
    if (now === undefined) throw await over('no such session');
    await accept(now);
    epoch = before;
    return now;
  };

  const keepAlive = async (): Promise<void> => {
    try {
      await accept(await client.connectSession(record.name));
    } catch (error) {
      if (isLivyProblem(error, 'gone')) await over('no such session');
      // Passing trouble: the next beat tries again, and two may be missed.
    }
  };
  const beatMs = keepAliveMs(parts.heartbeatSeconds, parts.idleSeconds);
  const timer = beatMs > 0 ? setInterval(() => void keepAlive(), beatMs) : undefined;
  timer?.unref();
  const stop = (): void => clearInterval(timer);
  lost.addEventListener('abort', stop, { once: true });

  return {
    client,
    name: record.name,
    id: info.id,
    appId: info.appId,
    adopted: parts.adopted,
    lost,
    check,
    over,
    checkIfBroken: async () => {
      if (lost.aborted) throw lost.reason;
      if (client.http.epoch() !== epoch) await check();
    },
    checkBoot: async (boot) => {
      if (record.boot === boot) return;
      if (record.boot !== null) {
        throw notOurs('expected the shim we started, got another one; its values are lost');
      }
      record = { ...record, boot };
      await parts.store.save(record);
    },
    detach: stop,
    close: () => {
      stop();
      // The record stays with it.
      if (client.isSilent()) return Promise.resolve();
      closing ??= confirmEnd({
        label,
        record,
        limitMs: parts.closeTimeoutMs,
        verbs: sessionVerbs(client),
        next: (now) => lastStep(record, now),
      }).then(async () => {
        end(finalError(`${label}: closed`, 'dead', info.id));
        await parts.store.remove(record.key);
      });
      return closing;
    },
  };
}

/** What to do about the session that is to end. */
function lastStep(record: SessionRecord, now: ApplicationInfo): 'over' | 'remove' | 'wait' {
  if (identityMismatch(record, now) !== undefined) return 'over';
  if (sessionPhase(now.state) !== 'ended' || now.state === 'error') return 'remove';
  return now.state === 'shutting_down' ? 'wait' : 'over';
}
