/**
 * Local times of a zone, by croner's own calendar, so that what a schedule says of a time is what
 * its cron expression saw.
 */
import type * as Croner from 'croner';
import { loadPackage } from '../../driver/support/load-package.js';

/** Loaded when a schedule is there: most job files have none. */
let loaded: typeof Croner | undefined;

export function croner(): typeof Croner {
  loaded ??= loadPackage('croner') as typeof Croner;
  return loaded;
}

/** Whether the system knows a zone of this name. */
export function isZone(zone: string): boolean {
  try {
    new (croner().CronDate)(new Date(0), zone);
    return true;
  } catch {
    return false;
  }
}

const digits = (value: number, count: number): string => String(value).padStart(count, '0');

/** The date and time of day in a zone: `2026-03-29`, `03:00:00`, and the offset then, `+02:00`. */
export function localTime(
  ms: number,
  zone: string,
): { date: string; clock: string; offset: string } {
  const local = new (croner().CronDate)(new Date(ms), zone);
  const { year, month, day, hour, minute, second } = local;
  const asUtc = Date.UTC(year, month, day, hour, minute, second);
  const offsetMinutes = Math.round((asUtc - Math.floor(ms / 1000) * 1000) / 60_000);
  const size = Math.abs(offsetMinutes);
  return {
    date: `${digits(year, 4)}-${digits(month + 1, 2)}-${digits(day, 2)}`,
    clock: `${digits(hour, 2)}:${digits(minute, 2)}:${digits(second, 2)}`,
    offset: `${offsetMinutes < 0 ? '-' : '+'}${digits(Math.floor(size / 60), 2)}:${digits(size % 60, 2)}`,
  };
}

/** ISO 8601 with the offset of the zone: `2026-03-29T03:00:00+02:00`. */
export function zonedText(ms: number, zone: string): string {
  const { date, clock, offset } = localTime(ms, zone);
  return `${date}T${clock}${offset}`;
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const MOMENT = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:?\d\d)?$/;

/** What `parseMoment` takes, for messages. */
export const MOMENT_TEXT = 'a date such as 2026-01-31, or a time such as 2026-01-31T02:30';

/**
 * A date (its first moment in the zone) or a time, in the zone unless it says its offset; undefined
 * for anything else. A local time that a clock change leaves out is the first one after it, one
 * that comes twice is the earlier. @units ms
 */
export function parseMoment(text: string, zone: string): number | undefined {
  const given = text.trim();
  if (!DATE.test(given) && !MOMENT.test(given)) return undefined;
  const time = (DATE.test(given) ? `${given}T00:00:00` : given).replace(' ', 'T');
  const isPlaced = /(Z|[+-]\d\d:?\d\d)$/.test(time.slice(10));
  const asUtc = Date.parse(isPlaced ? time : `${time}Z`);
  // `2026-02-30` is none, though Date.parse takes some of its kind for another day.
  const isReal = Number.isFinite(asUtc) && isDay(given.slice(0, 10));
  if (!isReal) return undefined;
  return isPlaced ? asUtc : momentOf(asUtc, zone);
}

/** Whether a text is a date and no more. */
export const isDate = (text: string): boolean => DATE.test(text.trim());

function isDay(date: string): boolean {
  const ms = Date.parse(`${date}T00:00:00Z`);
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(date);
}

/** The last moment of a date. @units ms */
export function endOfDay(date: string, zone: string): number {
  const next = new Date(Date.parse(`${date.trim()}T00:00:00Z`) + 24 * HOUR_MS);
  return parseMoment(next.toISOString().slice(0, 10), zone)! - 1;
}

const HOUR_MS = 3_600_000;

/** The moment whose local time in the zone reads as `asUtc` does in UTC. */
function momentOf(asUtc: number, zone: string): number {
  const offsetAt = (ms: number): number => {
    const { date, clock } = localTime(ms, zone);
    return Date.parse(`${date}T${clock}Z`) - Math.floor(ms / 1000) * 1000;
  };
  // No zone is further than 14 hours off, and clocks do not change twice within a day.
  const [before, after] = [offsetAt(asUtc - 24 * HOUR_MS), offsetAt(asUtc + 24 * HOUR_MS)];
  const candidates = [asUtc - Math.max(before, after), asUtc - Math.min(before, after)];
  const right = candidates.filter((ms) => ms + offsetAt(ms) === asUtc);
  if (right[0] !== undefined) return right[0];
  // Within a gap of a clock change: the first moment after it, to the second.
  let [low, high] = [candidates[0]!, candidates[1]!];
  const from = offsetAt(low - 1000);
  while (high - low > 1000) {
    const middle = low + Math.floor((high - low) / 2000) * 1000;
    if (offsetAt(middle) === from) low = middle;
    else high = middle;
  }
  return high;
}
