/**
 * The logical time of a run: the moment it is for, whenever it runs. Templates name it and its
 * neighbours, and a run's id is made of it, so the same time of the same schedule is the same run.
 */
import { createHash } from 'node:crypto';
import { ConfigError } from '../../driver/errors.js';
import { slug, timeKey } from '../runs/run-id.js';
import type { Schedule } from './schedule.js';
import { nextTime, previousTime } from './times.js';
import { isDate, localTime, MOMENT_TEXT, parseMoment, zonedText } from './zone.js';

/** What templates know of a time. */
export interface TimeNames {
  /** `2026-03-29`, in the zone. */
  readonly date: string;
  /** ISO 8601 with the offset of the zone. */
  readonly time: string;
  /** `2026-03` */
  readonly month: string;
  /** `2026` */
  readonly year: string;
}

/** `{{ date }}`, `{{ previous.date }}`, .. */
export interface TimeVariables extends TimeNames {
  /** Of the schedule's time before; the day before without a schedule. */
  readonly previous: TimeNames;
  readonly next: TimeNames;
}

type Calendar = Pick<Schedule, 'cron' | 'zone'>;

/** Without a schedule a file runs for days. */
const DAYS: Calendar = { cron: ['0 0 * * *'], zone: 'UTC' };

/** The names of a time. `start` and `end` of the schedule do not bound its neighbours. */
export function timeVariables(ms: number, { cron, zone }: Calendar = DAYS): TimeVariables {
  const calendar = { cron, zone };
  const names = (at: number): TimeNames => {
    const { date } = localTime(at, zone);
    return { date, time: zonedText(at, zone), month: date.slice(0, 7), year: date.slice(0, 4) };
  };
  const [previous, next] = [previousTime(calendar, ms), nextTime(calendar, ms)];
  return { ...names(ms), previous: names(previous ?? ms), next: names(next ?? ms) };
}

/**
 * The time that `--date` says: a date is the first time of the schedule on that day, or the day's
 * beginning where it has none. @units ms
 * @throws ConfigError for text that is neither date nor time
 */
export function timeOfDate(text: string, calendar: Calendar = DAYS): number {
  const ms = requireMoment('--date', text, calendar.zone);
  if (!isDate(text)) return ms;
  const { cron, zone } = calendar;
  const first = nextTime({ cron, zone }, ms - 1);
  const isOnDay = first !== undefined && localTime(first, zone).date === text.trim();
  return isOnDay ? first : ms;
}

/** As `parseMoment`, of a flag's value. @throws ConfigError for text that is neither date nor time */
export function requireMoment(key: string, text: string, zone: string): number {
  const ms = parseMoment(text, zone);
  if (ms !== undefined) return ms;
  throw new ConfigError(`${key}: expected ${MOMENT_TEXT}, got ${JSON.stringify(text)}`, {
    key,
    value: text,
    source: 'flag',
  });
}

/**
 * The id of a time's run, such as `20260329T010000Z-nightly-9f3a61c2`.
 * @param schedule what tells schedules apart: its state's folder
 * @param round from 1; more than 1 for a time that is run again
 */
export function scheduledRunId(name: string, schedule: string, ms: number, round: number): string {
  const key = timeKey(ms);
  const digest = createHash('sha256').update(`${schedule}\n${key}\n${round}`).digest('hex');
  return `${key}-${slug(name)}-${digest.slice(0, 8)}`;
}
