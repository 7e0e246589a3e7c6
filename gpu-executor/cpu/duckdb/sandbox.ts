/**
 * Queries over given data alone, in a database of their own. Invariants: a query reads its inputs
 * and nothing else of disk, network or session, held twice: by what its text may be (`queryFault`)
 * and by the database, which may touch no other path; equal inputs give equal rows in one order, to
 * the bit, and equal files, unless more than one thread is asked for.
 */
import { rm } from 'node:fs/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { DataError } from '../../../driver/errors.js';
import { verifyUnchanged } from '../../../driver/frame/identity.js';
import { type QueryRules, queryFault, queryProblem } from '../../../driver/frame/sql/query.js';
import type { FrameSource } from '../../../driver/ir/frame-engine.js';
import { closestText } from '../../../driver/support/closest.js';
import { memoryShares } from '../../../driver/support/memory.js';
import { briefly, Database, quoteName, quoteText, type Row, toDataError } from './database.js';
import { isUnstable, listFunctions } from './expression.js';
import type { Layouts } from './layout.js';
import { orderedRelation } from './scan.js';
import { DuckDbParser } from './sql-parser.js';

/** Data under the name that queries call it by. */
export interface QueryInput {
  readonly name: string;
  readonly source: FrameSource;
}

/** A query and its place, for messages: `nightly.yaml:7:10: steps.joined.sql`. */
export interface Query {
  readonly sql: string;
  readonly place: string;
}

export interface QueryOptions {
  /** Beyond one, the order of rows and the last digits of sums change. Default 1. */
  readonly threads?: number;
  /** Files that results may be written to. */
  readonly outputs?: readonly string[];
  readonly signal?: AbortSignal;
}

/** How a CSV file is written; DuckDB's own words for what is given. */
export interface CsvWriteOptions {
  readonly delimiter?: string;
  readonly header?: boolean;
  readonly null?: string;
  readonly compression?: 'gzip';
}

export type QueryFormat =
  | { readonly format: 'parquet' }
  | { readonly format: 'csv'; readonly csv?: CsvWriteOptions };

export interface ResultColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly type: string;
}

/** Macros of DuckDB's own that fold rows. */
const FOLDING_MACROS =
  /^(array_to_string\w*|generate_subscripts|geomean|geometric_mean|json_group_\w+|wavg|weighted_avg)$/;

const RESULT = quoteName('reprise result');

export class QuerySandbox {
  readonly #database: Database;
  readonly #connection: DuckDBConnection;
  readonly #rules: QueryRules;
  readonly #options: QueryOptions;
  readonly #inputs: readonly QueryInput[];
  /** Names of columns by input. */
  readonly #columns: ReadonlyMap<string, readonly string[]>;

  private constructor(
    database: Database,
    connection: DuckDBConnection,
    rules: QueryRules,
    inputs: readonly QueryInput[],
    columns: ReadonlyMap<string, readonly string[]>,
    options: QueryOptions,
  ) {
    this.#database = database;
    this.#connection = connection;
    this.#rules = rules;
    this.#inputs = inputs;
    this.#columns = columns;
    this.#options = options;
  }

