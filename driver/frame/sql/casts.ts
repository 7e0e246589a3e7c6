/**
 * Casts as DuckDB makes them: doubles round half to even and decimals half away from zero on their
 * way to whole numbers, texts are read by DuckDB's rules. Functions `duckdb_..` are the shim's own
 * (`scala-shim/.../frame/DuckFunctions.scala`).
 */
import { refuse } from './refusal.js';
import { type SqlCast, type SqlNode, type SqlType, typeName } from './tree.js';
import { isFloating, isWholeType, sparkType } from './types.js';

type Print = (node: SqlNode) => string;

/** Rows of the page of functions that are casts: what is cast to what, and how. */
export const CASTS: readonly { readonly usage: string; readonly means: string }[] = [
  { usage: 'double, float to whole', means: 'rounds half to even; an error where it does not fit' },
  { usage: 'decimal to whole, decimal', means: 'rounds half away from zero' },
  { usage: 'double, float to decimal', means: 'times 10^scale, rounded half away from zero' },
  { usage: 'text to whole', means: "spaces, `1_000`, `1e3` and `0x1F` are read; `'1.5'` is 2" },
  { usage: 'text to double, decimal', means: '`inf`, `nan` and `1_000` are read' },
  { usage: 'text to boolean', means: 'true, t, yes, y, 1, false, f, no, n, 0' },
  {
    usage: 'text to date, timestamp',
    means: '`2024-01-05`, `2024/1/5`, `2024-01-05 10:00[:00[.5]]`; other forms by `strptime`',
  },
  { usage: 'double to text', means: "`1.0`, `1e+16`, `nan`, `inf`: DuckDB's texts" },
  {
    usage: 'date, timestamp to text',
    means: '`2024-01-05`, `2024-01-05 10:00:00.5`; time zone +00',
  },
  { usage: 'date, timestamp, timestamptz', means: 'to one another; time zone UTC' },
  { usage: 'try_cast(x as type)', means: 'NULL where the cast would be an error' },
];

/** @throws SqlRefusal for a cast that is not made alike by both engines */
export function castToSpark(cast: SqlCast, print: Print): string {
  const { child, type, isTry } = cast;
  if (child.type.id === 'NULL') return `CAST(NULL AS ${sparkType(type)})`;
  const from = child.type;
  const text = print(child);
  const to = sparkType(type);
  const plain = `${isTry ? 'TRY_CAST' : 'CAST'}(${text} AS ${to})`;
  if (isWholeType(type)) return toWhole(from, text, to, plain, isTry) ?? none(from, type);
  if (type.id === 'DECIMAL') return toDecimal(from, type, text, plain, isTry) ?? none(from, type);
  if (isFloating(type)) return toFloating(from, type, text, plain, isTry) ?? none(from, type);
  if (type.id === 'VARCHAR') return toText(from, text) ?? none(from, type);
  if (type.id === 'BOOLEAN') {
    if (from.id === 'VARCHAR') return `duckdb_text_boolean(${text}, ${isTry})`;
    if (isWholeType(from) || isFloating(from)) return plain;
    return none(from, type);
  }
  return toTime(from, type, text, to, isTry) ?? none(from, type);
}

function toWhole(from: SqlType, text: string, to: string, plain: string, isTry: boolean) {
  const cast = isTry ? 'TRY_CAST' : 'CAST';
  if (isWholeType(from) || from.id === 'BOOLEAN') return plain;
  if (isFloating(from)) return `${cast}(rint(CAST(${text} AS DOUBLE)) AS ${to})`;
  if (from.id === 'DECIMAL') return `${cast}(round(${text}, 0) AS ${to})`;
  if (from.id === 'VARCHAR' && to !== 'DECIMAL(38,0)' && to !== 'DECIMAL(20,0)') {
    return `${cast}(duckdb_text_whole(${text}, ${isTry}) AS ${to})`;
  }
  return undefined;
}

