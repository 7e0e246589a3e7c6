/**
 * One schedule as one scheduler keeps it: decides what is due, takes over what schedulers that are
 * gone left behind, and brings to its end what it owns. Invariant: all it decides goes through the
 * state's versions, so any number of schedulers may keep the same schedule.
 */
import { ConfigError, DataError } from '../../driver/errors.js';
import type { Clock } from './clock.js';
import type { RunLaunch } from './launch.js';
import { scheduledRunId } from './logical-time.js';
import { deliver } from './notify.js';
import { removeOldRuns } from './old-runs.js';
import type { TimeRun } from './outcome.js';
import { readSchedule, type ScheduledFile } from './read-schedule.js';
import type { SchedulerEvent } from './scheduler-event.js';
import {
  type ActiveTime,
  claimed,
  handedOver,
  hasTurn,
  type Message,
  messagesOf,
  newTime,
  type Owned,
  type ScheduleState,
  type SettledTime,
  settled,
} from './state.js';
import { StateFolder } from './state-folder.js';
import { REPLACED, type Result, supervise } from './supervise.js';
import { dueTimes, nextTime, previousTime } from './times.js';
import { zonedText } from './zone.js';

export interface WorkOptions {
  /** Token of the scheduler. */
  readonly owner: string;
  readonly launch: RunLaunch;
  readonly clock: Clock;
  /** Folder for run folders, absolute. Default: as the file says. */
  readonly output?: string;
  /** Runs the last time of a schedule that was never started, not only times to come. */
  readonly isOnce: boolean;
  readonly takeSlot: () => Promise<() => void>;
  readonly onEvent: (event: SchedulerEvent) => void;
  /** A time has ended. */
  readonly onEnd: () => void;
}

/** After an error of the file system, say. @units ms */
const AGAIN_MS = 10_000;
/** Before a message is told again, at first; and how old one may be. @units ms */
const TELL_AGAIN_MS = 60_000;
const TELL_MS = 24 * 3_600_000;

export class ScheduleWork {
  readonly folder: StateFolder;
  readonly #options: WorkOptions;
  #scheduled: ScheduledFile;
  /** By time, what ends it. */
  readonly #running = new Map<
    number,
    { readonly end: AbortController; readonly done: Promise<void> }
  >();
  readonly #telling = new Set<string>();
  /** By message, when it may be told after the other side was ill. @units ms */
  readonly #tellAgain = new Map<string, number>();
  /** By time, when it may be begun again after an error. @units ms */
  readonly #again = new Map<number, number>();
  #warned = '';
  #isStopping = false;
  #isInDoubt = false;

  private constructor(scheduled: ScheduledFile, folder: StateFolder, options: WorkOptions) {
    this.#scheduled = scheduled;
    this.folder = folder;
    this.#options = options;
  }

  /** @throws ConfigError for a file without a schedule, or whose name another one has */
  static async open(file: string, options: WorkOptions): Promise<ScheduleWork> {
    const { clock, output, isOnce } = options;
    const scheduled = await readSchedule(file, output === undefined ? {} : { output });
    const now = clock.now();
    const last = isOnce ? previousTime(scheduled.schedule, now + 1) : undefined;
    const folder = await stateFolderOf(scheduled, last === undefined ? now : last - 1);
    await folder.make();
    await folder.state.update((state) => (state.last === null ? { ...state } : undefined));
    return new ScheduleWork(scheduled, folder, options);
  }

  get scheduled(): ScheduledFile {
    return this.#scheduled;
  }

  /** How many times this scheduler is at. */
  get busy(): number {
    return this.#running.size + this.#telling.size;
  }

