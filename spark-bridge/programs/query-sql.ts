/**
 * Queries of Spark SQL over frames, where their files are: rows as texts, or all of them written as
 * a folder of Parquet files or a table. Rows come in any order unless the query says one.
 */
import { randomBytes } from 'node:crypto';
import { DataError } from '../../driver/errors.js';
import { queryProblem } from '../../driver/frame/sql/query.js';
import type { FrameColumn, FrameSource } from '../../driver/ir/frame-engine.js';
import type { WireQuery } from '../channel/wire-query.js';
import type { SparkBackend } from './spark-backend.js';
import { wireSource } from './wire-source.js';

export interface SparkQuery {
  readonly sql: string;
  /** For messages: `nightly.yaml:7:10: steps.joined.sql`. */
  readonly place: string;
  readonly tables: readonly { readonly name: string; readonly source: FrameSource }[];
  readonly signal: AbortSignal;
}

export interface SparkOutput {
  /** A folder that Spark writes to, or `table://NAME`; what was there is replaced. */
  readonly place: string;
  /** One file in the folder. Default false. */
  readonly isSingle?: boolean;
}

/** The first rows, cells as texts. @throws DataError for what no query may be, or the data are not */
export async function sparkRows(
  spark: SparkBackend,
  query: SparkQuery,
  limit: number,
): Promise<readonly (readonly (string | null)[])[]> {
  return (await call(spark, query, { limit, output: null })).rows;
}

/** How many rows were written, of which columns. @throws as `sparkRows` */
export async function sparkWrite(
  spark: SparkBackend,
  query: SparkQuery,
  { place, isSingle = false }: SparkOutput,
): Promise<{ readonly rows: number; readonly columns: readonly Pick<FrameColumn, 'name'>[] }> {
  const table = /^table:\/\//i.test(place) ? place.slice('table://'.length) : null;
  const output = { table, path: table === null ? place : null, isSingle };
  const { count, columns } = await call(spark, query, { limit: 0, output });
  return { rows: count ?? 0, columns };
}

async function call(
  spark: SparkBackend,
  { sql, place, tables, signal }: SparkQuery,
  asked: Pick<WireQuery<unknown>, 'limit' | 'output'>,
) {
  const args = {
    run: `query-${randomBytes(6).toString('hex')}`,
    sql,
    tables: tables.map(({ name, source }) => ({ name, source: wireSource(source) })),
    ...asked,
  };
  try {
    return (await spark.channel.call('querySql', args, [], { signal })).result;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { expected, got, line } = error.facts;
    if (got === undefined)
      throw new DataError(`${place}: ${error.message}`, error.facts, { cause: error });
    const at = line === undefined ? undefined : Number(line);
    const problem = queryProblem(sql, at, String(expected), String(got));
    throw new DataError(`${place}: ${problem}`, { sql }, { cause: error });
  }
}
