/**
 * Reads raw columns of a frame, file by file in the source's order, as chunks of a fixed number of
 * rows. Invariant: the chunks hold exactly the rows the source declares, or the read ends with a
 * `DataError` naming the file that has others. DuckDB hands out 2048 rows at a time; each distinct
 * expression is computed once and its array shared.
 */
import { setMaxListeners } from 'node:events';
import type { DuckDBConnection } from '@duckdb/node-api';
import { DataError } from '../../../driver/errors.js';
import { causeOf, isRemote, verifyUnchanged } from '../../../driver/frame/identity.js';
import type { CsrBuilder } from '../../../driver/ir/csr.js';
import type { FrameSource, RawChunk, RawColumn } from '../../../driver/ir/frame-engine.js';
import { TextHasher } from '../../../driver/operators/hash-text.js';
import { columnsAt, type FrameReadOptions } from '../frame-reader.js';
import { type ColumnReader, readerOf } from './categories.js';
import type { ExpressionChecker } from './checker.js';
import { ChunkCells } from './chunk-cells.js';
import { type Database, toDataError } from './database.js';
import { expressionTypes } from './expression-types.js';
import type { Layouts } from './layout.js';
import { fileRelation } from './scan.js';

/** What reading needs of the engine. */
export interface ReadContext {
  readonly database: Database;
  readonly layouts: Layouts;
  readonly checker: ExpressionChecker;
}

/**
 * Columns one statement reads of a columnar format: of Parquet, DuckDB reads 10,000 in one
 * statement in 12 s, in ten in 3 s. Text formats parse whole rows in every statement.
 */
const STATEMENT_COLUMNS = 1000;

/** See `FrameReader.read`. */
export async function* readChunks(
  context: ReadContext,
  source: FrameSource,
  columns: readonly RawColumn[],
  options: FrameReadOptions,
): AsyncGenerator<RawChunk> {
  const isText = source.format === 'csv' || source.format === 'jsonl';
  if (isText || columns.length <= STATEMENT_COLUMNS) {
    yield* readColumns(context, source, columns, options);
    return;
  }
  const signal = options.signal && AbortSignal.any([options.signal]);
  // Each statement listens.
  if (signal !== undefined) setMaxListeners(0, signal);
  const own = { ...options, ...(signal ? { signal } : {}) };
  const groups: AsyncGenerator<RawChunk>[] = [];
  for (let from = 0; from < columns.length; from += STATEMENT_COLUMNS) {
    const some = columns.slice(from, from + STATEMENT_COLUMNS);
    groups.push(readColumns(context, source, some, own));
  }
  try {
    for (;;) {
      const parts = await Promise.all(groups.map((group) => group.next()));
      // All cut the same rows alike, so they end together.
      if (parts[0]!.done) return;
      const chunks = parts.map((part) => part.value as RawChunk);
      const release = (): void => {
        for (const chunk of chunks) chunk.release?.();
      };
      yield {
        rows: chunks[0]!.rows,
        columns: chunks.flatMap((chunk) => chunk.columns),
        hashed: chunks.flatMap((chunk) => chunk.hashed ?? chunk.columns.map(() => undefined)),
        release,
      };
    }
  } finally {
    await Promise.all(groups.map((group) => group.return(undefined)));
  }
}

/** As `readChunks`, in one statement a file. */
async function* readColumns(
  context: ReadContext,
  source: FrameSource,
  columns: readonly RawColumn[],
  options: FrameReadOptions,
): AsyncGenerator<RawChunk> {
  const { signal } = options;
  signal?.throwIfAborted();
  const layout = await context.layouts.source(source);
  const plan = await planReaders(context, source, columns);
  await verifyUnchanged(source);
  const assembler = new Assembler(plan.readers, options, rowsOf(source));
  const { connection, giveBack } = await context.database.connectStream();
  const interrupt = (): void => connection.interrupt();
  signal?.addEventListener('abort', interrupt);
  let isOver = false;
  try {
    for (const reader of plan.readers) if (reader.prepare) await connection.run(reader.prepare);
    context.database.scans++;
    const select = plan.readers.map((reader) => reader.select).join(', ') || '0';
    for (let f = 0; f < layout.files.length; f++) {
      const file = source.files[f]!;
      const sql = `SELECT ${select} FROM ${fileRelation(layout.files[f]!, layout)}`;
      let rows = 0;
      const parts = streamParts(connection, sql, plan.readers, signal);
      for await (const part of namingFailures(context.database, parts, file.path, signal)) {
        rows += part.rows;
        if (rows > file.rows) break;
        for (const chunk of assembler.take(part)) yield columnsAt(chunk, plan.positions);
      }
      if (rows !== file.rows) {
        if (!isRemote(file.path)) await verifyUnchanged({ ...source, files: [file] });
        throw new DataError(
          `data: expected ${file.rows} rows in ${file.path}, got ${rows > file.rows ? 'more' : rows}; the file's own row count is wrong, write it again`,
          { path: file.path, expected: file.rows, got: rows },
        );
      }
    }
    isOver = true;
    await verifyUnchanged(source);
    const last = assembler.rest();
    if (last !== undefined) yield columnsAt(last, plan.positions);
  } catch (error) {
    signal?.throwIfAborted();
    throw await causeOf(source, error);
  } finally {
    signal?.removeEventListener('abort', interrupt);
    for (const { cleanUp } of plan.readers) {
      if (cleanUp) await connection.run(cleanUp).catch(() => undefined);
    }
    await giveBack(isOver);
  }
}

interface ReadPlan {
  readonly readers: readonly ColumnReader[];
  /** Which reader serves each requested column. */
  readonly positions: readonly number[];
}

