/**
 * Asking for a session or batch exactly once though answers get lost: names are unique on the
 * server, so what may have been made is looked up by its name before it is asked for again, and a
 * second request meets its own name.
 */
import { livyFacts } from './errors.js';
import { pause } from './retry.js';

export interface CreateOnce<T> {
  readonly create: () => Promise<T>;
  readonly find: () => Promise<T | undefined>;
  /** It was surely not made: forgets the record. */
  readonly forget: () => Promise<void>;
  /** The caller gave up: deletes what may have been made. */
  readonly discard: () => Promise<unknown>;
  readonly retries: number;
  /** How long something whose creation got no answer is looked for before it is asked for again. @units ms, default 20000 */
  readonly graceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const POLL_FIRST_MS = 200;
const POLL_CAP_MS = 2000;

/** What was made, or found by its name. @throws what the server refuses it with */
export async function createOnce<T>(parts: CreateOnce<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await parts.create();
    } catch (error) {
      const facts = livyFacts(error);
      const mayExist = facts?.outcome === 'unknown' || facts?.problem === 'duplicate';
      if (!mayExist) {
        await parts.forget();
        throw error;
      }
      if (parts.signal?.aborted) {
        await parts.discard().catch(() => undefined);
        throw error;
      }
      const found = await lookFor(parts);
      if (found !== undefined) return found;
      if (attempt >= parts.retries || facts?.retryable === false) throw error;
    }
  }
}

/** A request without an answer may still be at work in the server, so one look is not enough. */
async function lookFor<T>({ find, graceMs, signal }: CreateOnce<T>): Promise<T | undefined> {
  const until = Date.now() + (graceMs ?? 20_000);
  for (let waitMs = POLL_FIRST_MS; ; waitMs = Math.min(waitMs * 2, POLL_CAP_MS)) {
    const found = await find();
    if (found !== undefined || signal?.aborted || Date.now() + waitMs > until) return found;
    await pause(waitMs, signal);
  }
}
