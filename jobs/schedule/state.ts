/**
 * What is known of a schedule's times, and the changes it goes through. Invariants: a time is
 * claimed once and has one run; what is claimed is on the disk, with the id of its run, before
 * anything is started; only the process that owns a time changes what is said of it.
 */
import type { BestSummary } from '../runs/summary.js';
import type { NotifyEvent, Overlap } from './schedule.js';
import type { Due } from './times.js';

/**
 * - `queued`: its turn has not come; `waiting`: for files; `running`: an attempt goes on;
 * - `retrying`: an attempt failed, and the next is not due yet.
 */
export type Phase = 'queued' | 'waiting' | 'running' | 'retrying';

/** A time that was claimed and is not settled. */
export interface ActiveTime {
  /** @units ms */
  readonly time: number;
  readonly by: 'schedule' | 'backfill';
  readonly run: string;
  /** From 1: how many ids its runs have had. */
  readonly round: number;
  readonly phase: Phase;
  /** Attempts that ended. */
  readonly attempts: number;
  /** Attempts that were found cut off, with nobody who had watched them. */
  readonly takeUps: number;
  /** When it was claimed. @units ms */
  readonly claimedAt: number;
  /** When the phase began. @units ms */
  readonly since: number;
  /** Of `retrying`. @units ms */
  readonly retryAt?: number;
  /** Token of the process that has it; null when nobody does. */
  readonly owner: string | null;
  /** A later time takes its place. */
  readonly isReplaced?: boolean;
}

export type TimeEnding = 'done' | 'failed' | 'skipped' | 'replaced';

/** A time that needs no more. */
export interface SettledTime {
  /** @units ms */
  readonly time: number;
  readonly state: TimeEnding;
  readonly by: ActiveTime['by'];
  /** Absent of a skipped one. */
  readonly run?: string;
  readonly round?: number;
  readonly attempts: number;
  /** @units ms */
  readonly claimedAt: number;
  /** @units ms */
  readonly endedAt: number;
  /** Why it failed, was skipped or replaced. */
  readonly why?: string;
  /** Of the run, where it has one. */
  readonly best?: BestSummary;
}

/** Somebody is to be told. */
export interface Message {
  readonly id: string;
  readonly event: NotifyEvent;
  readonly settled: SettledTime;
  /** Of `score-fell`. */
  readonly before?: BestSummary;
  /** Who tells. */
  readonly owner: string | null;
}

export interface ScheduleState {
  /** Name of the file in its folder. */
  readonly file: string;
  /** When times began to count: those before are none. @units ms */
  readonly since: number;
  /** The latest time that was decided about. @units ms */
  readonly last: number | null;
  /** In the order they were claimed. */
  readonly active: readonly ActiveTime[];
  /** The latest that were settled, in that order. */
  readonly recent: readonly SettledTime[];
  readonly messages: readonly Message[];
  /** Whether the latest run failed. */
  readonly isFailing: boolean;
  /** Of the latest run that ended well. */
  readonly best: BestSummary | null;
  readonly counts: Readonly<Record<TimeEnding | 'missed', number>>;
}

const MOST_RECENT = 50;
const MOST_MESSAGES = 100;

export function newState(file: string, since: number): ScheduleState {
  return {
    file,
    since,
    last: null,
    active: [],
    recent: [],
    messages: [],
    isFailing: false,
    best: null,
    counts: { done: 0, failed: 0, skipped: 0, replaced: 0, missed: 0 },
  };
}

/** A time as it is claimed. */
export function newTime(
  about: Pick<ActiveTime, 'time' | 'by' | 'run' | 'round' | 'owner'>,
  nowMs: number,
): ActiveTime {
  return { ...about, phase: 'queued', attempts: 0, takeUps: 0, claimedAt: nowMs, since: nowMs };
}

/** Another value for a time that a process owns; undefined when it does not own it any more. */
export function changed(
  state: ScheduleState,
  owner: string,
  time: number,
  change: Partial<ActiveTime>,
): ScheduleState | undefined {
  const isOurs = (one: ActiveTime): boolean => one.time === time && one.owner === owner;
  if (!state.active.some(isOurs)) return undefined;
  const active = state.active.map((one) => (isOurs(one) ? { ...one, ...change } : one));
  return { ...state, active };
}

