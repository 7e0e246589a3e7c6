/** DuckDB's types as features see them. */
import type { ColumnType } from '../../../driver/ir/frame-engine.js';

const INTEGER = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/;

/** Class of a DuckDB type, given by its name as `DESCRIBE` prints it. */
export function columnType(engineType: string): ColumnType {
  if (INTEGER.test(engineType) || /^(FLOAT|DOUBLE|DECIMAL)/.test(engineType)) return 'number';
  if (engineType === 'BOOLEAN') return 'boolean';
  if (/^(VARCHAR|UUID)$/.test(engineType) || /^ENUM\(/.test(engineType)) return 'text';
  if (engineType === 'DATE' || /^TIMESTAMP/.test(engineType)) return 'timestamp';
  return 'other';
}

/** Whether a type holds whole numbers only, so that its text has no decimals. */
export function isInteger(engineType: string): boolean {
  return INTEGER.test(engineType);
}

/**
 * SQL for the text that names a non-missing value, equal on every engine (`CategoryText.scala`) and
 * different for different values: whole numbers and decimals with all their digits and no zeros
 * behind the last one, others as DuckDB casts them; times are UTC. `sql` is a complete operand.
 */
export function textOf(sql: string, engineType: string): string {
  const text = `CAST(${sql} AS VARCHAR)`;
  if (engineType === 'TIMESTAMP WITH TIME ZONE')
    return `CAST(CAST(${sql} AS TIMESTAMP) AS VARCHAR)`;
  if (columnType(engineType) !== 'number' || isInteger(engineType)) return text;
  const { precision, scale } = decimalOf(engineType) ?? {};
  if (precision === undefined || scale === undefined) return floatText(sql);
  if (scale === 0) return text;
  // DuckDB leaves out the zero before the point where no digit can stand there.
  const whole = precision === scale ? `replace('0' || ${text}, '0-', '-0')` : text;
  return `rtrim(rtrim(${whole}, '0'), '.')`;
}

function floatText(sql: string): string {
  const number = `CAST(${sql} AS DOUBLE)`;
  return `CASE WHEN ${number} = trunc(${number}) AND abs(${number}) < 1e16 THEN CAST(TRY_CAST(${number} AS BIGINT) AS VARCHAR) ELSE CAST(${number} AS VARCHAR) END`;
}

/** Digits in all, and of those after the point. */
function decimalOf(
  engineType: string,
): { readonly precision: number; readonly scale: number } | undefined {
  const [, precision, scale] = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(engineType) ?? [];
  return precision === undefined
    ? undefined
    : { precision: Number(precision), scale: Number(scale) };
}

/** Digits that a float64 tells apart, whatever they are. */
const DOUBLE_DIGITS = 15;

/** Whether different values of a numeric type share a float64, so they can't be told apart. */
export function collidesAsDouble(engineType: string): boolean {
  return (decimalOf(engineType)?.precision ?? 0) > DOUBLE_DIGITS;
}