  static async open(
    layouts: Layouts,
    inputs: readonly QueryInput[],
    options: QueryOptions = {},
  ): Promise<QuerySandbox> {
    const named = await Promise.all(
      inputs.map(async ({ name, source }) => ({ name, layout: await layouts.source(source) })),
    );
    const paths = named.flatMap(({ layout }) => layout.files.map(({ path }) => path));
    const { threads = 1, outputs = [] } = options;
    const database = new Database({
      // Two at once have what one engine has.
      memoryBytes: memoryShares().duckdbBytes / 2,
      threads,
      onlyPaths: [...new Set([...paths, ...outputs])],
    });
    try {
      const connection = await database.connect();
      for (const { name, layout } of named) {
        const view = `CREATE VIEW ${quoteName(name)} AS SELECT * FROM ${orderedRelation(layout)}`;
        await connection.run(view).catch((cause: unknown) => {
          throw toDataError(cause, `data: reading ${name}`);
        });
      }
      const columns = new Map(
        named.map(({ name, layout }) => [name, layout.columns.map((column) => column.name)]),
      );
      const all = new Set([...columns.values()].flat().map((column) => column.toLowerCase()));
      const rules = await rulesOf(database, [...columns.keys()], (name) => all.has(name));
      return new QuerySandbox(database, connection, rules, inputs, columns, options);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Its columns; reads no rows. @throws DataError for what no query may be or the inputs lack */
  async columns(query: Query): Promise<readonly ResultColumn[]> {
    const { sql, place } = query;
    const problem = await faultText(this.#database, sql, this.#rules);
    if (problem !== undefined) throw new DataError(`${place}: ${problem}`, { sql });
    const prepared = await this.#naming(query, () => this.#connection.prepare(sql));
    const columns = Array.from({ length: prepared.columnCount }, (_, i) => {
      return { name: prepared.columnName(i), type: String(prepared.columnType(i)) };
    });
    prepared.destroySync();
    const names = columns.map(({ name }) => name.toLowerCase());
    const twice = columns.find((_, i) => names.indexOf(names[i]!) !== i)?.name;
    if (twice !== undefined) {
      const remedy = 'name each with AS, or join with USING';
      throw new DataError(
        `${place}: expected columns of different names, got ${twice} twice; ${remedy}`,
        { sql, column: twice },
      );
    }
    return columns;
  }

  /**
   * Writes the rows to a file that is not there yet; how many there are.
   * @throws DataError as `columns`, or for what a value or the data are not; ResourceError
   */
  async copyTo(query: Query, path: string, asked: QueryFormat): Promise<number> {
    await rm(path, { force: true });
    const items = (await this.columns(query)).map(storedItem).join(', ');
    const copy = `COPY (SELECT ${items} FROM ${RESULT}) TO ${quoteText(path)} (${copyOptions(asked)})`;
    const [row] = await this.#over(query, copy);
    return Number(row![0]);
  }

  /** All rows. @throws as `copyTo` */
  async rows(query: Query): Promise<readonly Row[]> {
    await this.columns(query);
    return this.#over(query, `SELECT * FROM ${RESULT}`);
  }

  /** Ends it; queries still running end with an error. Idempotent. */
  close(): void {
    this.#connection.disconnectSync();
    this.#database.close();
  }

  /** Runs a statement over the query's result. */
  async #over(query: Query, statement: string): Promise<Row[]> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const interrupt = (): void => this.#connection.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      return await this.#naming(query, async () => {
        // A view takes the text as it is: with comments, a semicolon at its end, its own lines.
        await this.#connection.run(`CREATE OR REPLACE TEMP VIEW ${RESULT} AS ${query.sql}`);
        const rows = (await this.#connection.runAndReadAll(statement)).getRowsJS() as Row[];
        for (const { source } of this.#inputs) await verifyUnchanged(source);
        return rows;
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  async #naming<T>(query: Query, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const text = String((cause as Error).message);
      const isOfQuery =
        /^(Parser|Binder|Catalog|Conversion|Out of Range|Invalid Input|Mismatch Type|Permission|Not implemented|Constraint) Error/i;
      if (!isOfQuery.test(text)) throw toDataError(cause, query.place);
      const line = /^LINE (\d+): /m.exec(text)?.[1];
      const at = line === undefined ? undefined : Number(line);
      const problem = queryProblem(
        query.sql,
        at,
        'SQL that fits its inputs',
        explained(query.sql, text, this.#columns),
      );
      throw new DataError(`${query.place}: ${problem}`, { sql: query.sql }, { cause });
    }
  }
}

/** Why a text is no query over tables whose columns are not known yet; undefined when it is. */
export async function queryTextProblem(
  database: Database,
  sql: string,
  tables: readonly string[],
): Promise<string | undefined> {
  // Any name may be a column's.
  return faultText(database, sql, await rulesOf(database, tables, () => true));
}

async function rulesOf(
  database: Database,
  tables: readonly string[],
  hasColumn: (name: string) => boolean,
): Promise<QueryRules> {
  const functions = await listFunctions(database);
  return {
    tables,
    hasColumn,
    isUnstable: (call) => {
      const name = (call.function_name ?? '').toLowerCase();
      return isUnstable(call, functions) && !FOLDING_MACROS.test(name) && name !== 'error';
    },
  };
}

async function faultText(
  database: Database,
  sql: string,
  rules: QueryRules,
): Promise<string | undefined> {
  const [serialized] = await new DuckDbParser(database).parse([sql]);
  const fault = queryFault(sql, serialized!, rules);
  if (fault === undefined) return undefined;
  const { got, remedy } = fault.refusal;
  const tables = rules.tables.join(', ');
  const expected = `one SELECT over ${tables === '' ? 'no tables' : tables}`;
  return queryProblem(sql, fault.line, expected, remedy === undefined ? got : `${got}; ${remedy}`);
}

/** What sums of whole numbers are, of 128 bits, no file holds: as numbers of 64 bits, or not. */
function storedItem({ name, type }: ResultColumn): string {
  const own = quoteName(name);
  if (!/HUGEINT/.test(type)) return own;
  return `CAST(${own} AS ${type.replaceAll(/U?HUGEINT/g, 'BIGINT')}) AS ${own}`;
}

function copyOptions(asked: QueryFormat): string {
  const list = ['USE_TMP_FILE false'];
  if (asked.format === 'parquet') return [...list, 'FORMAT parquet'].join(', ');
  const { delimiter, header = true, null: missing, compression = 'none' } = asked.csv ?? {};
  list.push('FORMAT csv', `HEADER ${header}`, `COMPRESSION ${compression}`);
  if (delimiter !== undefined) list.push(`DELIMITER ${quoteText(delimiter)}`);
  if (missing !== undefined) list.push(`NULLSTR ${quoteText(missing)}`);
  return list.join(', ');
}

/** DuckDB's words, and where they are of a column that is not there, those there are. */
function explained(
  sql: string,
  text: string,
  columns: ReadonlyMap<string, readonly string[]>,
): string {
  const got = briefly(text).replace(/[.!]$/, '');
  const [, named, column = named] =
    /\bcolumn named "(.+?)"|\bcolumn "(.+?)" (?:not found|does not exist)/i.exec(text) ?? [];
  if (column === undefined) return got;
  const lists = [...columns].map(([table, names]) => `${table} has ${closestText(column, names)}`);
  const quoted = sql.includes(quoteName(column))
    ? [`text stands in single quotes, ${quoteText(column)}`]
    : [];
  return [got, ...quoted, ...lists].join('; ');
}
