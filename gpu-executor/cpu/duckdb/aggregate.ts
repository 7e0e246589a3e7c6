/**
 * Aggregates over a table of numbers: a table of DuckDB's for as long as it takes, and a statement a
 * view. What it takes beyond DuckDB's share of the memory spills.
 */

import { DataError } from '../../../driver/errors.js';
import { duckDbValue } from '../../../driver/frame/sql/coded-values.js';
import type {
  AggregateValues,
  TableAggregates,
  TableColumn,
} from '../../../driver/ir/table-aggregates.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { appendNumbers } from './append.js';
import { briefly, type Database, quoteName, toDataError } from './database.js';
import { columnType } from './types.js';

/** @throws DataError for a formula whose value is no number, or that fails on a row */
export async function aggregateTable(
  database: Database,
  { rows, cols, data }: DenseMatrix,
  { formulas, groups, views }: TableAggregates,
): Promise<AggregateValues> {
  const connection = await database.connect();
  try {
    const cells = Array.from({ length: cols }, (_, c) => `c${c} DOUBLE`);
    await connection.run(`CREATE TEMP TABLE cells (${cells.join(', ')})`);
    const appender = await connection.createAppender('cells', 'main', 'temp');
    appendNumbers(appender, { rows, width: cols }, (column, from, items) => {
      for (let i = 0; i < items.length; i++) items[i] = data[(from + i) * cols + column]!;
    });
    appender.closeSync();
    const values: number[][][] = [];
    for (const view of views) {
      const reader = await connection.runAndReadAll(statement(formulas, groups, view));
      const own = formulas.map(() => new Array<number>(groups).fill(Number.NaN));
      const found = reader.getRowsJS() as readonly (readonly unknown[])[];
      for (const [group, ...row] of found) {
        for (const [f, { sql }] of formulas.entries()) {
          own[f]![Number(group)] = numberOf(sql, row[2 * f], String(row[2 * f + 1]));
        }
      }
      values.push(own);
    }
    return values;
  } catch (cause) {
    database.noteFailure(cause);
    const own = toDataError(cause, 'scoring');
    if (own === cause || !(own instanceof DataError)) throw own;
    const texts = formulas.map(({ sql }) => JSON.stringify(sql)).join(', ');
    const got = briefly((cause as Error).message);
    throw new DataError(
      `scoring: expected values that ${texts} can take, got: ${got}`,
      {},
      { cause },
    );
  } finally {
    connection.disconnectSync();
  }
}

function statement(
  formulas: readonly { readonly sql: string }[],
  groups: number,
  view: readonly TableColumn[],
): string {
  const columns = view.map((column) => `${cellSql(column)} AS ${quoteName(column.name)}`);
  const items = formulas.map(({ sql }) => `(${sql}\n), typeof((${sql}\n))`);
  const from = `SELECT CAST(c0 AS INTEGER) AS "reprise group", ${columns.join(', ')} FROM cells WHERE c0 >= 0 AND c0 < ${groups}`;
  return `SELECT "reprise group", ${items.join(', ')} FROM (${from}) GROUP BY "reprise group"`;
}

function cellSql({ cell, values, isComplement }: TableColumn): string {
  if (cell === null) return 'CAST(1 AS DOUBLE)';
  if (values !== undefined) return duckDbValue(values, `c${cell}`);
  return isComplement ? `(1 - c${cell})` : `c${cell}`;
}

function numberOf(sql: string, value: unknown, type: string): number {
  if (columnType(type) !== 'number') {
    throw new DataError(
      `scoring: expected a number of ${JSON.stringify(sql)}, got a value of type ${type}`,
      { expression: sql },
    );
  }
  return value === null ? Number.NaN : Number(String(value));
}
