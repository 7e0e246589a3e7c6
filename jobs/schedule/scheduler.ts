/**
 * Runs schedules as their times come, or once what is due now. Invariant: it may be killed at any
 * moment; what it was at is taken over by the next one, or by another that runs beside it.
 */
import { resolve } from 'node:path';
import { processToken } from '../../driver/support/process-token.js';
import { type Clock, systemClock } from './clock.js';
import type { RunLaunch } from './launch.js';
import { ScheduleWork } from './schedule-work.js';
import type { SchedulerEvent } from './scheduler-event.js';

export interface SchedulerOptions {
  /** Job and pipeline files. */
  readonly files: readonly string[];
  readonly launch: RunLaunch;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Runs at once. Default 1. */
  readonly parallel?: number;
  /** Folder for run folders, absolute. Default: as each file says. */
  readonly output?: string;
  /** Only `once` will be called. */
  readonly isOnce?: boolean;
  readonly onEvent?: OnEvent;
}

type OnEvent = (event: SchedulerEvent) => void;

/** Between two looks while something is under way here or elsewhere, and otherwise. @units ms */
const BUSY_MS = 1000;
const IDLE_MS = 15_000;

export class Scheduler {
  readonly works: readonly ScheduleWork[];
  readonly #clock: Clock;
  readonly #onEvent: OnEvent;
  #wake = new AbortController();
  #tickedAt = Date.now();

  private constructor(works: ScheduleWork[], clock: Clock, onEvent: OnEvent) {
    this.works = works;
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  /** @throws ConfigError for a file without a schedule, or with a wrong one */
  static async open(options: SchedulerOptions): Promise<Scheduler> {
    const { launch, clock = systemClock, parallel = 1, output, onEvent = () => {} } = options;
    const owner = processToken();
    const works: ScheduleWork[] = [];
    const scheduler = new Scheduler(works, clock, onEvent);
    const takeSlot = slots(parallel);
    for (const file of new Set(options.files.map((given) => resolve(given)))) {
      const work = await ScheduleWork.open(file, {
        owner,
        launch,
        clock,
        isOnce: options.isOnce === true,
        takeSlot,
        onEvent,
        onEnd: () => scheduler.#wake.abort(),
        ...(output === undefined ? {} : { output }),
      });
      works.push(work);
    }
    return scheduler;
  }

  /** Milliseconds since it last looked at its schedules. */
  get quietMs(): number {
    return Date.now() - this.#tickedAt;
  }

  /** Runs until the signal is aborted; then ends its runs, which others may go on with. */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#wake.abort();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const isBusy = await this.#tick(true, (work, error) =>
          // A full disk, say: it may have room again by the next look.
          this.#onEvent({ kind: 'warning', schedule: work.scheduled.name, why: error.message }),
        );
        if (signal.aborted) break;
        await this.#clock.sleep(this.#pauseMs(isBusy), this.#wake.signal);
        this.#wake = new AbortController();
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      await this.stop();
    }
  }

  /** Runs what is due now, and what was left, to its end. */
  async once(signal?: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#wake.abort();
    signal?.addEventListener('abort', onAbort);
    try {
      let isFirst = true;
      while (!signal?.aborted) {
        this.#wake = new AbortController();
        await this.#tick(isFirst);
        isFirst = false;
        if (this.works.every(({ busy, isInDoubt }) => busy === 0 && !isInDoubt)) break;
        await untilAborted(this.#wake.signal, BUSY_MS);
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await this.stop();
    }
  }

  /** Ends what runs; others may go on with it. */
  async stop(): Promise<void> {
    await Promise.all(this.works.map((work) => work.stop()));
  }

  /** Answers whether anything is under way, here or elsewhere. */
  async #tick(
    claims: boolean,
    onError: (work: ScheduleWork, error: Error) => void = (_, error) => {
      throw error;
    },
  ): Promise<boolean> {
    let isBusy = false;
    for (const work of this.works) {
      try {
        const state = await work.tick(claims);
        isBusy ||= state.active.length > 0 || state.messages.length > 0;
      } catch (error) {
        onError(work, error as Error);
      }
    }
    this.#tickedAt = Date.now();
    return isBusy;
  }

  #pauseMs(isBusy: boolean): number {
    const now = this.#clock.now();
    const next = this.works.map((work) => (work.next ?? Number.POSITIVE_INFINITY) - now);
    return Math.max(1, Math.min(isBusy ? BUSY_MS : IDLE_MS, ...next));
  }
}

/** Resolves when the signal is aborted, or after a while of real time. */
function untilAborted(signal: AbortSignal, ms: number): Promise<void> {
  return systemClock.sleep(ms, signal);
}

/** Lets so many at once; others wait in the order they asked. */
export function slots(count: number): () => Promise<() => void> {
  let free = count;
  const waiting: (() => void)[] = [];
  return async () => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    };
  };
}
