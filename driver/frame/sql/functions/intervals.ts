/**
 * Intervals are no values of Spark's that mean the same, so they are never printed: an interval is
 * carried as its months, days and microseconds to the date it is added to, or to the part that is
 * taken of it.
 */
import { fromMicros, isTime, micros } from '../casts.js';
import { refuse } from '../refusal.js';
import type { Print } from '../row.js';
import { type SqlCall, type SqlNode, typeName } from '../tree.js';
import { isWholeType } from '../types.js';

/** Printed; absent is none. */
export interface Interval {
  readonly months?: string;
  readonly days?: string;
  readonly micros?: string;
}

const DAY = 86_400_000_000n;

/** What each unit adds to: a field and a factor. */
const UNITS: Readonly<Record<string, readonly [field: keyof Interval, factor: bigint]>> = {
  year: ['months', 12n],
  quarter: ['months', 3n],
  month: ['months', 1n],
  week: ['days', 7n],
  day: ['days', 1n],
  hour: ['micros', 3_600_000_000n],
  minute: ['micros', 60_000_000n],
  second: ['micros', 1_000_000n],
  millisecond: ['micros', 1000n],
  microsecond: ['micros', 1n],
};

/** The parts of an interval. @throws SqlRefusal unless of units, differences, sums and multiples */
export function intervalOf(node: SqlNode, print: Print): Interval {
  if (node.kind === 'cast' && node.child.kind === 'constant') {
    return ofText(String(node.child.value));
  }
  if (node.kind !== 'call') throw refused();
  const unit = /^to_(\w+?)s$/.exec(node.name)?.[1];
  if (unit !== undefined && unit in UNITS) return ofUnit(unit, node.args[0]!, print);
  const [a, b] = node.args;
  if (node.name === '-' && a && b && isTime(a.type) && isTime(b.type)) {
    const span = `(${micros(a.type, print(a))} - ${micros(b.type, print(b))})`;
    return { days: `(${span} div ${DAY}L)`, micros: `(${span} % ${DAY}L)` };
  }
  if ((node.name === '+' || node.name === '-') && a && b) {
    const [left, right] = [intervalOf(a, print), intervalOf(b, print)];
    return eachField((field) => {
      const [x, y] = [left[field], right[field]];
      if (y === undefined) return x;
      return `(${x ?? '0L'} ${node.name} ${y})`;
    });
  }
  if (node.name === '-' && a) {
    const parts = intervalOf(a, print);
    return eachField((field) => parts[field] && `(- ${parts[field]})`);
  }
  if (node.name === '*' && a && b && (isWholeType(a.type) || isWholeType(b.type))) {
    const [factor, interval] = isWholeType(a.type) ? [a, b] : [b, a];
    const parts = intervalOf(interval, print);
    return eachField((field) => parts[field] && `(${parts[field]} * ${print(factor)})`);
  }
  throw refused();
}

function eachField(of: (field: keyof Interval) => string | undefined): Interval {
  const fields = ['months', 'days', 'micros'] as const;
  return Object.fromEntries(
    fields.map((field) => [field, of(field)]).filter(([, text]) => text !== undefined),
  );
}

function ofUnit(unit: string, count: SqlNode, print: Print): Interval {
  const [field, factor] = UNITS[unit]!;
  const text = print(count);
  if (count.type.id === 'DOUBLE') {
    return { [field]: `CAST(rint(${text} * CAST(${factor} AS DOUBLE)) AS BIGINT)` };
  }
  return { [field]: `(CAST(${text} AS BIGINT) * ${factor}L)` };
}

function ofText(text: string): Interval {
  const pairs = [...text.matchAll(/(-?\d+)\s+([a-z]+?)s?(?=\s|$)/gi)];
  if (pairs.length === 0 || pairs.map(([pair]) => pair).join(' ') !== text.trim()) throw refused();
  const sums: Partial<Record<keyof Interval, bigint>> = {};
  for (const [, count, unit] of pairs) {
    const [field, factor] = UNITS[unit!.toLowerCase()] ?? [];
    if (field === undefined || factor === undefined) throw refused();
    sums[field] = (sums[field] ?? 0n) + BigInt(count!) * factor;
  }
  return eachField((field) => (sums[field] === undefined ? undefined : `(${sums[field]}L)`));
}

function refused(): Error {
  return refuse(
    'an interval as a value',
    'add it to a date or timestamp, or take its parts by date_part, epoch or date_diff',
  );
}

/** `+` and `-` where dates, times or intervals are. */
export function dateArithmetic(call: SqlCall, print: Print): string {
  const [a, b] = call.args;
  if (call.type.id === 'INTERVAL') throw refused();
  if (a === undefined || b === undefined) throw refuse(`${call.name} of ${typeName(call.type)}`);
  const [time, other] = isTime(a.type) ? [a, b] : [b, a];
  if (!isTime(time.type)) {
    throw refuse(`${call.name} of ${typeName(a.type)} and ${typeName(b.type)}`);
  }
  if (other.type.id === 'INTERVAL') return added(call, time, other, print);
  if (time.type.id === 'DATE' && other.type.id === 'DATE' && call.name === '-') {
    return `CAST(datediff(${print(a)}, ${print(b)}) AS BIGINT)`;
  }
  if (time.type.id === 'DATE' && isWholeType(other.type)) {
    const days = `${call.name === '-' ? '- ' : ''}${print(other)}`;
    return `date_add(${print(time)}, CAST((${days}) AS INT))`;
  }
  throw refuse(`${call.name} of ${typeName(a.type)} and ${typeName(b.type)}`, 'use date_diff');
}

function added(call: SqlCall, time: SqlNode, interval: SqlNode, print: Print): string {
  const parts = intervalOf(interval, print);
  const sign = call.name === '-' ? '- ' : '';
  if (
    time.type.id === 'TIMESTAMP WITH TIME ZONE' &&
    Object.keys(parts).length > 1 &&
    parts.months
  ) {
    throw refuse('months with days or hours added to a timestamptz', 'add them one by one');
  }
  const field = (text: string | undefined): string =>
    text === undefined ? '0L' : `(${sign}CAST(${text} AS BIGINT))`;
  const fields = [parts.months, parts.days, parts.micros].map(field).join(', ');
  return fromMicros(call.type, `duckdb_add(${micros(time.type, print(time))}, ${fields})`);
}

/** A part of an interval as DuckDB takes it: days stay days, not months, and hours not days. */
export function intervalPart(part: string, node: SqlNode, print: Print): string {
  const { months = '0L', days = '0L', micros: rest = '0L' } = intervalOf(node, print);
  const whole = (text: string): string => `CAST(${text} AS BIGINT)`;
  switch (part) {
    case 'year':
      return whole(`(${months} div 12L)`);
    case 'month':
      return whole(`(${months} % 12L)`);
    case 'day':
      return whole(days);
    case 'hour':
      return whole(`(${rest} div 3600000000L)`);
    case 'minute':
      return whole(`((${rest} % 3600000000L) div 60000000L)`);
    case 'second':
      return whole(`((${rest} % 60000000L) div 1000000L)`);
    case 'millisecond':
      return whole(`((${rest} % 60000000L) div 1000L)`);
    case 'microsecond':
      return whole(`(${rest} % 60000000L)`);
    case 'epoch':
      if (months !== '0L') throw refuse('the epoch of an interval with months');
      return `duckdb_divide(CAST((${days} * ${DAY}L + ${rest}) AS DOUBLE), CAST('1000000' AS DOUBLE))`;
    default:
      throw refuse(
        `the ${part} of an interval`,
        'use year, month, day, hour, minute, second, epoch',
      );
  }
}