  /** Whether it is not known yet if what another machine's scheduler left is to be taken over. */
  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /** When the next time comes. @units ms */
  get next(): number | undefined {
    return nextTime(this.#scheduled.schedule, this.#options.clock.now());
  }

  /** One look at state and clock, and what follows of it. @param claims whether new times count */
  async tick(claims = true): Promise<ScheduleState> {
    await this.folder.touch(this.#options.owner);
    await this.#readAgain();
    await this.#takeOver();
    const state = claims ? await this.#claim() : await this.folder.state.read();
    if (!this.#isStopping) this.#begin(state);
    return state;
  }

  /** Claims a time of the past, unless it is under way, and begins it. */
  async claimTime(time: number, run: TimeRun): Promise<void> {
    const { owner, clock } = this.#options;
    const entry = newTime({ time, by: 'backfill', ...run, owner }, clock.now());
    const state = await this.folder.state.update((current) =>
      current.active.some((one) => one.time === time)
        ? undefined
        : { ...current, active: [...current.active, entry] },
    );
    this.#begin(state);
  }

  /** Ends what runs; others may go on with it, and so may this one. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const { end } of this.#running.values()) end.abort();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    const { owner } = this.#options;
    const isOurs = (one: Owned): boolean => one.owner === owner;
    await this.folder.state.update((state) => handedOver(state, isOurs, null));
    await this.folder.leave(owner);
    this.#isStopping = false;
  }

  /** A file that was changed counts from now on; one that is wrong does not. */
  async #readAgain(): Promise<void> {
    try {
      const read = await this.#readAt();
      if (read.name === this.#scheduled.name) this.#scheduled = read;
      this.#warned = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#warned)
        this.#tell('warning', { why: `${message}; the schedule stays as it was` });
      this.#warned = message;
    }
  }

  /** The file as it is now. @param time templates of its section are filled for it @units ms */
  #readAt(time?: number): Promise<ScheduledFile> {
    const { output } = this.#options;
    return readSchedule(this.#scheduled.file, output === undefined ? {} : { output }, time);
  }

  async #takeOver(): Promise<void> {
    const { owner } = this.#options;
    const { active, messages } = await this.folder.state.read();
    const gone = new Set<string | null>();
    for (const other of new Set([...active, ...messages].map((one) => one.owner))) {
      if (other === owner) continue;
      if (other === null || (await this.folder.isGone(other))) gone.add(other);
    }
    this.#isInDoubt = active.some((one) => one.owner !== null && this.folder.isInDoubt(one.owner));
    if (gone.size === 0) return;
    const isLeft = (one: Owned): boolean => gone.has(one.owner);
    let taken: readonly ActiveTime[] = [];
    await this.folder.state.update((state) => {
      taken = state.active.filter(isLeft);
      return handedOver(state, isLeft, owner);
    });
    for (const { time } of taken) this.#tell('took-over', { time });
  }

  async #claim(): Promise<ScheduleState> {
    const { owner, clock } = this.#options;
    const { schedule, file, name } = this.#scheduled;
    const dueOf = (state: ScheduleState, nowMs: number) => {
      const afterMs =
        state.last ?? (schedule.startMs === undefined ? state.since : schedule.startMs - 1);
      return dueTimes({ schedule, afterMs, nowMs });
    };
    const nowMs = clock.now();
    const seen = dueOf(await this.folder.state.read(), nowMs);
    const done = new Map<number, boolean>();
    for (const time of seen.times) {
      done.set(time, (await this.folder.settled(time))?.state === 'done');
    }
    let before: ScheduleState | undefined;
    const state = await this.folder.state.update((current) => {
      before = undefined;
      const due = dueOf(current, nowMs);
      // Times that were not looked up have been decided about by others, or are for the next look.
      if (due.latest === undefined || due.times.some((time) => !done.has(time))) return undefined;
      before = current;
      const runOf = (time: number) => scheduledRunId(name, file, time, 1);
      const isDone = (time: number) => done.get(time) === true;
      return claimed(current, { due, overlap: schedule.overlap, owner, nowMs, runOf, isDone });
    });
    if (before !== undefined) this.#tellClaims(before, state);
    return state;
  }

  #begin(state: ScheduleState): void {
    const { owner, clock } = this.#options;
    for (const entry of state.active) {
      if (entry.owner !== owner) continue;
      const running = this.#running.get(entry.time);
      if (running !== undefined) {
        if (entry.isReplaced) running.end.abort(REPLACED);
      } else if (hasTurn(state, entry) && clock.now() >= (this.#again.get(entry.time) ?? 0)) {
        const end = new AbortController();
        if (entry.isReplaced) end.abort(REPLACED);
        const done = this.#bringToEnd(entry, end.signal).finally(() => {
          this.#running.delete(entry.time);
          this.#options.onEnd();
        });
        this.#running.set(entry.time, { end, done });
      }
    }
    for (const message of state.messages) {
      const isTold = this.#telling.has(message.id) || message.owner !== owner;
      const isDue = clock.now() >= (this.#tellAgain.get(message.id) ?? 0);
      if (!isTold && isDue) this.#deliver(message);
    }
  }

