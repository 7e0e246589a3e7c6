/**
 * A table of numbers that grows block by block and is then written to a file, beside columns of the
 * data its rows were made from. Invariants: rows keep their order; what does not fit DuckDB's share
 * of the memory spills to its own folder; the table is gone when it is closed.
 */

import type { DuckDBConnection } from '@duckdb/node-api';
import type { FrameSource } from '../../../driver/ir/frame-engine.js';
import { appendNumbers } from './append.js';
import { type Database, quoteName, quoteText, type Row, toDataError } from './database.js';
import type { Layouts } from './layout.js';
import { fileRelation } from './scan.js';

/** A column of the file: its name and, in SQL, its value by the table's columns `c0`, `c1`, .. */
export interface WrittenColumn {
  readonly name: string;
  readonly sql: string;
}

export type WrittenFormat = 'parquet' | 'csv';

export interface NumberTableOptions {
  /** Of numbers. */
  readonly width: number;
  readonly columns: readonly WrittenColumn[];
  /** Columns of the data to write before them. */
  readonly keep: readonly string[];
}

export class NumberTable {
  readonly #connection: DuckDBConnection;
  readonly #layouts: Layouts;
  readonly #options: NumberTableOptions;
  #isMade = false;

  private constructor(connection: DuckDBConnection, layouts: Layouts, options: NumberTableOptions) {
    this.#connection = connection;
    this.#layouts = layouts;
    this.#options = options;
  }

  static async open(
    database: Database,
    layouts: Layouts,
    options: NumberTableOptions,
  ): Promise<NumberTable> {
    const connection = await database.connect();
    return new NumberTable(connection, layouts, options);
  }

  /**
   * Takes the rows of one source: numbers by column, blocks in the order of its rows.
   * @param limit rows to take, of a source that is read no further then
   * @throws DataError for data that are not as the source says, ResourceError
   */
  async add(
    source: FrameSource,
    blocks: AsyncIterable<readonly Float64Array[]>,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const cells = Array.from({ length: this.#options.width }, (_, c) => `c${c} DOUBLE`);
    // Row numbers of a source are no column of it.
    await this.#run(`CREATE OR REPLACE TEMP TABLE numbers (${cells.join(', ')})`);
    let rows = 0;
    const appender = await this.#connection.createAppender('numbers', 'main', 'temp');
    try {
      for await (const block of blocks) {
        const wanted = Math.min(block[0]!.length, limit - rows);
        appendNumbers(appender, { rows: wanted, width: block.length }, (column, from, items) => {
          items.set(block[column]!.subarray(from, from + items.length));
        });
        rows += wanted;
        if (rows >= limit) break;
      }
    } finally {
      appender.closeSync();
    }
    const { keep, columns } = this.#options;
    const made = columns.map(({ name, sql }) => `${sql} AS ${quoteName(name)}`);
    const items = [...keep.map((name) => `data.${quoteName(name)}`), ...made].join(', ');
    const from =
      keep.length === 0
        ? 'numbers'
        : `${await this.#relation(source, rows)} POSITIONAL JOIN numbers`;
    const begin = this.#isMade ? 'INSERT INTO written' : 'CREATE TEMP TABLE written AS';
    await this.#run(`${begin} SELECT ${items} FROM ${from}`);
    this.#isMade = true;
    return rows;
  }

  /** Writes all rows to a file. @throws ResourceError, DataError */
  async copyTo(path: string, format: WrittenFormat): Promise<void> {
    const options = format === 'csv' ? 'FORMAT csv, HEADER true' : 'FORMAT parquet';
    await this.#run(`COPY written TO ${quoteText(path)} (${options})`);
  }

  /** The rows as texts, missing values empty. */
  async texts(): Promise<string[][]> {
    const result = await this.#connection.runAndReadAll('SELECT COLUMNS(*)::VARCHAR FROM written');
    return (result.getRowsJS() as Row[]).map((row) => row.map((cell) => String(cell ?? '')));
  }

  close(): void {
    this.#connection.disconnectSync();
  }

  /** The rows of the source's files, in order. */
  async #relation(source: FrameSource, rows: number): Promise<string> {
    const layout = await this.#layouts.source(source);
    const names = this.#options.keep.map(quoteName).join(', ');
    const filled = layout.files.filter((file) => file.rows > 0);
    // Of files without rows one says the types of the columns.
    const parts = (filled.length > 0 ? filled : layout.files.slice(0, 1)).map(
      (file) => `(SELECT ${names} FROM ${fileRelation(file, layout)})`,
    );
    return `(SELECT * FROM (${parts.join(' UNION ALL ')}) LIMIT ${rows}) AS data`;
  }

  async #run(sql: string): Promise<void> {
    try {
      await this.#connection.run(sql);
    } catch (cause) {
      throw toDataError(cause, 'predict: writing rows');
    }
  }
}
