/**
 * The frame engine of this machine: DuckDB in this process. It describes and profiles frames for
 * the driver and reads their raw columns for the CPU backend. Invariant: nothing is opened before
 * first use, and expressions from a job file reach DuckDB only after `ExpressionChecker` has passed
 * them.
 */
import type * as DuckDB from '@duckdb/node-api';
import { DataError } from '../../../driver/errors.js';
import { listDataFiles, withoutFileScheme } from '../../../driver/frame/files.js';
import { identifyFiles, readUnchanged, verifyUnchanged } from '../../../driver/frame/identity.js';
import { withPartitions } from '../../../driver/frame/partitions.js';
import { droppedRows, givenOptions } from '../../../driver/frame/read-options.js';
import type { SqlParser } from '../../../driver/frame/sql/parser.js';
import type {
  ColumnProfile,
  FrameDescription,
  FrameEngine,
  FrameSource,
  ProfileRequest,
  RawChunk,
  RawColumn,
  SqlText,
} from '../../../driver/ir/frame-engine.js';
import type { DescribeOptions } from '../../../driver/ir/read-options.js';
import type {
  AggregateValues,
  TableAggregates,
  TableColumn,
} from '../../../driver/ir/table-aggregates.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { loadPackage } from '../../../driver/support/load-package.js';
import type { FrameReader, FrameReadOptions } from '../frame-reader.js';
import { aggregateTable } from './aggregate.js';
import { ExpressionChecker } from './checker.js';
import { Database, type DatabaseOptions } from './database.js';
import { frameColumn, Layouts } from './layout.js';
import { NumberTable, type NumberTableOptions } from './number-table.js';
import { profileSource } from './profile.js';
import { profileEachFile } from './profile-files.js';
import { readChunks } from './read.js';
import { type QueryInput, type QueryOptions, QuerySandbox, queryTextProblem } from './sandbox.js';
import { DuckDbParser } from './sql-parser.js';

export type DuckDbOptions = DatabaseOptions;

export class DuckDbEngine implements FrameEngine, FrameReader {
  readonly name = 'duckdb';
  readonly #database: Database;
  readonly #layouts: Layouts;
  readonly #checker: ExpressionChecker;
  /** See `FrameReader.sql`. */
  readonly sql: SqlParser;

  constructor(options: DuckDbOptions = {}) {
    this.#database = new Database(options);
    this.#layouts = new Layouts(this.#database);
    this.sql = new DuckDbParser(this.#database);
    this.#checker = new ExpressionChecker(this.#database, this.sql);
  }

  /** Starts the database, which the first call does otherwise. */
  start(): Promise<void> {
    return this.#database.start();
  }

  /** Statements so far that scanned data, for statistics or for matrices. */
  get scans(): number {
    return this.#database.scans;
  }

  /** See `FrameEngine.describe`. Costs a hash of new files, and a footer (Parquet) or scan each. */
  async describe(path: string, options: DescribeOptions = {}): Promise<FrameDescription> {
    this.#database.checkOpen();
    const given = givenOptions(options);
    if (path.startsWith('table://')) {
      throw new DataError(
        `data.table: expected engine spark for the table ${path.slice(8)}, got this machine; run with --engine spark, or give data.path`,
        { path },
      );
    }
    const listed = await listDataFiles(withoutFileScheme(path), options.format);
    const identified = await identifyFiles(listed.paths);
    const identities = withPartitions(identified, listed.root, given);
    const agreed = await this.#layouts.agreed(listed.format, identities, given);
    const columns = agreed.columns.map(frameColumn);
    const files = agreed.identities.map((file, i) => {
      return { ...file, rows: agreed.layout.files[i]!.rows };
    });
    const text = agreed.columns.flatMap(({ name, text }) => (text ? [{ name, ...text }] : []));
    const source = {
      format: listed.format,
      files,
      ...(given ? { options: given } : {}),
      ...(text.length > 0 ? { text } : {}),
    };
    // Each file that was looked at now was compared afterwards; of the others nothing was read.
    await this.#layouts.keep();
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    const { isUniform, dropped } = agreed;
    const warnings = [...agreed.warnings, ...droppedRows(dropped, rows, given?.dropMissing)];
    return { source, columns, rows, isUniform, warnings, dropped };
  }

  /** See `FrameEngine.profile`. */
  async profile(
    source: FrameSource,
    requests: readonly ProfileRequest[],
  ): Promise<ColumnProfile[]> {
    await verifyUnchanged(source);
    return readUnchanged(source, () => profileSource(this.#parts(), source, requests));
  }

  /** See `FrameEngine.profileFiles`. */
  async profileFiles(
    source: FrameSource,
    requests: readonly ProfileRequest[],
  ): Promise<ColumnProfile[][]> {
    await verifyUnchanged(source);
    return readUnchanged(source, () => profileEachFile(this.#parts(), source, requests));
  }

  /** See `FrameReader.read`. */
  read(
    source: FrameSource,
    columns: readonly RawColumn[],
    options: FrameReadOptions,
  ): AsyncIterable<RawChunk> {
    return readChunks(this.#parts(), source, columns, options);
  }

  /** Whether formulas are aggregates over these columns. @throws DataError with `expression` */
  checkAggregates(formulas: readonly SqlText[], columns: readonly TableColumn[]): Promise<void> {
    return this.#checker.checkAggregates(formulas, columns);
  }

  /** Aggregates over a table of numbers; formulas have passed `checkAggregates`. */
  aggregate(table: DenseMatrix, asked: TableAggregates): Promise<AggregateValues> {
    return aggregateTable(this.#database, table, asked);
  }

  /** A table to be written to a file; the caller closes it. */
  numberTable(options: NumberTableOptions): Promise<NumberTable> {
    return NumberTable.open(this.#database, this.#layouts, options);
  }

  /** Queries over these inputs alone; the caller closes it. */
  queries(inputs: readonly QueryInput[], options?: QueryOptions): Promise<QuerySandbox> {
    return QuerySandbox.open(this.#layouts, inputs, options);
  }

  /** Why a text is no query over tables of these names; undefined when it is one. */
  queryProblem(sql: string, tables: readonly string[]): Promise<string | undefined> {
    return queryTextProblem(this.#database, sql, tables);
  }

  /** Ends the database and removes its temporary files. Idempotent. */
  close(): void {
    this.#database.close();
  }

  #parts(): { database: Database; layouts: Layouts; checker: ExpressionChecker } {
    return { database: this.#database, layouts: this.#layouts, checker: this.#checker };
  }
}

/** Of DuckDB: `v1.5.5`. */
export function duckDbVersion(): string {
  return (loadPackage('@duckdb/node-api') as typeof DuckDB).version();
}

/** A DuckDB engine; nothing is started before its first call. */
export function createDuckDbEngine(options: DuckDbOptions = {}): DuckDbEngine {
  return new DuckDbEngine(options);
}
