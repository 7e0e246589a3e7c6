/** DuckDB's types as features see them. */
import type { ColumnType } from '../../../driver/frame/engine.js';

const INTEGER = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/;

/** Class of a DuckDB type, given by its name as `DESCRIBE` prints it. */
export function columnType(engineType: string): ColumnType {
  if (INTEGER.test(engineType) || /^(FLOAT|DOUBLE|DECIMAL)/.test(engineType)) return 'number';
  if (engineType === 'BOOLEAN') return 'boolean';
  if (engineType === 'VARCHAR' || engineType === 'UUID' || /^ENUM\(/.test(engineType)) {
    return 'text';
  }
  if (engineType === 'DATE' || /^TIMESTAMP/.test(engineType)) return 'timestamp';
  return 'other';
}

/** Whether a type holds whole numbers only, so that its text has no decimals. */
export function isInteger(engineType: string): boolean {
  return INTEGER.test(engineType);
}

/**
 * SQL for the text of a non-missing value, equal on every engine: whole numbers without decimals, others as DuckDB
 * casts them. `sql` is a complete operand.
 */
export function textOf(sql: string, engineType: string): string {
  if (columnType(engineType) !== 'number' || isInteger(engineType)) {
    return `CAST(${sql} AS VARCHAR)`;
  }
  const number = `CAST(${sql} AS DOUBLE)`;
  return `CASE WHEN ${number} = trunc(${number}) AND abs(${number}) < 1e15 THEN CAST(TRY_CAST(${number} AS BIGINT) AS VARCHAR) ELSE CAST(${number} AS VARCHAR) END`;
}
