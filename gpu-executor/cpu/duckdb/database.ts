/**
 * The one DuckDB database of an engine: in memory, started at first use, closed once. Invariant: it
 * never loads an extension from the network, spills only into its own temporary folder, counts time
 * in UTC, and keeps row order. Every statement goes through here, so that a DuckDB message becomes
 * one of our errors in exactly one place.
 */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type * as DuckDB from '@duckdb/node-api';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { ConfigError, DataError, ResourceError } from '../../../driver/errors.js';
import { duckDbLiteral as quoteText } from '../../../driver/frame/sql/literal.js';
import { ownPath, SCRATCH } from '../../../driver/support/leftovers.js';
import { loadPackage } from '../../../driver/support/load-package.js';
import { memorySetting, memoryShares } from '../../../driver/support/memory.js';
import { formatBytes } from '../../../driver/support/size.js';

export interface DatabaseOptions {
  /** Memory DuckDB may use before it spills to disk. @units bytes, default its process share */
  readonly memoryBytes?: number;
  /** Default 2. */
  readonly threads?: number;
  /** All that statements may touch of disk and network. Default: whatever they name. */
  readonly onlyPaths?: readonly string[];
}

export type Row = readonly unknown[];

/** A connection for one stream of rows at a time. */
export interface StreamConnection {
  readonly connection: DuckDBConnection;
  /** @param isOver whether what it streamed was read to its end */
  readonly giveBack: (isOver: boolean) => Promise<void>;
}

/** Streams at a time that are computed ahead of who reads them. */
const STREAMS = 4;
/** How far ahead: about a row group of twenty columns for each thread. @units bytes */
const STREAM_BYTES = 48_000_000;
/** As many of them fit DuckDB's memory, whatever else it does. */
const STREAM_SHARE = 16;

interface Opened {
  readonly instance: DuckDBInstance;
  readonly folder: string;
  /** Idle ones of those that stream ahead, a setting that can't be made any more. */
  readonly streams: DuckDBConnection[];
}

export class Database {
  readonly #options: DatabaseOptions;
  #opened: Promise<Opened> | undefined;
  #shared: Promise<DuckDBConnection> | undefined;
  #closed = false;
  /** Statements run that scan data. */
  scans = 0;

  constructor(options: DatabaseOptions) {
    this.#options = options;
  }

  /** Starts the database if nothing has. */
  async start(): Promise<void> {
    await this.#started();
  }

