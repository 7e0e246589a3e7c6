/**
 * Brings one claimed time to its end: waits for its files, starts or takes up its run, tries again
 * what may pass. Invariants: a run that is there is gone on with, never started a second time; what
 * was decided is on the disk before it is acted upon; once another process has the time, this one
 * does nothing more about it.
 */
import { hostname } from 'node:os';
import type { Clock } from './clock.js';
import type { RunLaunch } from './launch.js';
import {
  type AttemptOutcome,
  type Exit,
  freeRun,
  outcomeOfExit,
  outcomeOfRun,
  retryDelay,
  runOf,
} from './outcome.js';
import type { ScheduledFile } from './read-schedule.js';
import type { SchedulerEvent } from './scheduler-event.js';
import { type ActiveTime, changed, type SettledTime } from './state.js';
import type { StateFolder } from './state-folder.js';
import { waitForFiles } from './wait-for.js';
import { zonedText } from './zone.js';

/** Times that a run which was found cut off is taken up before it is given up. */
const MOST_TAKE_UPS = 5;
/** Between two looks at a run that another process has. @units ms */
const WATCH_MS = 1000;
/** Of a run that exits because somebody else has it, and is at rest when looked at. @units ms */
const SETTLING_MS = 200;
/** The longest that a timer takes. @units ms */
const MOST_TIMER_MS = 2 ** 31 - 1;
const TRY_LATER = 75;
const INVALID = 3;

export interface Supervision {
  readonly entry: ActiveTime;
  /** As of the time. */
  readonly scheduled: ScheduledFile;
  readonly folder: StateFolder;
  /** Of the scheduler. */
  readonly owner: string;
  readonly launch: RunLaunch;
  readonly clock: Clock;
  /** Aborted when the scheduler stops, or with `REPLACED` when a later time takes this one's place. */
  readonly end: AbortSignal;
  /** Waits until a run may start; call what comes back when it has ended. */
  readonly takeSlot: () => Promise<() => void>;
  readonly onEvent: (event: SchedulerEvent) => void;
}

export const REPLACED = 'replaced';

export type Result =
  | Pick<SettledTime, 'state' | 'why' | 'best' | 'attempts' | 'run' | 'round'>
  /** It is left to whoever comes next. */
  | 'released'
  /** Another process has it. */
  | 'lost';

export function supervise(supervision: Supervision): Promise<Result> {
  return new Supervisor(supervision).run();
}

class Supervisor {
  readonly #given: Supervision;
  #entry: ActiveTime;
  /** An attempt is under way that this process did not start. */
  #takesUp: boolean;

  constructor(given: Supervision) {
    this.#given = given;
    this.#entry = given.entry;
    this.#takesUp = given.entry.phase === 'running';
  }

