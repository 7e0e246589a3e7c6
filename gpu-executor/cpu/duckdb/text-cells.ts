/**
 * Kinds of cells and how they become values, in DuckDB's SQL: the grammar of docs/job-file.md, as
 * patterns. DuckDB's own casts take more ("1.25" is a BIGINT to it, "1_000" a number, "t" a
 * BOOLEAN), so a column is cast only where every cell was seen to match. The shim has the same
 * grammar in `TextCells.scala`.
 */

import { CELLS, type TextType } from '../../../driver/frame/text-columns.js';
import type { CsvOptions } from '../../../driver/ir/read-options.js';
import { quoteText } from './database.js';

const SPACE = '[ \\t\\n\\v\\f\\r]*';
// DuckDB and Spark write the year 0 differently.
const DATE = '([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}';
const ZONE = '(Z|[+-](0[0-9]|1[0-7])(:?[0-5][0-9])?)?';
const TIME = `${DATE}[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?${ZONE}`;

/** Decimal and thousands separators of numbers. */
export type NumberStyle = Pick<CsvOptions, 'decimal' | 'thousands'>;

/** SQL for the kind of a cell, a bit of `CELLS`, 0 when missing. `text` is of type VARCHAR. */
export function kindOfText(text: string, style: NumberStyle = {}): string {
  const { decimal = '.', thousands } = style;
  const group = thousands === undefined ? '' : `|[0-9]{1,3}(${escaped(thousands)}[0-9]{3})+`;
  const point = escaped(decimal);
  const number = `(([0-9]+${group})(${point}[0-9]*)?|${point}[0-9]+)([eE][+-]?[0-9]+)?`;
  return `CASE WHEN ${text} IS NULL THEN 0
    WHEN ${matches(text, `${SPACE}[+-]?[0-9]{1,18}${SPACE}`)} THEN ${CELLS.integer}
    WHEN ${matches(text, `${SPACE}[+-]?(${number}|(?i:inf|infinity|nan))${SPACE}`)} THEN ${kindOfNumber(numberText(text, style))}
    WHEN ${matches(text, '(?i:true|false)')} THEN ${CELLS.boolean}
    ${kindOfTime(text)} END`;
}

/** As `kindOfText`, of type JSON: numbers and words of JSON keep their kind, dates are text. */
export function kindOfJson(json: string): string {
  const text = `CAST(${json} AS VARCHAR)`;
  return `CASE WHEN ${json} IS NULL OR ${text} = 'null' THEN 0
    WHEN ${matches(text, '-?[0-9]{1,18}')} THEN ${CELLS.integer}
    WHEN ${text}[1] = '"' THEN CASE ${kindOfTime(`(${json}->>'$')`)} END
    WHEN ${text}[1] IN ('{', '[') THEN ${CELLS.nested}
    WHEN ${text} IN ('true', 'false') THEN ${CELLS.boolean}
    ELSE ${kindOfNumber(text)} END`;
}

/** SQL for whether a number is whole and not too large to tell it from its neighbours. */
export function isWholeNumber(double: string): string {
  return `${double} = trunc(${double}) AND abs(${double}) < 9007199254740992`;
}

function kindOfNumber(plain: string): string {
  const double = `TRY_CAST(${plain} AS DOUBLE)`;
  return `CASE WHEN ${isWholeNumber(double)} THEN ${CELLS.integer}
      WHEN NOT ${matches(plain, `${SPACE}[+-]?[0-9]+${SPACE}`)} THEN ${CELLS.decimal}
      WHEN TRY_CAST(${plain} AS BIGINT) IS NULL THEN ${CELLS.huge} ELSE ${CELLS.integer} END`;
}

function kindOfTime(text: string): string {
  return `WHEN ${matches(text, DATE)} AND TRY_CAST(${text} AS DATE) IS NOT NULL THEN ${CELLS.date}
    WHEN ${matches(text, TIME)} AND TRY_CAST(${text} AS TIMESTAMPTZ) IS NOT NULL THEN ${CELLS.timestamp}
    ELSE ${CELLS.text}`;
}

/** SQL for a value of JSON as text; what is a number has the form numbers have as categories. */
export function textOfJson(json: string): string {
  const text = `CAST(${json} AS VARCHAR)`;
  const number = `CAST(${text} AS DOUBLE)`;
  const isShort = `${number} = trunc(${number}) AND abs(${number}) < 1e15`;
  return `CASE WHEN ${json} IS NULL OR ${text} = 'null' THEN NULL
    WHEN ${text}[1] IN ('"', '{', '[') OR ${text} IN ('true', 'false') OR ${matches(text, '-?[0-9]+')} THEN ${json}->>'$'
    WHEN ${isShort} THEN CAST(TRY_CAST(${number} AS BIGINT) AS VARCHAR) ELSE CAST(${number} AS VARCHAR) END`;
}

/** SQL for a cell as a value of a type; every cell is known to have it. */
export function valueOfText(text: string, type: TextType, style: NumberStyle = {}): string {
  switch (type) {
    case 'integer':
    case 'double':
      return `CAST(${numberText(text, style)} AS ${DUCKDB_TYPES[type]})`;
    case 'timestamp':
      // As a plain TIMESTAMP, DuckDB would leave out what the text says of the time zone.
      return `(CAST(${text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')`;
    case 'boolean':
    case 'date':
      return `CAST(${text} AS ${DUCKDB_TYPES[type]})`;
    default:
      return text;
  }
}

export const DUCKDB_TYPES: Readonly<Record<TextType, string>> = {
  integer: 'BIGINT',
  double: 'DOUBLE',
  text: 'VARCHAR',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
  nested: 'JSON',
};

/** The text of a number with a point for its decimals and nothing between thousands. */
function numberText(text: string, { decimal = '.', thousands }: NumberStyle): string {
  const joined = thousands === undefined ? text : `replace(${text}, ${quoteText(thousands)}, '')`;
  return decimal === '.' ? joined : `replace(${joined}, ${quoteText(decimal)}, '.')`;
}

function matches(text: string, pattern: string): string {
  return `regexp_full_match(${text}, ${quoteText(pattern)})`;
}

function escaped(character: string): string {
  return /[A-Za-z0-9]/.test(character)
    ? character
    : `[${/[\\\]^-]/.test(character) ? '\\' : ''}${character}]`;
}
