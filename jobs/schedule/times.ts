/**
 * Which logical times a schedule has, and which of them are due. Invariants: everything here is a
 * function of its arguments, so two schedulers that see the same state decide the same; a time is
 * a moment in UTC, never a reading of a clock, so clock changes neither repeat nor lose one.
 */
import type { Cron } from 'croner';
import type { CatchUp, Schedule } from './schedule.js';
import { croner } from './zone.js';

/** Times that one decision takes up; more that were missed are passed over. */
export const MOST_TIMES = 1000;

/** How late `catch_up: none` still takes a time: timers of systemd and Kubernetes are not exact. */
export const GRACE_MS = 5 * 60_000;

type Calendar = Pick<Schedule, 'cron' | 'zone' | 'startMs' | 'endMs'>;

const parsed = new WeakMap<Calendar, Cron[]>();

function expressions(calendar: Calendar): Cron[] {
  let made = parsed.get(calendar);
  if (made === undefined) {
    const { Cron } = croner();
    made = calendar.cron.map((text) => new Cron(text, { timezone: calendar.zone, paused: true }));
    parsed.set(calendar, made);
  }
  return made;
}

/** What is wrong with a cron expression; undefined when it is one. */
export function cronProblem(text: string): string | undefined {
  try {
    const { Cron } = croner();
    const cron = new Cron(text, { timezone: 'UTC', paused: true });
    if (cron.nextRun(new Date(0)) === null) return 'one that never comes';
    return undefined;
  } catch (cause) {
    return (cause as Error).message.replace(/^CronPattern: /, '');
  }
}

/** The first time after a moment; undefined when there is none. @units ms */
export function nextTime(calendar: Calendar, afterMs: number): number | undefined {
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = calendar;
  const from = new Date(Math.max(afterMs, startMs - 1));
  const next = expressions(calendar).map((cron) => cron.nextRun(from)?.getTime() ?? Infinity);
  const first = Math.min(...next);
  return first <= endMs && Number.isFinite(first) ? first : undefined;
}

/** The last time before a moment; undefined when there is none. @units ms */
export function previousTime(calendar: Calendar, beforeMs: number): number | undefined {
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = calendar;
  // croner looks at whole seconds before the one it is given.
  const from = new Date(Math.ceil(Math.min(beforeMs, endMs + 1) / 1000) * 1000);
  const last = expressions(calendar).map(
    (cron) => cron.previousRuns(1, from)[0]?.getTime() ?? Number.NEGATIVE_INFINITY,
  );
  const latest = Math.max(...last);
  return latest >= startMs && Number.isFinite(latest) ? latest : undefined;
}

/** The times in `(afterMs, untilMs]`, ascending; of more than `most` the latest. @units ms */
export function timesBetween(
  calendar: Calendar,
  afterMs: number,
  untilMs: number,
  most = Number.POSITIVE_INFINITY,
): number[] {
  const times: number[] = [];
  let time = previousTime(calendar, untilMs + 1);
  while (time !== undefined && time > afterMs && times.length < most) {
    times.push(time);
    time = previousTime(calendar, time);
  }
  return times.reverse();
}

export interface DueQuestion {
  readonly schedule: Calendar & Pick<Schedule, 'catchUp' | 'windowMs'>;
  /** The latest time that was decided about, or the moment from which on times count. @units ms */
  readonly afterMs: number;
  /** @units ms */
  readonly nowMs: number;
}

export interface Due {
  /** To run, ascending. @units ms */
  readonly times: readonly number[];
  /** Times since `afterMs` that are passed over, as far as they are counted. */
  readonly missed: number;
  /** Of them all; absent when there was none. @units ms */
  readonly latest?: number;
}

/**
 * The times to run now. A clock that was set back gives none until it is past the last time again,
 * one that was set forward finds those between as missed.
 */
export function dueTimes({ schedule, afterMs, nowMs }: DueQuestion): Due {
  const all = timesBetween(schedule, afterMs, nowMs, MOST_TIMES);
  const recent = all.filter((time) => time >= nowMs - schedule.windowMs);
  const times = caughtUp(recent, schedule.catchUp, nowMs);
  const latest = all.at(-1);
  return { times, missed: all.length - times.length, ...(latest === undefined ? {} : { latest }) };
}

function caughtUp(all: readonly number[], catchUp: CatchUp, nowMs: number): readonly number[] {
  if (catchUp === 'all') return all;
  const last = all.slice(-1);
  return catchUp === 'last' ? last : last.filter((time) => nowMs - time <= GRACE_MS);
}
