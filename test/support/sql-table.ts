/** Rows of nasty values on which every engine tries the examples of the SQL function table. */

const NAN = `'nan'::DOUBLE`;
const DOUBLES = [
  ...['0.5', '1.5', '2.5', '-0.5', '-1.5', '-2.5', '0.125', '1.005', '2.675', '0.0', '3.0', '-7.0'],
  ...['1e15', '1e16', '-123456.789', '1e-5', `'inf'::DOUBLE`, `'-inf'::DOUBLE`, NAN, 'NULL'],
];
const UNITS = ['0.5', '-0.25', '3.0', '1.0', '-2.0', '0.0', '100.5', 'NULL', '0.1', '7.75'];
const WHOLES = ['0', '1', '-1', '3', '-3', '7', '-8', '12', '25', '-25', '35', '1000', 'NULL'];
const LONGS = [
  '0',
  '1',
  '-1',
  '9007199254740993',
  '-9007199254740993',
  '86400000001',
  'NULL',
  '-5',
];
const DECIMALS = ['0.5', '1.5', '2.5', '-2.5', '1.25', '-1.35', '12345.67', '-0.01', '0', 'NULL'];
const TEXTS = [
  ...['', 'a', 'abc', 'A-b-c', 'é', 'Éa', 'aß,c', '😀b', ' a ', '\u00a0b\u00a0', 'a\tb', 'a,b,c'],
  ...['%a', 'a_b', 'a\\_b', 'x', 'xx', 'abc123', 'a\nb', 'c ', 'naïve', 'ŉ', 'İ', 'aéb', '-a-b-'],
];
const NUMBERS = [
  ...['12', ' 12 ', '1.5', '2.5', '-2.5', '1e3', '1_000', '+5', '', 'abc', '.5', '5.', '-0.5'],
  ...['1d', 'inf', '-Infinity', 'nan', '0x1F', '1e400', 'true', 'T', 'no', 'yes', '1', ' 1.25'],
];
const DATE_TEXTS = [
  ...['2024-01-05', '2024-1-5', '1969-12-31', '2024-02-30', '5.1.24 23:59', '31.12.69 00:00'],
  ...['abc', '', '2024-01-05 ', '29.2.24 1:02'],
];
const DATES = [
  ...[
    '2024-02-29',
    '2024-01-01',
    '1969-12-31',
    '1970-01-01',
    '1900-01-01',
    '2000-12-31',
    '0001-01-01',
  ],
  ...['2021-01-01', '2020-12-31', '2024-12-30', '9999-12-31', '2024-01-31'],
];
const TIMES = [
  ...['2024-02-29 12:34:56.789012', '1969-12-31 23:59:59.5', '1970-01-01 00:00:00'],
  ...['2024-03-31 02:30:00', '2024-10-27 02:30:00', '2024-03-10 02:30:00', '1900-05-06 07:08:09'],
  ...['2024-01-31 00:00:00', '2021-01-03 23:00:00', '0099-12-31 01:00:00', '2024-11-03 01:30:00'],
];

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** The value of a list at a row; lists of other lengths meet in ever new pairs. */
function at(list: readonly string[], type: string, shift = 0): string {
  return `CAST(list_extract([${list.join(', ')}], 1 + ((i + ${shift}) % ${list.length})::INTEGER) AS ${type})`;
}

/** Rows that hold every value of every column, each beside several of the others'. */
const ROWS = 120;

export const SQL_TABLE = `SELECT i AS id,
  ${at(DOUBLES, 'DOUBLE')} AS x, ${at(DOUBLES, 'DOUBLE', 7)} AS y, ${at(UNITS, 'DOUBLE')} AS u,
  ${at(UNITS, 'FLOAT', 2)} AS f, ${at(WHOLES, 'INTEGER')} AS i, ${at(WHOLES.slice(0, 9), 'SMALLINT')} AS w,
  ${at(LONGS, 'BIGINT')} AS l, ${at(DECIMALS, 'DECIMAL(10,2)')} AS m,
  ${at([...TEXTS.map(text), 'NULL'], 'VARCHAR')} AS s, ${at([...TEXTS.map(text), 'NULL'], 'VARCHAR', 5)} AS t,
  ${at([...NUMBERS.map(text), 'NULL'], 'VARCHAR')} AS n, ${at([...DATE_TEXTS.map(text), 'NULL'], 'VARCHAR')} AS dt,
  ${at(['true', 'false', 'NULL'], 'BOOLEAN')} AS b, ${at([...DATES.map(text), 'NULL'], 'DATE')} AS d,
  ${at([...TIMES.map(text), 'NULL'], 'TIMESTAMP')} AS ts, ${at(TIMES.map(text), 'TIMESTAMP', 3)} AS tu,
  ${at([...TIMES.map(text), 'NULL'], 'TIMESTAMPTZ')} AS tz FROM range(${ROWS}) r(i)`;

/** Casts, tried as the functions are. */
export const CAST_EXAMPLES: readonly string[] = [
  'cast(u as integer)',
  'u::bigint',
  'try_cast(x as integer)',
  'try_cast(x * 1e9 as smallint)',
  'm::int',
  'm::smallint',
  'l::double',
  'try_cast(l as integer)',
  'i::boolean',
  'x::boolean',
  'b::integer',
  'b::double',
  'b::varchar',
  'm::decimal(8,1)',
  'try_cast(m as decimal(4,2))',
  'try_cast(x as decimal(10,2))',
  'i::decimal(12,3)',
  'm::double',
  'f::double',
  'u::float',
  'x::varchar',
  'f::double::varchar',
  'm::varchar',
  'l::varchar',
  'd::varchar',
  'ts::varchar',
  'tz::varchar',
  'try_cast(n as integer)',
  'try_cast(n as bigint)',
  'try_cast(n as double)',
  'try_cast(n as decimal(10,1))',
  'try_cast(n as boolean)',
  "try_cast('1_000' as integer)",
  "cast(' 2024-1-5 ' as date)",
  "timestamp '2024-01-05 10:00'",
  "ts > '2024-01-01'",
  "tz > '2024-01-01 10:00'",
  'ts::date',
  'tz::date',
  'd::timestamp',
  'epoch(ts::timestamptz)',
  'tz::timestamp',
  "s || ''",
  "'\u0024{env:HOME}'",
  "'it''s a \\ \"text\" of \u0024{system:user.home} 😀'",
  "x > '1.5'",
  'i // 2 + x / 2 - m',
  'u // 2',
  '123456789012 + i',
  '9007199254740993 = l',
  '1e400',
  '.5 + i',
  'null::integer',
];
