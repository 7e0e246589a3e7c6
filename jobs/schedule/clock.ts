/** The time of day and waiting, as the scheduler knows them; a simulation brings its own. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** @units ms */
  now(): number;
  /** Resolves after a while, or when the signal is aborted. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    sleep(Math.min(ms, 2 ** 31 - 1), undefined, signal ? { signal } : {}).catch(() => undefined),
};