function toDecimal(from: SqlType, to: SqlType, text: string, plain: string, isTry: boolean) {
  if (isWholeType(from) || from.id === 'DECIMAL') return plain;
  const cast = (call: string): string => `CAST(${call} AS ${sparkType(to)})`;
  const shape = `${to.width}, ${to.scale}, ${isTry}`;
  if (isFloating(from)) return cast(`duckdb_double_decimal(CAST(${text} AS DOUBLE), ${shape})`);
  if (from.id === 'VARCHAR') return cast(`duckdb_text_decimal(${text}, ${shape})`);
  return undefined;
}

function toFloating(from: SqlType, to: SqlType, text: string, plain: string, isTry: boolean) {
  const isFloat = to.id === 'FLOAT';
  if (isWholeType(from) || from.id === 'BOOLEAN' || from.id === 'DECIMAL') return plain;
  if (isFloating(from)) {
    return isFloat ? `CAST(duckdb_double_float(${text}, ${isTry}) AS FLOAT)` : plain;
  }
  if (from.id !== 'VARCHAR') return undefined;
  // A text beyond the range of float is infinite, as beyond that of double.
  const double = `duckdb_text_double(${text}, ${isTry})`;
  return isFloat ? `CAST(${double} AS FLOAT)` : double;
}

function toText(from: SqlType, text: string): string | undefined {
  switch (from.id) {
    case 'VARCHAR':
      return text;
    case 'BOOLEAN':
    case 'DECIMAL':
      return `CAST(${text} AS STRING)`;
    case 'DOUBLE':
      return `duckdb_double_text(${text})`;
    case 'FLOAT':
      // The engines differ in how many digits tell a 32-bit number.
      throw refuse('a cast from float to text', 'cast to double first');
    case 'DATE':
      return `duckdb_date_text(unix_date(${text}))`;
    case 'TIMESTAMP':
      return `duckdb_timestamp_text(${micros(from, text)}, '')`;
    case 'TIMESTAMP WITH TIME ZONE':
      return `duckdb_timestamp_text(${micros(from, text)}, '+00')`;
    default:
      return isWholeType(from) ? `CAST(${text} AS STRING)` : undefined;
  }
}

function toTime(from: SqlType, to: SqlType, text: string, spark: string, isTry: boolean) {
  if (from.id === 'VARCHAR') {
    if (to.id === 'DATE') return `date_from_unix_date(duckdb_text_date(${text}, ${isTry}))`;
    return fromMicros(to, `duckdb_text_timestamp(${text}, ${isTry})`);
  }
  return isTime(from) ? `CAST(${text} AS ${spark})` : undefined;
}

export function isTime({ id }: SqlType): boolean {
  return id === 'DATE' || id === 'TIMESTAMP' || id === 'TIMESTAMP WITH TIME ZONE';
}

/** Microseconds since 1970 of a printed date or time. */
export function micros({ id }: SqlType, text: string): string {
  if (id === 'DATE') return `(CAST(unix_date(${text}) AS BIGINT) * 86400000000L)`;
  if (id === 'TIMESTAMP') return `duckdb_micros(CAST(${text} AS TIMESTAMP_NTZ))`;
  return `unix_micros(CAST(${text} AS TIMESTAMP))`;
}

/** The date or time at printed microseconds. */
export function fromMicros({ id }: SqlType, text: string): string {
  const instant = `timestamp_micros(${text})`;
  if (id === 'TIMESTAMP WITH TIME ZONE') return instant;
  return `CAST(${instant} AS ${id === 'DATE' ? 'DATE' : 'TIMESTAMP_NTZ'})`;
}

function none(from: SqlType, to: SqlType): never {
  const remedy = isTime(to) ? 'use strptime or make_timestamp' : 'cast by way of double or text';
  throw refuse(`a cast from ${typeName(from)} to ${typeName(to)}`, remedy);
}
