/**
 * How one raw column is asked of DuckDB and turned into float64: numbers as they are, missing as
 * NULL, which whoever reads makes NaN; a category as its position in the vocabulary, -1 when missing,
 * -2 when unlisted. Numeric categories are looked up here by number, text by DuckDB: by
 * `list_position` while the list is short (it runs once per dictionary entry of a Parquet column, and
 * a short linear scan beats a hash otherwise), by an ENUM's hash map beyond. Text to be hashed comes
 * as it is.
 */
import type { RawColumn, TextHashing } from '../../../driver/ir/frame-engine.js';
import { hashingOf } from '../../../driver/operators/encode-block.js';
import { quoteText } from './database.js';
import { collidesAsDouble, columnType, textOf } from './types.js';

export interface ColumnReader {
  /** Select item of type DOUBLE; VARCHAR where `hash` says how its texts are hashed. */
  readonly select: string;
  readonly hash?: TextHashing;
  /** Statement to run on the connection before and after. */
  readonly prepare?: string;
  readonly cleanUp?: string;
  /** Turns what DuckDB delivers into what was asked for, in place. */
  readonly decode?: (items: Float64Array) => Float64Array;
}

const LONGEST_LIST = 128;
const WIDEST_TABLE = 1 << 16;
let nextEnum = 0;

/** @param engineType DuckDB's type of the column's expression */
export function readerOf(column: RawColumn, engineType: string, position: number): ColumnReader {
  const operand = `(${column.sql}\n)`;
  if (column.kind === 'number') return { select: numberOf(operand) };
  if (column.kind === 'hash') {
    return { select: `CAST(${operand} AS VARCHAR)`, hash: hashingOf(column) };
  }
  const isNumber = columnType(engineType) === 'number' && !collidesAsDouble(engineType);
  if (isNumber && column.categories.every(isExactNumber)) {
    const codeOf = numericCodes(column.categories.map(Number));
    return {
      select: numberOf(operand),
      decode: (items) => {
        for (let i = 0; i < items.length; i++) items[i] = codeOf(items[i]!);
        return items;
      },
    };
  }
  const isFloat = engineType === 'FLOAT' || engineType === 'DOUBLE';
  const present = isFloat ? `nullif(CAST(${operand} AS DOUBLE), CAST('NaN' AS DOUBLE))` : operand;
  return textReader(textOf(present, engineType), present, column.categories, position);
}

/** NULL where missing: `coalesce` would visit every cell. */
function numberOf(operand: string): string {
  return `CAST(${operand} AS DOUBLE)`;
}

function textReader(
  text: string,
  operand: string,
  categories: readonly string[],
  column: number,
): ColumnReader {
  const absent = `CASE WHEN ${operand} IS NULL THEN -1 ELSE -2 END`;
  if (categories.length === 0) return { select: `CAST(${absent} AS DOUBLE)` };
  const literals = categories.map(quoteText).join(', ');
  if (categories.length <= LONGEST_LIST) {
    // Positions count from 1, and are NULL for what is not in the list.
    const position = `list_position([${literals}], ${text})`;
    const notListed = `CASE WHEN ${operand} IS NULL THEN 0 ELSE -1 END`;
    return { select: `CAST(coalesce(${position}, ${notListed}) - 1 AS DOUBLE)` };
  }
  const name = `reprise_categories_${column}_${nextEnum++}`;
  return {
    select: `CAST(coalesce(CAST(enum_code(TRY_CAST(${text} AS ${name})) AS INTEGER), ${absent}) AS DOUBLE)`,
    prepare: `CREATE TYPE ${name} AS ENUM (${literals})`,
    cleanUp: `DROP TYPE IF EXISTS ${name}`,
  };
}

/** Whether a category is the exact text of a float64, so that numbers compare as the texts do. */
function isExactNumber(text: string): boolean {
  const value = Number(text);
  return text.trim() !== '' && Number.isFinite(value) && Math.abs(value) < Number.MAX_SAFE_INTEGER;
}

/** A lookup of numbers: a dense table for small whole ones, else a hash map. */
function numericCodes(values: readonly number[]): (value: number) => number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low + 1;
  if (values.length > 0 && span <= WIDEST_TABLE && values.every(Number.isInteger)) {
    const table = new Int32Array(span).fill(-2);
    for (let code = 0; code < values.length; code++) table[values[code]! - low] = code;
    return (value) => {
      if (value >= low && value - low < span) {
        const at = value - low;
        return Number.isInteger(at) ? table[at]! : -2;
      }
      return Number.isNaN(value) ? -1 : -2;
    };
  }
  const codes = new Map(values.map((value, code) => [value, code]));
  return (value) => (Number.isNaN(value) ? -1 : (codes.get(value) ?? -2));
}