/** Gives what some owners have to another, or to nobody; undefined when they have nothing. */
export function handedOver(
  state: ScheduleState,
  isLeft: (one: Owned) => boolean,
  owner: string | null,
): ScheduleState | undefined {
  const { active, messages } = state;
  if (![...active, ...messages].some(isLeft)) return undefined;
  const give = <T extends Owned>(one: T): T => (isLeft(one) ? { ...one, owner } : one);
  return { ...state, active: active.map(give), messages: messages.map(give) };
}

export type Owned = Pick<ActiveTime, 'owner'>;

export interface Claims {
  readonly due: Due;
  readonly overlap: Overlap;
  readonly owner: string;
  readonly nowMs: number;
  readonly runOf: (time: number) => string;
  /** Of times that a backfill did before. */
  readonly isDone: (time: number) => boolean;
}

/**
 * Decides about times that came due: each is claimed, or settled as skipped. Several at once are
 * times that were missed: they take turns, whatever the overlap says.
 */
export function claimed(state: ScheduleState, claims: Claims): ScheduleState {
  const { overlap, owner, nowMs } = claims;
  const known = new Set(state.active.map(({ time }) => time));
  const { times: all, missed, latest } = claims.due;
  const times = all.filter((time) => !known.has(time) && !claims.isDone(time));
  const isBusy = state.active.some(({ by }) => by === 'schedule');
  const last = latest === undefined ? state.last : Math.max(state.last ?? latest, latest);
  const counts = { ...state.counts, missed: state.counts.missed + missed };
  const base: ScheduleState = { ...state, last, counts };
  if (isBusy && overlap === 'skip') {
    const why = 'the run before it had not ended';
    return times.reduce((next, time) => {
      const ended = { by: 'schedule' as const, attempts: 0, claimedAt: nowMs, endedAt: nowMs };
      return settled(next, { time, state: 'skipped', why, ...ended });
    }, base);
  }
  const entries = times.map((time) =>
    newTime({ time, by: 'schedule', run: claims.runOf(time), round: 1, owner }, nowMs),
  );
  const replaces = isBusy && overlap === 'replace' && entries.length > 0;
  const before = replaces
    ? state.active.map((one) => (one.by === 'schedule' ? { ...one, isReplaced: true } : one))
    : state.active;
  return { ...base, active: [...before, ...entries] };
}

/** Whether it is a time's turn: those of the schedule come one after another. */
export function hasTurn(state: ScheduleState, { time, by }: ActiveTime): boolean {
  if (by === 'backfill') return true;
  return state.active.find((one) => one.by === 'schedule')?.time === time;
}

/** Puts a time among those that need no more. */
export function settled(
  state: ScheduleState,
  time: SettledTime,
  messages: readonly Message[] = [],
): ScheduleState {
  const counts = { ...state.counts, [time.state]: state.counts[time.state] + 1 };
  const isNews = time.by === 'schedule' && (time.state === 'done' || time.state === 'failed');
  return {
    ...state,
    active: state.active.filter((one) => one.time !== time.time || time.state === 'skipped'),
    recent: [...state.recent, time].slice(-MOST_RECENT),
    messages: [...state.messages, ...messages].slice(-MOST_MESSAGES),
    isFailing: isNews ? time.state === 'failed' : state.isFailing,
    best: isNews && time.state === 'done' ? (time.best ?? state.best) : state.best,
    counts,
  };
}

/** What people are told when a time is settled. */
export function messagesOf(
  state: ScheduleState,
  time: SettledTime,
  scoreDrop: number,
): Omit<Message, 'owner'>[] {
  const id = (event: NotifyEvent): string => `${time.run ?? time.time}-${event}`;
  if (time.state === 'failed') return [{ id: id('failure'), event: 'failure', settled: time }];
  if (time.state !== 'done') return [];
  const recovery = state.isFailing
    ? [{ id: id('recovery'), event: 'recovery' as const, settled: time }]
    : [];
  const { best: before } = state;
  const { best } = time;
  const fell =
    before !== null &&
    best !== undefined &&
    before.metric === best.metric &&
    before.score - best.score > scoreDrop;
  return fell
    ? [...recovery, { id: id('score-fell'), event: 'score-fell', settled: time, before }]
    : recovery;
}