  async run(): Promise<Result> {
    const missing = await this.#waitForFiles();
    if (this.#end.aborted) return this.#ended();
    if (missing !== undefined) {
      return this.#settle('failed', `expected ${missing} within the deadline, got none`);
    }
    for (;;) {
      if (!(await this.#waitForRetry())) return this.#ended();
      const outcome = await this.#attempt();
      if (outcome === 'lost') return 'lost';
      if (outcome.kind === 'done') return this.#settle('done', undefined, outcome.best);
      if (this.#end.aborted) return this.#ended();
      if (outcome.kind === 'cut-off') {
        const takeUps = this.#entry.takeUps + (outcome.wasStopped ? 0 : 1);
        if (!(await this.#put({ takeUps }))) return 'lost';
        if (takeUps <= MOST_TAKE_UPS) continue;
        return this.#settle('failed', `cut off ${takeUps} times; given up`);
      }
      const attempts = this.#entry.attempts + 1;
      const delayMs = retryDelay(this.#given.scheduled.schedule.retries, attempts);
      if (!outcome.mayPass || delayMs === undefined) {
        this.#entry = { ...this.#entry, attempts };
        return this.#settle('failed', outcome.why);
      }
      const retryAt = this.#given.clock.now() + delayMs;
      if (!(await this.#put({ attempts, phase: 'retrying', retryAt }))) return 'lost';
      this.#tell('retry', outcome.why);
    }
  }

  /** Answers what did not come. */
  async #waitForFiles(): Promise<string | undefined> {
    const { scheduled, clock } = this.#given;
    const { waitFor } = scheduled.schedule;
    const { phase } = this.#entry;
    if (waitFor === undefined || phase === 'running' || phase === 'retrying') return undefined;
    if (phase !== 'waiting' && !(await this.#put({ phase: 'waiting' }))) return undefined;
    this.#tell('waiting', waitFor.files.join(', '));
    const { since } = this.#entry;
    const isPast = this.#entry.by === 'backfill';
    return waitForFiles({ ...waitFor, since, clock, signal: this.#end, isPast });
  }

  /** Answers false when there is no next attempt. */
  async #waitForRetry(): Promise<boolean> {
    const { clock } = this.#given;
    if (this.#entry.phase !== 'retrying') return !this.#end.aborted;
    await clock.sleep(Math.max(0, (this.#entry.retryAt ?? 0) - clock.now()), this.#end);
    return !this.#end.aborted;
  }

  async #attempt(): Promise<AttemptOutcome | 'lost'> {
    const free = await this.#given.takeSlot();
    try {
      if (this.#end.aborted) return { kind: 'cut-off', wasStopped: true };
      const isTakenUp = this.#takesUp;
      this.#takesUp = false;
      const { since } = this.#entry;
      if (!isTakenUp && !(await this.#put({ phase: 'running' }))) return 'lost';
      const found = await runOf(this.#given.scheduled.output, this.#entry.run);
      if (found === undefined) return await this.#launch(false);
      const outcome = outcomeOfRun(found);
      if (outcome === undefined) return await this.#watch();
      if (outcome.kind === 'done') return outcome;
      // What ended after the attempt began, while nobody watched, is what it came to.
      if (isTakenUp && Date.parse(found.updatedAt) >= since) return outcome;
      return await this.#launch(true);
    } finally {
      free();
    }
  }

  async #launch(isResumed: boolean): Promise<AttemptOutcome | 'lost'> {
    const { scheduled, folder, launch } = this.#given;
    const { output, file, schedule } = scheduled;
    const { run, time } = this.#entry;
    this.#tell(isResumed ? 'resumed' : 'started');
    const { zone, timeoutMs } = schedule;
    const log = folder.logPath(run);
    const asked = { file, run, isResumed, time, zone, output, log };
    const { exit, isOver } = await limited(timeoutMs, this.#end, (signal) =>
      launch({ ...asked, signal }),
    );
    if (exit.code === TRY_LATER) {
      // Somebody else began or took up the same run in the same moment: it is theirs to end.
      await this.#given.clock.sleep(SETTLING_MS);
      const found = await runOf(output, run);
      const outcome = found && outcomeOfRun(found);
      if (found !== undefined && outcome === undefined) return this.#watch();
      if (outcome !== undefined && outcome.kind !== 'cut-off') return outcome;
    }
    if (isResumed && exit.code === INVALID) return this.#startAgain();
    const outcome = outcomeOfExit(exit, await runOf(output, run));
    return outcome.kind === 'failed' && isOver ? this.#overLimit() : outcome;
  }

  /** A run that can't be gone on with, since its data are others by now: a new one, from the start. */
  async #startAgain(): Promise<AttemptOutcome | 'lost'> {
    const { time, round } = this.#entry;
    const next = await freeRun(this.#given.scheduled, time, round + 1);
    if (!(await this.#put(next))) return 'lost';
    return this.#launch(false);
  }

  /** A run that a process has which is not ours to wait for: its folder says when it ends. */
  async #watch(): Promise<AttemptOutcome> {
    const { scheduled, clock } = this.#given;
    const { schedule, output } = scheduled;
    this.#tell('adopted');
    const end = this.#end;
    const deadline = this.#entry.since + (schedule.timeoutMs ?? Number.POSITIVE_INFINITY);
    let isOver = false;
    for (;;) {
      const found = await runOf(output, this.#entry.run);
      const outcome = found === undefined ? GONE : outcomeOfRun(found);
      if (outcome !== undefined)
        return isOver && outcome.kind !== 'done' ? this.#overLimit() : outcome;
      const mustEnd = end.aborted || clock.now() > deadline;
      if (mustEnd && !isOver && found?.process?.host === hostname()) {
        isOver = clock.now() > deadline;
        terminate(found.process.pid);
      }
      if (end.aborted && found?.process?.host !== hostname()) return GONE;
      await clock.sleep(WATCH_MS, mustEnd ? undefined : end);
    }
  }

  #overLimit(): AttemptOutcome {
    return { kind: 'failed', why: 'the time limit was over', mayPass: true };
  }

  get #end(): AbortSignal {
    return this.#given.end;
  }

  #ended(): Result {
    if (this.#end.reason !== REPLACED) return 'released';
    return this.#settle('replaced', 'a later time took its place');
  }

  #settle(
    state: SettledTime['state'],
    why?: string,
    best?: SettledTime['best'],
  ): Exclude<Result, string> {
    const { run, round } = this.#entry;
    const attempts = this.#entry.attempts + (state === 'done' ? 1 : 0);
    return { state, run, round, attempts, ...(why ? { why } : {}), ...(best ? { best } : {}) };
  }

  /** Says something else of the time. Answers false when another process has it. */
  async #put(change: Partial<ActiveTime>): Promise<boolean> {
    const { folder, owner, clock } = this.#given;
    const { time } = this.#entry;
    const since = change.phase === undefined ? {} : { since: clock.now() };
    const now = await folder.state.update((state) =>
      changed(state, owner, time, { ...change, ...since }),
    );
    const entry = now.active.find((one) => one.time === time && one.owner === owner);
    if (entry !== undefined) this.#entry = entry;
    return entry !== undefined;
  }

  #tell(kind: SchedulerEvent['kind'], why?: string): void {
    const { scheduled, onEvent } = this.#given;
    const { time, run, attempts } = this.#entry;
    const at = zonedText(time, scheduled.schedule.zone);
    onEvent({ kind, schedule: scheduled.name, at, time, run, attempts, ...(why ? { why } : {}) });
  }
}

const GONE: AttemptOutcome = { kind: 'cut-off', wasStopped: true };

/** Runs an attempt with a signal for its time limit and for the end of the time. */
async function limited(
  limitMs: number | undefined,
  end: AbortSignal,
  attempt: (signal: AbortSignal) => Promise<Exit>,
): Promise<{ readonly exit: Exit; readonly isOver: boolean }> {
  const controller = new AbortController();
  let isOver = false;
  const stop = (): void => controller.abort();
  const limit = (): void => {
    isOver = true;
    stop();
  };
  if (end.aborted) stop();
  // Taken off again: the signal may outlive many attempts.
  end.addEventListener('abort', stop);
  const timer =
    limitMs === undefined ? undefined : setTimeout(limit, Math.min(limitMs, MOST_TIMER_MS));
  try {
    return { exit: await attempt(controller.signal), isOver };
  } finally {
    clearTimeout(timer);
    end.removeEventListener('abort', stop);
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has just ended.
  }
}
