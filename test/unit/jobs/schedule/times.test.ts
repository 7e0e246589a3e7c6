/** Times of schedules: against a clock read minute by minute, and what is due of them. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { timeOfDate, timeVariables } from '../../../../jobs/schedule/logical-time.js';
import {
  type DueQuestion,
  dueTimes,
  GRACE_MS,
  nextTime,
  previousTime,
  timesBetween,
} from '../../../../jobs/schedule/times.js';
import { localTime, parseMoment, zonedText } from '../../../../jobs/schedule/zone.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const calendar = (cron: string | string[], zone: string) => ({ cron: [cron].flat(), zone });
const at = (text: string): number => Date.parse(text);
const iso = (times: readonly number[]): string[] => times.map((ms) => new Date(ms).toISOString());

/** Zones, and a day on which each puts its clocks forward and back; half an hour in Lord Howe. */
const CHANGES: readonly (readonly [string, string])[] = [
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['America/St_Johns', '2026-03-08'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Asia/Kolkata', '2026-03-29'],
  ['UTC', '2026-03-29'],
];

/** Hour and minute of a moment by the system's own calendar. */
function readingOf(zone: string): (ms: number) => readonly [hour: number, minute: number] {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (ms) => format.format(ms).split(':').map(Number) as [number, number];
}

describe('times of a schedule', () => {
  it('are what a clock shows, minute by minute, over changes of the clock', function () {
    this.timeout(60_000);
    const minutes = fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { minLength: 2, maxLength: 3 });
    const hours = fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...CHANGES), minutes, hours, ([zone, day], minute, hour) => {
        const reading = readingOf(zone);
        const [from, until] = [at(`${day}T00:00Z`) - DAY, at(`${day}T00:00Z`) + DAY];
        const wanted: number[] = [];
        for (let ms = from; ms <= until; ms += MINUTE) {
          const [h, m] = reading(ms);
          if (hour.includes(h) && minute.includes(m)) wanted.push(ms);
        }
        const cron = calendar(`${minute.join(',')} ${hour.join(',')} * * *`, zone);
        assert.deepEqual(iso(timesBetween(cron, from - 1, until)), iso(wanted));
      }),
      { numRuns: 60 },
    );
  });

  it('come once a day for one time of day, also when it is left out or comes twice', function () {
    this.timeout(60_000);
    fc.assert(
      fc.property(
        fc.constantFrom(...CHANGES),
        fc.integer({ min: 0, max: 59 }),
        fc.integer({ min: 0, max: 4 }),
        ([zone, day], minute, hour) => {
          const reading = readingOf(zone);
          const start = parseMoment(day, zone)!;
          const end = parseMoment(new Date(at(day) + DAY).toISOString().slice(0, 10), zone)!;
          // The first moment at or after the time of day: after a gap, the end of the gap.
          let wanted = start;
          const isBefore = ([h, m]: readonly [number, number]): boolean =>
            h * 60 + m < hour * 60 + minute;
          while (isBefore(reading(wanted))) wanted += MINUTE;
          const times = timesBetween(calendar(`${minute} ${hour} * * *`, zone), start - 1, end - 1);
          assert.deepEqual(iso(times), iso([wanted]));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('are in Berlin those that the docs name', () => {
    const nightly = calendar('30 2 * * *', 'Europe/Berlin');
    const hourly = calendar('0 * * * *', 'Europe/Berlin');
    const spring = timesBetween(nightly, at('2026-03-28T00:00Z'), at('2026-03-30T12:00Z'));
    assert.deepEqual(iso(spring), [
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    const autumn = timesBetween(nightly, at('2026-10-24T12:00Z'), at('2026-10-26T12:00Z'));
    assert.deepEqual(iso(autumn), ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z']);
    const count = (from: string, until: string) =>
      timesBetween(hourly, parseMoment(from, 'Europe/Berlin')! - 1, parseMoment(until, 'Europe/Berlin')! - 1).length; // biome-ignore format: a call
    assert.equal(count('2026-03-29', '2026-03-30'), 23);
    assert.equal(count('2026-10-25', '2026-10-26'), 25);
  });

  it('agree forwards and backwards, and keep to start and end', function () {
    this.timeout(60_000);
    fc.assert(
      fc.property(
        fc.constantFrom('*/15 * * * *', '5 4 * * *', '0 0 * * MON', '30 2 1 * *', '0 12 * * *'),
        fc.constantFrom('Europe/Berlin', 'America/New_York', 'UTC'),
        fc.integer({ min: at('2026-01-01T00:00Z'), max: at('2026-12-31T00:00Z') }),
        fc.integer({ min: 0, max: 3 * DAY }),
        (expression, zone, from, length) => {
          const bounds = { startMs: from + length / 4, endMs: from + length };
          const cron = { ...calendar([expression, '7 7 7 7 *'], zone), ...bounds };
          const forwards: number[] = [];
          let next = nextTime(cron, from);
          while (next !== undefined) {
            forwards.push(next);
            next = nextTime(cron, next);
          }
          assert.deepEqual(iso(forwards), iso(timesBetween(cron, from, from + 10 * length)));
          const [last] = forwards.slice(-1);
          assert.equal(previousTime(cron, from + 2 * DAY + length), last);
          assert.ok(forwards.every((ms) => ms >= bounds.startMs && ms <= bounds.endMs));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are the union of several expressions, each moment once', () => {
    const both = calendar(['0 6 * * *', '0 */6 * * *'], 'UTC');
    const day = at('2026-05-01T00:00Z');
    assert.equal(timesBetween(both, day - 1, day + DAY - 1).length, 4);
  });
});

describe('what is due', () => {
  const schedule = (catchUp: 'none' | 'last' | 'all', windowMs = 7 * DAY) => ({
    ...calendar('30 2 * * *', 'UTC'),
    catchUp,
    windowMs,
  });
  const last = at('2026-05-01T02:30Z');
  const ask = (question: DueQuestion) => {
    const { times, missed } = dueTimes(question);
    return { times, missed };
  };

  it('is nothing before the next time, and that one once it is there', () => {
    for (const catchUp of ['none', 'last', 'all'] as const) {
      const due = (nowMs: number) => ask({ schedule: schedule(catchUp), afterMs: last, nowMs });
      assert.deepEqual(due(last), { times: [], missed: 0 });
      assert.deepEqual(due(last + DAY - 1), { times: [], missed: 0 });
      assert.deepEqual(due(last + DAY), { times: [last + DAY], missed: 0 });
    }
  });

  it('after a pause is none, the last or all, within the window', () => {
    const nowMs = last + 5 * DAY + 3 * HOUR;
    const due = (catchUp: 'none' | 'last' | 'all', windowMs?: number) =>
      ask({ schedule: schedule(catchUp, windowMs), afterMs: last, nowMs });
    assert.deepEqual(due('none'), { times: [], missed: 5 });
    assert.deepEqual(due('last'), { times: [last + 5 * DAY], missed: 4 });
    const days = [1, 2, 3, 4, 5].map((day) => last + day * DAY);
    assert.deepEqual(due('all'), { times: days, missed: 0 });
    assert.deepEqual(due('all', 2 * DAY), { times: days.slice(3), missed: 3 });
    assert.deepEqual(due('last', HOUR), { times: [], missed: 5 });
  });

  it('takes no notice of a clock set back two hours, and of one set forward only what is passed', () => {
    const now = last + 10 * MINUTE;
    const hourly = { ...schedule('all'), cron: ['0 * * * *'] };
    const at2 = at('2026-05-01T02:00Z');
    const due = (nowMs: number, afterMs: number) => dueTimes({ schedule: hourly, afterMs, nowMs });
    assert.deepEqual(due(now - 2 * HOUR, at2).times, []);
    assert.deepEqual(iso(due(now + 2 * HOUR, at2).times), [
      '2026-05-01T03:00:00.000Z',
      '2026-05-01T04:00:00.000Z',
    ]);
    // Set right again: what ran early does not run again.
    assert.deepEqual(due(now, at('2026-05-01T04:00Z')).times, []);
    assert.deepEqual(due(at('2026-05-01T05:00Z'), at('2026-05-01T04:00Z')).times.length, 1);
  });

  it('with catch-up all is each time exactly once, however often and irregularly it is asked', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('Europe/Berlin', 'UTC'),
        fc.array(fc.integer({ min: -2 * HOUR, max: 30 * HOUR }), { minLength: 1, maxLength: 20 }),
        (zone, steps) => {
          const asked = { ...schedule('all', 60 * DAY), zone, cron: ['30 2,14 * * *'] };
          const begin = at('2026-03-25T00:00Z');
          let [now, after] = [begin, begin];
          const ran: number[] = [];
          for (const step of steps) {
            now += step;
            const { times } = dueTimes({ schedule: asked, afterMs: after, nowMs: now });
            ran.push(...times);
            after = times.at(-1) ?? after;
          }
          assert.deepEqual(iso(ran), iso(timesBetween(asked, begin, after)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('with catch-up none still takes a time that a timer was a little late for', () => {
    const late = (ms: number) =>
      dueTimes({ schedule: schedule('none'), afterMs: last, nowMs: last + DAY + ms }).times.length;
    assert.equal(late(GRACE_MS), 1);
    assert.equal(late(GRACE_MS + 1), 0);
  });
});

describe('local times', () => {
  it('read as the system says, and back', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...new Set(CHANGES.map(([zone]) => zone)), 'Pacific/Apia'),
        fc.integer({ min: at('2011-01-01T00:00Z') / 1000, max: at('2030-01-01T00:00Z') / 1000 }),
        (zone, seconds) => {
          const ms = seconds * 1000;
          const { date, clock } = localTime(ms, zone);
          const text = new Date(ms).toLocaleString('sv-SE', { timeZone: zone });
          assert.equal(`${date} ${clock}`, text);
          assert.equal(Date.parse(zonedText(ms, zone)), ms);
          assert.equal(parseMoment(zonedText(ms, zone), 'UTC'), ms);
          const back = parseMoment(`${date}T${clock}`, zone)!;
          assert.equal(new Date(back).toLocaleString('sv-SE', { timeZone: zone }), text);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('that are left out or come twice are the first after the gap, and the earlier', () => {
    const berlin = (text: string) => iso([parseMoment(text, 'Europe/Berlin')!])[0];
    assert.equal(berlin('2026-03-29T02:30'), '2026-03-29T01:00:00.000Z');
    assert.equal(berlin('2026-10-25T02:30'), '2026-10-25T00:30:00.000Z');
    assert.equal(berlin('2026-01-01'), '2025-12-31T23:00:00.000Z');
    for (const wrong of ['2026-02-30', '2026-1-1', 'today', '2026-01-01T25:00', '']) {
      assert.equal(parseMoment(wrong, 'UTC'), undefined, wrong);
    }
  });

  it('are what templates name, with their neighbours', () => {
    const nightly = calendar('30 2 * * MON-FRI', 'Europe/Berlin');
    const monday = timeOfDate('2026-03-30', nightly);
    assert.deepEqual(timeVariables(monday, nightly), {
      date: '2026-03-30',
      time: '2026-03-30T02:30:00+02:00',
      month: '2026-03',
      year: '2026',
      previous: {
        date: '2026-03-27',
        time: '2026-03-27T02:30:00+01:00',
        month: '2026-03',
        year: '2026',
      },
      next: {
        date: '2026-03-31',
        time: '2026-03-31T02:30:00+02:00',
        month: '2026-03',
        year: '2026',
      },
    });
    const day = timeVariables(timeOfDate('2026-01-01'));
    assert.equal(day.time, '2026-01-01T00:00:00+00:00');
    assert.deepEqual([day.previous.date, day.next.date], ['2025-12-31', '2026-01-02']);
    assert.throws(() => timeOfDate('yesterday'), /--date: expected a date .*, got "yesterday"/);
  });
});
