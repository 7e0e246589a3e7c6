/**
 * Checks of data that are queries of their own: columns whose values together stand in one row, and
 * SQL that answers true. DuckDB's SQL, or Spark's where the data are.
 */
import { columnSql } from '../../driver/frame/feature-spec.js';
import { DataError } from '../../driver/index.js';
import type { FrameSource } from '../../driver/ir/frame-engine.js';
import type { OpenSession } from '../engines.js';
import type { KeyPath } from '../job-file/yaml-source.js';
import type { CheckFinding } from './checks.js';

/** What the data are called in queries. */
export const QUERIED = 'data';

/** Names the place of a key, for messages. */
export type Where = (at: KeyPath) => string;

export interface AskedQueries {
  readonly unique?: readonly (string | readonly string[])[] | undefined;
  readonly sql?: readonly string[] | undefined;
}

/** Cells as texts; the first rows, two at least. */
type Ask = (query: { sql: string; place: string }) => Promise<readonly (readonly unknown[])[]>;

export async function queryFindings(
  open: OpenSession,
  source: FrameSource,
  signal: AbortSignal,
  { unique = [], sql = [] }: AskedQueries,
  where: Where,
): Promise<CheckFinding[]> {
  if (unique.length + sql.length === 0) return [];
  const tables = [{ name: QUERIED, source }];
  const { spark, duckdb } = open;
  if (open.engine === 'spark' && spark !== undefined) {
    const { sparkRows } = await import('../../spark-bridge/index.js');
    const ask: Ask = (query) => sparkRows(spark, { ...query, tables, signal }, 2);
    return findings(ask, backticked, unique, sql, where);
  }
  const sandbox = await duckdb!.queries(tables, { signal });
  try {
    return await findings((query) => sandbox.rows(query), columnSql, unique, sql, where);
  } finally {
    sandbox.close();
  }
}

async function findings(
  ask: Ask,
  columnName: (name: string) => string,
  unique: NonNullable<AskedQueries['unique']>,
  sql: readonly string[],
  where: Where,
): Promise<CheckFinding[]> {
  const found: CheckFinding[] = [];
  for (const names of keysOf(unique)) {
    const list = names.map(columnName).join(', ');
    const groups = `SELECT count(*) AS n FROM ${QUERIED} GROUP BY ${list} HAVING count(*) > 1`;
    const text = `SELECT count(*) AS groups, coalesce(sum(n), 0) AS n FROM (${groups}) AS g`;
    const [row] = await ask({ sql: text, place: where(['unique']) });
    const [count, rows] = row!.map(Number);
    found.push({
      subject: names.join(', '),
      expected: 'in one row together',
      got: count === 0 ? 'in one row each' : `${count} that stand in ${rows} rows`,
      holds: count === 0,
    });
  }
  for (const [i, text] of sql.entries()) {
    const place = where(['sql', i]);
    const rows = await ask({ sql: text, place });
    const [row] = rows;
    if (rows.length !== 1 || row!.length !== 1) {
      const got =
        rows.length > 1 ? 'several rows' : rows.length === 0 ? 'no row' : 'several columns';
      const message = `${place}: expected one row of one column, got ${got}; ask for count(*) = 0, say`;
      throw new DataError(message, { sql: text });
    }
    const got = String(row![0]);
    found.push({ subject: text.trim(), expected: 'true', got, holds: got === 'true' });
  }
  return found;
}

/** `[a, b]` is one key of two columns, `[[a, b], [c]]` are two. */
function keysOf(unique: NonNullable<AskedQueries['unique']>): (readonly string[])[] {
  const single = unique.filter((one) => typeof one === 'string');
  const several = unique.filter((one) => typeof one !== 'string');
  return [...(single.length > 0 ? [single] : []), ...several];
}

function backticked(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