  /** Never rejects. */
  async #bringToEnd(entry: ActiveTime, end: AbortSignal): Promise<void> {
    const { owner, launch, clock, takeSlot, onEvent } = this.#options;
    let result: Result;
    try {
      const scheduled = await this.#readAt(entry.time);
      const given = { entry, scheduled, folder: this.folder, owner, launch, clock, end };
      result = await supervise({ ...given, takeSlot, onEvent });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!(error instanceof ConfigError || error instanceof DataError)) {
        this.#again.set(entry.time, clock.now() + AGAIN_MS);
        this.#tell('warning', { time: entry.time, why });
        return;
      }
      const { run, round, attempts } = entry;
      result = { state: 'failed', why, run, round, attempts };
    }
    this.#again.delete(entry.time);
    if (typeof result === 'string') return;
    try {
      await this.#settle(entry, result);
    } catch (error) {
      this.#again.set(entry.time, clock.now() + AGAIN_MS);
      this.#tell('warning', { time: entry.time, why: (error as Error).message });
    }
  }

  async #settle(entry: ActiveTime, result: Exclude<Result, string>): Promise<void> {
    const { owner, clock } = this.#options;
    const { time, by, claimedAt } = entry;
    const ended: SettledTime = { time, by, claimedAt, endedAt: clock.now(), ...result };
    const isOurs = (one: ActiveTime): boolean => one.time === time && one.owner === owner;
    if (!(await this.folder.state.read()).active.some(isOurs)) return;
    await this.folder.keep(ended);
    const { notify } = this.#scheduled.schedule;
    let isSettled = false;
    await this.folder.state.update((state) => {
      isSettled = state.active.some(isOurs);
      if (!isSettled) return undefined;
      // Who fills back watches, and what becomes of times long past is no news.
      const told = by === 'backfill' ? [] : messagesOf(state, ended, notify?.scoreDrop ?? 0);
      const messages = told.flatMap((message) =>
        notify?.on.includes(message.event) ? [{ ...message, owner }] : [],
      );
      return settled(state, ended, messages);
    });
    if (!isSettled) return;
    await this.#removeOldRuns();
    const { state, run, attempts, why, endedAt } = ended;
    const seconds = (endedAt - claimedAt) / 1000;
    this.#tell(state, {
      time,
      attempts,
      seconds,
      ...(run ? { run } : {}),
      ...(why ? { why } : {}),
    });
  }

  /** Never rejects. */
  async #removeOldRuns(): Promise<void> {
    const { keep } = this.#scheduled.schedule;
    if (keep === undefined) return;
    const work = async (): Promise<void> => {
      const { active } = await this.folder.state.read();
      await removeOldRuns(this.#scheduled, keep, new Set(active.map(({ run }) => run)));
    };
    await work().catch((error: Error) => this.#tell('warning', { why: error.message }));
  }

  #deliver(message: Message): void {
    this.#telling.add(message.id);
    void this.#tryToDeliver(message)
      .catch((error: Error) => this.#tell('warning', { why: error.message }))
      .finally(() => {
        this.#telling.delete(message.id);
        this.#options.onEnd();
      });
  }

  async #tryToDeliver(message: Message): Promise<void> {
    const { clock } = this.#options;
    const { time, run, endedAt } = message.settled;
    const about = { time, ...(run ? { run } : {}) };
    const { wrong, mayPass } = await deliver(message, await this.#readAt(time));
    const isFirst = !this.#tellAgain.has(message.id);
    if (mayPass && clock.now() - endedAt < TELL_MS) {
      if (isFirst) for (const why of wrong) this.#tell('warning', { ...about, why });
      const waited = clock.now() - endedAt;
      this.#tellAgain.set(message.id, clock.now() + Math.max(TELL_AGAIN_MS, waited));
      return;
    }
    await this.folder.state.update((state) => {
      const messages = state.messages.filter(({ id }) => id !== message.id);
      return messages.length === state.messages.length ? undefined : { ...state, messages };
    });
    this.#tellAgain.delete(message.id);
    for (const why of wrong) this.#tell('warning', { ...about, why: `${why}; given up` });
    if (wrong.length === 0) this.#tell('told', { ...about, why: message.event });
  }

  #tellClaims(before: ScheduleState, after: ScheduleState): void {
    const known = new Set(before.active.map(({ time }) => time));
    const missed = after.counts.missed - before.counts.missed;
    const skipped = after.counts.skipped - before.counts.skipped;
    if (missed > 0) this.#tell('missed', { why: `${missed} times passed over` });
    for (const { time, why } of skipped > 0 ? after.recent.slice(-skipped) : []) {
      this.#tell('skipped', { time, ...(why ? { why } : {}) });
    }
    for (const { time, run } of after.active) {
      if (!known.has(time)) this.#tell('claimed', { time, run });
    }
  }

  #tell(kind: SchedulerEvent['kind'], about: Omit<SchedulerEvent, 'kind' | 'schedule'>): void {
    const { name, schedule } = this.#scheduled;
    const at = about.time === undefined ? {} : { at: zonedText(about.time, schedule.zone) };
    this.#options.onEvent({ kind, schedule: name, ...at, ...about });
  }
}

/** @throws ConfigError when another file of the folder has the name */
export async function stateFolderOf(scheduled: ScheduledFile, since: number): Promise<StateFolder> {
  const { folder, file, name } = scheduled;
  const own = file.slice(folder.length + 1);
  const state = new StateFolder(folder, name, own, since);
  const { file: known } = await state.state.read();
  if (known !== own) {
    throw new ConfigError(
      `${own}: name: expected a name that no other schedule of the folder has, got ${JSON.stringify(name)}, which ${known} has; give it another, or remove ${state.path} if that file is gone`,
      { key: 'name', value: name, source: 'file', file: own },
    );
  }
  return state;
}