async function planReaders(
  context: ReadContext,
  source: FrameSource,
  columns: readonly RawColumn[],
): Promise<ReadPlan> {
  const types = await expressionTypes(context, source, columns);
  const readers: ColumnReader[] = [];
  const known = new Map<string, number>();
  const positions = columns.map((column, i) => {
    const key = column.kind === 'number' ? `${column.sql}\n` : JSON.stringify(column);
    let position = known.get(key);
    if (position === undefined) {
      position = readers.length;
      known.set(key, position);
      readers.push(readerOf(column, types[i]!, position));
    }
    return position;
  });
  return { readers, positions };
}

interface Part {
  readonly rows: number;
  /** By reader: numbers and codes, or texts to be hashed. */
  readonly columns: readonly (Float64Array | Texts)[];
}

type Texts = readonly (string | null)[];

/** The rows of one statement, as DuckDB delivers them; the arrays are valid until the next part. */
async function* streamParts(
  connection: DuckDBConnection,
  sql: string,
  readers: readonly ColumnReader[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Part> {
  const result = await connection.stream(sql);
  const cells = new ChunkCells();
  let fetching = result.fetchChunk();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const chunk = await fetching;
      if (chunk === null || chunk.rowCount === 0) return;
      // The next one is got while this one is taken in.
      fetching = result.fetchChunk();
      fetching.catch(() => undefined);
      const columns = readers.map((reader, i) => {
        if (reader.hash !== undefined) return chunk.getColumnVector(i).toArray() as Texts;
        const items = cells.numbers(chunk, i);
        return reader.decode ? reader.decode(items) : items;
      });
      yield { rows: chunk.rowCount, columns };
      cells.release();
    }
  } finally {
    cells.release();
    // Of no consequence for a stream that is over.
    connection.interrupt();
    await fetching.catch(() => undefined);
  }
}

/** Turns what DuckDB throws into our errors; an interrupted statement into the signal's reason. */
async function* namingFailures(
  database: Database,
  parts: AsyncGenerator<Part>,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Part> {
  try {
    yield* parts;
  } catch (cause) {
    signal?.throwIfAborted();
    database.noteFailure(cause);
    throw toDataError(cause, `data: reading ${path}`);
  }
}

/** Lays parts end to end and cuts them into chunks of one size, and where it is told to. */
class Assembler {
  readonly #width: number;
  readonly #rowsPerChunk: number;
  readonly #rows: number;
  readonly #cuts: readonly number[];
  #nextCut = 0;
  #left: number;
  #columns: Float64Array[] = [];
  /** Of columns of text. */
  readonly #hashers: readonly (TextHasher | undefined)[];
  #hashed: readonly (CsrBuilder | undefined)[] = [];
  /** Columns of chunks that were given up. */
  readonly #free: Float64Array[][] = [];
  #filled = 0;
  /** Rows of the chunk being filled. */
  #size = 0;

  constructor(
    readers: readonly ColumnReader[],
    { rowsPerChunk, cuts = [] }: FrameReadOptions,
    rows: number,
  ) {
    this.#width = readers.length;
    this.#hashers = readers.map(({ hash }) => hash && new TextHasher(hash));
    this.#rowsPerChunk = rowsPerChunk;
    this.#rows = rows;
    this.#cuts = cuts;
    this.#left = rows;
  }

  *take(part: Part): Generator<RawChunk> {
    for (let from = 0; from < part.rows; ) {
      if (this.#columns.length === 0) this.#begin();
      const size = this.#size;
      const count = Math.min(part.rows - from, size - this.#filled);
      for (let j = 0; j < this.#width; j++) {
        const whole = part.columns[j]!;
        if (!(whole instanceof Float64Array)) {
          const [hasher, rows] = [this.#hashers[j]!, this.#hashed[j]!];
          for (let i = from; i < from + count; i++) hasher.addRow(whole[i]!, rows);
          continue;
        }
        const piece = count === part.rows ? whole : whole.subarray(from, from + count);
        this.#columns[j]!.set(piece, this.#filled);
      }
      this.#filled += count;
      from += count;
      if (this.#filled === size && this.#left > size) yield this.#end();
    }
  }

  /** The last chunk, held back until the source is known to be sound. */
  rest(): RawChunk | undefined {
    return this.#filled > 0 ? this.#end() : undefined;
  }

  #begin(): void {
    const row = this.#rows - this.#left;
    while (this.#nextCut < this.#cuts.length && this.#cuts[this.#nextCut]! <= row) this.#nextCut++;
    const cut = this.#cuts[this.#nextCut] ?? this.#rows;
    const size = Math.min(this.#rowsPerChunk, this.#left, cut - row);
    this.#size = size;
    const at = this.#free.findIndex(([column]) => column!.length === size);
    this.#columns =
      this.#free.splice(at, at < 0 ? 0 : 1)[0] ?? columnsOf(Math.max(1, this.#width), size);
    this.#filled = 0;
    this.#hashed = this.#hashers.map((hasher) => hasher?.newRows(size));
  }

  #end(): RawChunk {
    const columns = this.#columns;
    const hashed = this.#hashed.some((rows) => rows !== undefined)
      ? { hashed: this.#hashed.map((rows) => rows?.value) }
      : {};
    const release = (): void => void this.#free.push(columns);
    const chunk = { rows: this.#filled, columns, ...hashed, release };
    this.#left -= this.#filled;
    this.#columns = [];
    this.#filled = 0;
    return chunk;
  }
}

/** Columns side by side in one buffer, so that they are a matrix as they lie. */
function columnsOf(count: number, size: number): Float64Array[] {
  const all = new Float64Array(count * size);
  return Array.from({ length: count }, (_, j) => all.subarray(j * size, (j + 1) * size));
}

function rowsOf(source: FrameSource): number {
  return source.files.reduce((rows, file) => rows + file.rows, 0);
}
