/**
 * Dates and times. The shim computes on microseconds since 1970 in the proleptic Gregorian
 * calendar; sessions of both engines count in UTC, so a time with time zone is read and cut there.
 */
import { fromMicros, isTime, micros } from '../casts.js';
import { checkFormat } from '../formats.js';
import { refuse } from '../refusal.js';
import { castFill, constantText, type Print, type SqlFunction } from '../row.js';
import { type SqlCall, type SqlNode, typeName } from '../tree.js';
import { intervalPart } from './intervals.js';

/** Parts by every name DuckDB has for them. */
const PARTS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    millennium: 'millennia millenium millenniums mil mils',
    century: 'centuries cent c',
    decade: 'decades dec decs',
    year: 'years yr yrs y',
    quarter: 'quarters',
    month: 'months mon mons',
    week: 'weeks w weekofyear',
    day: 'days d dayofmonth',
    hour: 'hours hr hrs h',
    minute: 'minutes min mins m',
    second: 'seconds sec secs s',
    millisecond: 'milliseconds ms msec msecs msecond mseconds',
    microsecond: 'microseconds us usec usecs usecond useconds',
    dow: 'dayofweek weekday',
    isodow: '',
    doy: 'dayofyear',
    isoyear: '',
    yearweek: '',
    era: '',
    epoch: '',
  }).flatMap(([part, names]) => [part, ...names.split(' ')].map((name) => [name, part])),
);

const CUT =
  /^(millennium|century|decade|year|quarter|month|week|day|hour|minute|(milli|micro)?second|isoyear)$/;
const SUBTRACTED =
  /^(millennium|century|decade|year|quarter|month|week|day|hour|minute|(milli|micro)?second)$/;

function partOf(name: string): string {
  const part = PARTS[name.toLowerCase()];
  if (part === undefined)
    throw refuse(`the part '${name}' of a date`, 'use year, month, day, hour, ..');
  return part;
}

function requireTime(call: SqlCall, node: SqlNode | undefined): SqlNode {
  if (node === undefined || !isTime(node.type)) {
    throw refuse(
      `${call.name} of ${node ? typeName(node.type) : 'nothing'}`,
      'it takes dates and times',
    );
  }
  return node;
}

function microsOf(call: SqlCall, node: SqlNode | undefined, print: Print): string {
  const time = requireTime(call, node);
  return micros(time.type, print(time));
}

/** A part of a date, time or interval. */
function takePart(call: SqlCall, part: string, node: SqlNode | undefined, print: Print): string {
  if (node?.type.id === 'INTERVAL') return intervalPart(part, node, print);
  const time = microsOf(call, node, print);
  if (part === 'epoch') {
    return `duckdb_divide(CAST(${time} AS DOUBLE), CAST('1000000' AS DOUBLE))`;
  }
  return `duckdb_date_part('${part}', ${time})`;
}

/** Functions named after the part they take. */
const PART_NAMES =
  'year month day dayofmonth hour minute second millisecond microsecond dayofweek weekday isodow dayofyear week weekofyear yearweek quarter decade century millennium isoyear era'.split(
    ' ',
  );

const difference: SqlFunction['spark'] = (call, print) => {
  const part = partOf(constantText(call, 0, 'a part'));
  const isSub = /sub/.test(call.name);
  if (!(isSub ? SUBTRACTED : CUT).test(part)) throw refuse(`${call.name} in '${part}'`, 'use day');
  const times = call.args.slice(1);
  if (isSub && times.some(({ type }) => type.id === 'TIMESTAMP WITH TIME ZONE')) {
    throw refuse(`${call.name} of timestamptz`, 'cast to timestamp');
  }
  const [from, to] = times.map((time) => microsOf(call, time, print));
  return `duckdb_${isSub ? 'date_sub' : 'date_diff'}('${part}', ${from}, ${to})`;
};

const formatted: SqlFunction['spark'] = (call, print) => {
  const at = call.args[0]!.type.id === 'VARCHAR' ? 0 : 1;
  const format = call.args[at]!;
  checkFormat(constantText(call, at, 'a format'), 'strftime');
  return `duckdb_strftime(${microsOf(call, call.args[1 - at], print)}, ${print(format)})`;
};

const parsed: SqlFunction['spark'] = (call, print) => {
  checkFormat(constantText(call, 1, 'a format'), 'strptime');
  const [text, format] = call.args.map(print);
  const isTry = call.name === 'try_strptime';
  return fromMicros(call.type, `duckdb_strptime(${text}, ${format}, ${isTry})`);
};

