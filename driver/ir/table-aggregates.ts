/** Aggregates in SQL over a table of numbers, which engines of frames compute where the table is. */
import type { SqlText } from './frame-engine.js';

/** A column as expressions see it, made of a cell of the row. */
export interface TableColumn {
  readonly name: string;
  /** The number of the cell; null for 1 in every row. */
  readonly cell: number | null;
  /** The values that the cell has the places of. Absent: the cell is the value. */
  readonly values?: readonly (string | number | boolean)[];
  /** The value is 1 less the cell. */
  readonly isComplement?: true;
}

export interface TableAggregates {
  /** Each one aggregate over the columns of a view. */
  readonly formulas: readonly SqlText[];
  /** Cell 0 says the group of a row; rows outside 0..groups-1 are left out. */
  readonly groups: number;
  /** What the names of columns stand for: each formula is computed for each of these. */
  readonly views: readonly (readonly TableColumn[])[];
}

/** By view, formula and group; NaN for NULL and for groups without rows. */
export type AggregateValues = readonly (readonly (readonly number[])[])[];

/** DuckDB's name of a column's type, by its values; absent: numbers. */
export function valuesType(values: TableColumn['values']): string {
  if (values === undefined) return 'DOUBLE';
  if (values.every((value) => typeof value === 'boolean')) return 'BOOLEAN';
  if (values.every((value) => Number.isSafeInteger(value))) return 'BIGINT';
  return values.every((value) => typeof value === 'number') ? 'DOUBLE' : 'VARCHAR';
}
