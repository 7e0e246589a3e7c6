/**
 * Asking again, by a typed decision for each operation: reading and deleting are repeated on any
 * passing fault, creating only when the server surely did not do it. Waits are uniform in [0,
 * min(cap, base * 2^n)] (full jitter, after the AWS architecture blog's "Exponential Backoff And
 * Jitter"), or what `Retry-After` says.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import { livyFacts } from './errors.js';
import type { RetryPolicy } from './types.js';

/** `safe`: repeating changes nothing. `once`: must not run twice, so only refusals are repeated. */
export type Repeatability = 'safe' | 'once';

export interface RetryOptions {
  readonly policy: Required<RetryPolicy>;
  readonly repeat: Repeatability;
  readonly signal?: AbortSignal | undefined;
}

export const DEFAULT_RETRY: Required<RetryPolicy> = {
  retries: 6,
  baseMs: 250,
  capMs: 15_000,
  maxRetryAfterMs: 120_000,
};

/** Whether the operation may be repeated after this error. */
export function mayRepeat(error: unknown, { policy, repeat }: RetryOptions): boolean {
  const facts = livyFacts(error);
  if (!facts?.retryable) return false;
  if (repeat === 'once' && facts.outcome === 'unknown') return false;
  return (facts.retryAfterMs ?? 0) <= policy.maxRetryAfterMs;
}

/** Wait before attempt `n + 1`, n from 0. @units ms */
export function backoffMs(policy: Required<RetryPolicy>, n: number, random = Math.random): number {
  return random() * Math.min(policy.capMs, policy.baseMs * 2 ** n);
}

/**
 * Runs `attempt` until it succeeds, its error is final, or the retries are used up; the last error
 * is thrown. Each call has its own count, so a success always starts a fresh budget.
 */
export async function withRetry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, signal } = options;
  // The signal is watched here and not given to p-retry, which would throw away an answer that came
  // while the signal fired: a session created and forgotten.
  return await pRetry(attempt, {
    retries: policy.retries,
    minTimeout: 0,
    maxTimeout: 0,
    shouldRetry: ({ error }) => !signal?.aborted && mayRepeat(error, options),
    onFailedAttempt: async ({ error, retriesLeft, retriesConsumed }) => {
      if (retriesLeft <= 0 || signal?.aborted || !mayRepeat(error, options)) return;
      const wait = backoffMs(policy, retriesConsumed) + (livyFacts(error)?.retryAfterMs ?? 0);
      await pause(wait, signal);
    },
  });
}

/** Waits; ends early, without throwing, when the signal fires. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch {
    // Only the signal ends a sleep early; the caller looks at it.
  }
}