/** Names of the tz database; abbreviations and offsets are read differently. */
const ZONE = /^(UTC|GMT|[A-Z][A-Za-z]+(\/[A-Z][A-Za-z_-]+)+)$/;

const zoned: SqlFunction['spark'] = (call, print) => {
  const zone = constantText(call, 0, 'a time zone');
  const time = call.args[1];
  if (!ZONE.test(zone) || time === undefined) {
    throw refuse(`the time zone '${zone}'`, "name it as 'Europe/Berlin' or 'UTC'");
  }
  const toZone = requireTime(call, time).type.id === 'TIMESTAMP WITH TIME ZONE';
  const moved = `duckdb_zone(${microsOf(call, time, print)}, ${print(call.args[0]!)}, ${toZone})`;
  return fromMicros(call.type, moved);
};

function ofTime(template: string): SqlFunction['spark'] {
  return (call, print) => castFill(template, [microsOf(call, call.args[0], print)]);
}

const epochs: SqlFunction['spark'] = (call, print) => {
  const [x] = call.args;
  if (x?.type.id === 'BIGINT') {
    if (call.name !== 'epoch_ms') throw refuse(`${call.name} of a number`, 'use make_timestamp');
    return fromMicros(call.type, `(${print(x)} * 1000L)`);
  }
  const time = microsOf(call, x, print);
  if (call.name === 'epoch_ms') return `(${time} div 1000L)`;
  return call.name === 'epoch_us' ? time : `(${time} * 1000L)`;
};