  /** A new connection, for tables or a stream of its own; the caller disconnects it. */
  async connect(): Promise<DuckDBConnection> {
    return (await this.#started()).instance.connect();
  }

  /** A connection whose rows are computed ahead, while there are any; the caller gives it back. */
  async connectStream(): Promise<StreamConnection> {
    const opening = this.#started();
    const { instance, streams } = await opening;
    const kept = streams.pop();
    const connection = kept ?? (await instance.connect());
    const giveBack = async (isOver: boolean): Promise<void> => {
      const isIdle = isOver || (kept !== undefined && (await endStream(kept)));
      if (kept !== undefined && isIdle && this.#opened === opening) streams.push(kept);
      else connection.disconnectSync();
    };
    return { connection, giveBack };
  }

  #started(): Promise<Opened> {
    this.checkOpen();
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /**
   * Runs one statement and returns its rows; cells are JavaScript values, 64-bit integers are
   * bigint.
   * @throws DataError, ResourceError: see `toDataError`
   */
  async query(sql: string, what: string): Promise<Row[]> {
    this.checkOpen();
    this.#shared ??= this.connect();
    const connection = await this.#shared;
    try {
      const reader = await connection.runAndReadAll(sql);
      return reader.getRowsJS();
    } catch (cause) {
      this.noteFailure(cause);
      throw toDataError(cause, what);
    }
  }

  /** After an internal error DuckDB refuses all statements; the next call gets a new database. */
  noteFailure(cause: unknown): void {
    if (!/database has been invalidated|^INTERNAL Error/i.test(String((cause as Error).message))) {
      return;
    }
    this.#shut();
  }

  /** Ends the database. Idempotent; streams still open end with an error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#shut();
  }

  #shut(): void {
    const [opened, shared] = [this.#opened, this.#shared];
    this.#opened = undefined;
    this.#shared = undefined;
    void opened?.then(
      async ({ instance, folder, streams }) => {
        (await shared)?.disconnectSync();
        for (const connection of streams.splice(0)) connection.disconnectSync();
        instance.closeSync();
        rmSync(folder, { recursive: true, force: true });
      },
      () => undefined,
    );
  }

  /** @throws ConfigError after `close` */
  checkOpen(): void {
    if (!this.#closed) return;
    throw new ConfigError('duckdb: expected an open engine, got one that was closed', {
      key: 'engine',
    });
  }

  async #open(): Promise<Opened> {
    const { memoryBytes = memoryShares().duckdbBytes, threads = 2, onlyPaths } = this.#options;
    let api: typeof DuckDB;
    try {
      api = loadPackage('@duckdb/node-api') as typeof DuckDB;
    } catch (cause) {
      throw new ConfigError(
        `duckdb: expected the package @duckdb/node-api with its library for ${process.platform}-${process.arch}, got none that loads; run npm install again`,
        { key: '@duckdb/node-api' },
        { cause },
      );
    }
    // DuckDB makes the folder when it first spills, so a process that never does leaves nothing
    // behind.
    const folder = ownPath(tmpdir(), SCRATCH.duckdb);
    const instance = await api.DuckDBInstance.create(':memory:', {
      memory_limit: `${Math.max(64_000_000, Math.round(memoryBytes))}B`,
      threads: String(threads),
      temp_directory: folder,
      preserve_insertion_order: 'true',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
      // It tells files by path and a coarse time, so it can answer with what a file held before.
      enable_external_file_cache: 'false',
    });
    const connection = await instance.connect();
    await connection.run(`SET GLOBAL TimeZone = 'UTC'`);
    if (onlyPaths !== undefined) {
      await connection.run(`SET allowed_paths = [${onlyPaths.map(quoteText).join(', ')}]`);
      await connection.run('SET enable_external_access = false');
    }
    const streams = await Promise.all(
      Array.from({ length: STREAMS }, async () => {
        const stream = await instance.connect();
        const bytes = Math.min(STREAM_BYTES, Math.floor(memoryBytes / STREAM_SHARE));
        await stream.run(`SET streaming_buffer_size = '${bytes}B'`);
        return stream;
      }),
    );
    await connection.run('SET lock_configuration = true');
    connection.disconnectSync();
    return { instance, folder, streams };
  }
}

/** The next statement of a connection ends what it still streams. @returns whether it did */
async function endStream(connection: DuckDBConnection): Promise<boolean> {
  return connection.run('SELECT 1').then(
    () => true,
    () => false,
  );
}

/**
 * A DuckDB error as ours: out of memory or disk is a `ResourceError`, everything else says what the
 * data are not.
 * @param what what was being done, as the subject of the message: `data: reading /a/b.parquet`
 */
export function toDataError(cause: unknown, what: string): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof DataError || cause instanceof ConfigError) return cause;
  const short = briefly(text);
  if (/^(Out of Memory|OutOfMemory)/i.test(text) || /No space left|failed to offload/i.test(text)) {
    const { bytes, from } = memorySetting();
    return new ResourceError(
      `${what}: expected to fit DuckDB's share of the memory (${formatBytes(memoryShares().duckdbBytes)} of ${formatBytes(bytes)}, ${from}) and the temporary disk, got ${short}; set REPRISE_MEMORY to more, or read fewer columns at a time`,
      { resource: 'memory', availableBytes: memoryShares().duckdbBytes },
      { cause },
    );
  }
  return new DataError(`${what}: expected readable data, got ${short}`, {}, { cause });
}

/** The first lines of a DuckDB message, without its hints on how to call DuckDB itself. */
export function briefly(message: string): string {
  const lines = message.split('\n').map((line) => line.trim());
  const end = lines.findIndex(
    (line, i) =>
      i > 0 && /^(Possible (fixes|solutions)|Candidate|LINE \d|\* |file = |Hint)/i.test(line),
  );
  const kept = (end < 0 ? lines : lines.slice(0, end)).filter((line) => line !== '');
  const text = kept
    .slice(0, 3)
    .join(' ')
    .replace(/^(\w+ ){1,3}Error: /, '');
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

export { quoteText };

/** A SQL identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
