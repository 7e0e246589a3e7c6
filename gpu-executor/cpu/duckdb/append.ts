/** Appends numbers to a table, vector by vector. */
import type * as DuckDB from '@duckdb/node-api';
import { loadPackage } from '../../../driver/support/load-package.js';

/** Rows of a DuckDB vector. */
const VECTOR = 2048;

/** Writes the cells of one column for rows from..from+items.length. */
export type FillColumn = (column: number, from: number, items: Float64Array) => void;

/** @param width columns of doubles that the table has */
export function appendNumbers(
  appender: DuckDB.DuckDBAppender,
  { rows, width }: { readonly rows: number; readonly width: number },
  fill: FillColumn,
): void {
  const { DuckDBDataChunk, DOUBLE } = loadPackage('@duckdb/node-api') as typeof DuckDB;
  const types = Array.from({ length: width }, () => DOUBLE);
  for (let from = 0; from < rows; from += VECTOR) {
    const count = Math.min(VECTOR, rows - from);
    const chunk = DuckDBDataChunk.create(types, count);
    for (let c = 0; c < width; c++) {
      const vector = chunk.getColumnVector(c);
      const { items } = vector as unknown as { readonly items: Float64Array };
      fill(c, from, items.subarray(0, count));
      vector.flush();
    }
    appender.appendDataChunk(chunk);
  }
}