export const dates: readonly SqlFunction[] = [
  {
    names: ['date_part', 'datepart'],
    usage: "date_part('part', a), extract(part from a)",
    means: 'parts as DuckDB names and counts them: dow from Sunday 0, isodow from Monday 1',
    examples: [
      ...['century', 'decade', 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute'],
      ...['second', 'millisecond', 'microsecond', 'dow', 'isodow', 'doy', 'isoyear', 'yearweek'],
      ...['era', 'epoch', 'millennium'],
    ]
      .map((part) => `date_part('${part}', ts)`)
      .concat("date_part('hour', ts - tu)", "date_part('day', ts - tu)", 'extract(dow from d)'),
    spark: (call, print) =>
      takePart(call, partOf(constantText(call, 0, 'a part')), call.args[1], print),
  },
  {
    names: PART_NAMES,
    usage: 'year(a), month(a), dayofweek(a), ..',
    means: "as `date_part('year', a)`",
    examples: ['year(d)', 'month(ts)', 'hour(tz)', 'dayofweek(d)', 'week(d)', 'isoyear(d)'],
    spark: (call, print) => takePart(call, partOf(call.name), call.args[0], print),
  },
  {
    names: ['epoch'],
    usage: 'epoch(a)',
    means: 'seconds since 1970, a double; of a difference of times too',
    examples: ['epoch(ts)', 'epoch(d)', 'epoch(ts - tu)'],
    spark: (call, print) => takePart(call, 'epoch', call.args[0], print),
  },
  {
    names: ['epoch_ms', 'epoch_us', 'epoch_ns'],
    usage: 'epoch_ms(a), ..',
    means: 'milliseconds since 1970, toward zero; `epoch_ms(number)` is that time',
    examples: [
      'epoch_ms(ts)',
      'epoch_us(d)',
      "epoch_ns(case when ts > '1900-01-01' then ts end)",
      'epoch_ms(l)',
    ],
    spark: epochs,
  },
  {
    names: ['date_trunc', 'datetrunc'],
    usage: "date_trunc('part', a)",
    means: 'weeks begin on Monday; a timestamp',
    examples: ['millennium', 'century', 'decade', 'year', 'quarter', 'month', 'week', 'day', 'hour']
      .concat('minute', 'second', 'millisecond', 'isoyear')
      .map((part) => `epoch(date_trunc('${part}', ts))`)
      .concat("date_trunc('month', d)", "date_trunc('day', tz)"),
    spark: (call, print) => {
      const part = partOf(constantText(call, 0, 'a part'));
      if (!CUT.test(part)) throw refuse(`date_trunc to '${part}'`, 'use day');
      const cut = `duckdb_date_trunc('${part}', ${microsOf(call, call.args[1], print)})`;
      return fromMicros(call.type, cut);
    },
  },
  {
    names: ['date_diff', 'datediff'],
    usage: "date_diff('part', from, to)",
    means: 'counts the boundaries between the two; of weeks the whole ones',
    examples: ['century', 'decade', 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute']
      .concat('second', 'millisecond', 'microsecond', 'isoyear')
      .map((part) => `date_diff('${part}', tu, ts)`)
      .concat("date_diff('day', date '2024-01-01', d)", "datediff('month', d, ts)"),
    spark: difference,
  },
  {
    names: ['date_sub', 'datesub'],
    usage: "date_sub('part', from, to)",
    means: 'counts whole units between the two',
    examples: ['year', 'quarter', 'month', 'week', 'day', 'hour', 'second']
      .map((part) => `date_sub('${part}', tu, ts)`)
      .concat("datesub('month', d, date '2024-02-29')"),
    spark: difference,
  },
  {
    names: ['to_years', 'to_quarters', 'to_months', 'to_weeks', 'to_days', 'to_hours'].concat(
      'to_minutes',
      'to_seconds',
      'to_milliseconds',
      'to_microseconds',
    ),
    usage: 'd - e, d + 1, a + interval 1 month, interval (i) hours',
    means:
      'dates differ by days, times by an interval whose parts can be taken; months are cut to their last day',
    examples: [
      ...["d - date '2024-01-01'", 'd + 1', 'd + interval 1 month', 'ts - interval 36 hours'],
      ...['epoch(tz + interval 1 year)', 'd + interval (i) days', "ts + interval '2 weeks'"],
      ...['epoch(ts + to_seconds(u))', 'ts - interval 1 quarter'],
    ],
    spark: (call) => {
      throw refuse(`${call.name}() as a value`, 'add it to a date or timestamp');
    },
  },
  {
    names: ['dayname', 'monthname'],
    usage: 'dayname(a), monthname(a)',
    means: 'in English',
    examples: ['dayname(d)', 'monthname(ts)'],
    spark: (call, print) => ofTime(`duckdb_${call.name}($1)`)(call, print),
  },
  {
    names: ['last_day'],
    usage: 'last_day(a)',
    means: '',
    examples: ['last_day(d)', 'last_day(ts)'],
    spark: ofTime('CAST(timestamp_micros(duckdb_last_day($1)) AS DATE)'),
  },
  {
    names: ['make_date'],
    usage: 'make_date(year, month, day)',
    means: 'an error for a day that does not exist',
    examples: ['make_date(2000 + i % 10, 2, 28)'],
    spark: (call, print) => {
      if (call.args.length !== 3) throw refuse('make_date of other than year, month and day');
      return `date_from_unix_date(duckdb_make_date(${call.args.map(print).join(', ')}))`;
    },
  },
  {
    names: ['make_timestamp', 'to_timestamp'],
    usage: 'make_timestamp(microseconds), to_timestamp(seconds)',
    means: 'since 1970; `to_timestamp` has a time zone',
    examples: ['make_timestamp(l)', 'epoch(to_timestamp(i))'],
    spark: (call, print) => {
      if (call.args.length !== 1)
        throw refuse(`${call.name} of parts`, 'use make_date or strptime');
      const text = print(call.args[0]!);
      const isWhole = call.args[0]!.type.id === 'BIGINT';
      return fromMicros(call.type, isWhole ? text : `CAST(rint(${text} * 1000000D) AS BIGINT)`);
    },
  },
  {
    names: ['strftime'],
    usage: "strftime(a, 'format')",
    means: '%Y %y %m %d %H %I %M %S %f %p %j %a %A %b %B %w %u %% and %-d, %-m, ..',
    examples: [
      "strftime(ts, '%Y-%m-%d %H:%M:%S.%f')",
      "strftime(d, '%a %A %b %B %j %w %u %y %%')",
      "strftime(ts, '%-d/%-m %-I %p %I')",
    ],
    spark: formatted,
  },
  {
    names: ['strptime', 'try_strptime'],
    usage: "strptime(text, 'format')",
    means:
      '%Y %y %m %d %H %I %M %S %f %p %b %B %%; `try_strptime` is NULL where the text does not fit',
    examples: ["try_strptime(dt, '%Y-%m-%d')", "try_strptime(dt, '%d.%m.%y %H:%M')"],
    spark: parsed,
  },
  {
    names: ['timezone'],
    usage: "a at time zone 'Europe/Berlin'",
    means: 'a time of day that a clock shows twice is the later one',
    examples: [
      "epoch(ts at time zone 'Europe/Berlin')",
      "tz at time zone 'America/New_York'",
      "epoch(ts at time zone 'UTC')",
    ],
    spark: zoned,
  },
];
