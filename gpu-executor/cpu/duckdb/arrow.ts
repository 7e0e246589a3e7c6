/**
 * Arrow IPC files and streams. DuckDB reads them only with an extension from the network, so a file
 * is converted once to Parquet (`<home>/arrow/<digest>-<version>.parquet`), batch by batch through
 * `apache-arrow`, and scanned as such ever after. Columns of nested or binary types are left out,
 * as no feature can be made of them.
 */
import { constants } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import type * as DuckDB from '@duckdb/node-api';
import type { DuckDBAppender, DuckDBValue } from '@duckdb/node-api';
import type {
  AsyncRecordBatchFileReader,
  DataType,
  RecordBatch,
  Schema,
  Vector,
} from 'apache-arrow';
import { DataError, ResourceError } from '../../../driver/errors.js';
import { env } from '../../../driver/support/env.js';
import { loadPackage } from '../../../driver/support/load-package.js';
import { makeFolder } from '../../../driver/support/make-folder.js';
import { memoryShares } from '../../../driver/support/memory.js';
import { type Database, quoteName, quoteText, toDataError } from './database.js';
import { decodeLz4Frame } from './lz4.js';
import { inspectParquet } from './parquet.js';
import { prune } from './prune.js';
import type { FileLayout } from './scan.js';
import { uniqueNames } from './unique-names.js';

type Arrow = typeof import('apache-arrow');

const {
  DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampValue,
} = loadPackage('@duckdb/node-api') as typeof DuckDB;

/** Raised when a file is converted to other columns. */
const VERSION = 2;
const CHUNK_ROWS = 2048;
/** Every message of the format begins with it since Arrow 0.15. */
const CONTINUATION = 0xffffffff;

/** @throws DataError naming the file when it is not whole Arrow IPC data */
export async function inspectArrow(
  database: Database,
  path: string,
  digest: string,
): Promise<FileLayout> {
  const folder = join(env.home(), 'arrow');
  const converted = join(folder, `${digest}-${VERSION}.parquet`);
  if ((await stat(converted).catch(() => undefined)) === undefined) {
    await makeFolder(folder);
    await convert(database, path, converted);
    await prune(folder, converted, '.parquet');
  } else {
    const now = new Date();
    await utimes(converted, now, now).catch(() => undefined);
  }
  return inspectParquet(database, converted);
}

async function convert(database: Database, path: string, target: string): Promise<void> {
  const arrow = await import('apache-arrow');
  const table = `arrow_${randomBytes(6).toString('hex')}`;
  const temporary = `${target}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const connection = await database.connect();
  let reader: BatchReader | undefined;
  try {
    reader = await openReader(arrow, path);
    const columns = columnsOf(arrow, reader.schema, path);
    const definition = columns.map(({ name, sqlType }) => `${quoteName(name)} ${sqlType}`);
    await connection.run(`CREATE TABLE ${table} (${definition.join(', ')})`);
    const appender = await connection.createAppender(table);
    for await (const batch of reader.batches) append(arrow, appender, batch, columns);
    appender.closeSync();
    await connection.run(`COPY ${table} TO ${quoteText(temporary)} (FORMAT parquet)`);
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { force: true });
    if (cause instanceof DataError) throw cause;
    const own = toDataError(cause, `data: reading the Arrow file ${path}`);
    if (own instanceof ResourceError) throw own;
    throw new DataError(
      `data: expected a whole Arrow IPC file at ${path}, got ${cause instanceof TypeError ? 'bytes that do not decode' : (cause as Error).message.replace(/\.$/, '')}: it is truncated, damaged or still being written`,
      { path },
      { cause },
    );
  } finally {
    await reader?.close().catch(() => undefined);
    await connection.run(`DROP TABLE IF EXISTS ${table}`).catch(() => undefined);
    connection.disconnectSync();
  }
}

interface ArrowColumn {
  readonly name: string;
  readonly index: number;
  readonly sqlType: string;
  /** From what `apache-arrow` returns to what a DuckDB vector takes. */
  readonly convert: (value: unknown) => DuckDBValue;
}

interface BatchReader {
  readonly batches: AsyncIterable<RecordBatch>;
  readonly schema: Schema | undefined;
  readonly close: () => Promise<void>;
}

/** A reader of the IPC file format (starts with ARROW1, has a footer) or the stream format. */
async function openReader(arrow: Arrow, path: string): Promise<BatchReader> {
  const handle = await open(path, 'r');
  try {
    const head = Buffer.alloc(6);
    const { bytesRead } = await handle.read(head, 0, 6, 0);
    const isFile = head.toString('latin1') === 'ARROW1';
    if (!isFile && head.readUInt32LE(0) !== CONTINUATION) {
      const start = JSON.stringify(head.toString('latin1', 0, bytesRead));
      throw new DataError(
        `data: expected an Arrow IPC file or stream at ${path}, got ${bytesRead === 0 ? 'an empty file' : `bytes that begin with ${start}`}; say data.format if it is another format`,
        { path },
      );
    }
    registerCodecs(arrow, path);
    const reader = isFile
      ? await arrow.RecordBatchReader.from(handle)
      : await arrow.RecordBatchReader.from(handle.createReadStream({ start: 0, autoClose: false }));
    await reader.open();
    const batches = reader.isFile()
      ? batchesOf(reader as AsyncRecordBatchFileReader)
      : (reader as AsyncIterable<RecordBatch>);
    return { batches, schema: reader.schema, close: () => handle.close() };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

/** The library's own iterator never ends where the footer leads to another message than a batch. */
async function* batchesOf(reader: AsyncRecordBatchFileReader): AsyncGenerator<RecordBatch> {
  for (let i = 0; i < reader.numRecordBatches; i++) {
    const batch = await reader.readRecordBatch(i);
    if (batch === null) throw new Error(`no batch of rows where the ${i + 1}. should be`);
    yield batch;
  }
}

/** Buffers of an IPC file may be compressed; `apache-arrow` brings no codec of its own. */
function registerCodecs(arrow: Arrow, path: string): void {
  const { compressionRegistry, CompressionType } = arrow;
  // A few bytes may say that they are many; what takes more than DuckDB has does not fit it either.
  const maxOutputLength = Math.min(memoryShares().duckdbBytes, constants.MAX_LENGTH);
  const decodeLz4 = (data: Uint8Array): Uint8Array => decodeLz4Frame(data, maxOutputLength);
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: decodeLz4 });
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: typeof zlib.inflateSync };
  compressionRegistry.set(CompressionType.ZSTD, {
    decode: (data) => {
      if (zstdDecompressSync !== undefined) return zstdDecompressSync(data, { maxOutputLength });
      throw new DataError(
        `data: expected LZ4 or no compression in the Arrow file ${path}, got zstd, which takes Node 22.15 or later; write it with LZ4`,
        { path },
      );
    },
  });
}

function columnsOf(arrow: Arrow, schema: Schema | undefined, path: string): ArrowColumn[] {
  const names = uniqueNames((schema?.fields ?? []).map((field) => field.name));
  const columns = (schema?.fields ?? []).flatMap((field, index) => {
    const type = arrow.DataType.isDictionary(field.type) ? field.type.dictionary : field.type;
    const how = conversion(arrow, type);
    return how === undefined ? [] : [{ name: names[index]!, index, ...how }];
  });
  if (columns.length === 0) {
    throw new DataError(
      `data: expected an Arrow file with columns of numbers, text, booleans or times at ${path}, got none; say data.format if it is another format`,
      { path },
    );
  }
  return columns;
}

function conversion(
  arrow: Arrow,
  type: DataType,
): Pick<ArrowColumn, 'sqlType' | 'convert'> | undefined {
  const { DataType: T } = arrow;
  if (T.isInt(type)) {
    const sqlType = type.bitWidth === 64 && !type.isSigned ? 'UBIGINT' : 'BIGINT';
    return { sqlType, convert: (value) => BigInt(value as number | bigint) };
  }
  if (T.isFloat(type)) return { sqlType: 'DOUBLE', convert: (value) => value as number };
  if (T.isBool(type)) return { sqlType: 'BOOLEAN', convert: (value) => value as boolean };
  if (T.isUtf8(type) || T.isLargeUtf8(type)) {
    return { sqlType: 'VARCHAR', convert: (value) => value as string };
  }
  if (T.isNull(type)) return { sqlType: 'VARCHAR', convert: () => null };
  // DuckDB has no wider ones, and doubles would make one of several ids.
  if (T.isDecimal(type) && type.precision <= WIDEST_DECIMAL) {
    const { precision, scale } = type;
    return {
      sqlType: `DECIMAL(${precision}, ${scale})`,
      convert: (value) => new DuckDBDecimalValue(wholeOf(value as Uint32Array), precision, scale),
    };
  }
  if (T.isDate(type)) {
    return {
      sqlType: 'DATE',
      convert: (value) => new DuckDBDateValue(Math.floor(Number(value) / 86_400_000)),
    };
  }
  if (T.isTimestamp(type)) {
    const micros = MICROS[type.unit];
    return {
      sqlType: micros === undefined ? 'TIMESTAMP_NS' : 'TIMESTAMP',
      convert: (value) =>
        micros === undefined
          ? new DuckDBTimestampNanosecondsValue(value as bigint)
          : new DuckDBTimestampValue((value as bigint) * micros),
    };
  }
  return undefined;
}

/** Microseconds of Arrow's units of time: seconds, milliseconds, microseconds. */
const MICROS: readonly (bigint | undefined)[] = [1_000_000n, 1000n, 1n];

/** Digits of DuckDB's widest decimals. */
const WIDEST_DECIMAL = 38;

/** A signed number from its words of 32 bits, the lowest first. */
function wholeOf(words: Uint32Array): bigint {
  const bits = words.reduceRight((high, word) => (high << 32n) | BigInt(word), 0n);
  return BigInt.asIntN(32 * words.length, bits);
}

/** A cell as `convert` takes it: times as stored, since a float64 of milliseconds rounds them. */
function cellOf(arrow: Arrow, vector: Vector, row: number): unknown {
  const value: unknown = vector.get(row);
  if (value === null || value === undefined) return null;
  const [data] = vector.data;
  if (arrow.DataType.isTimestamp(vector.type)) return data?.values[row];
  if (
    arrow.DataType.isDictionary(vector.type) &&
    arrow.DataType.isTimestamp(vector.type.dictionary)
  ) {
    return data?.dictionary?.data[0]?.values[data.values[row]];
  }
  return value;
}

function append(
  arrow: Arrow,
  appender: DuckDBAppender,
  batch: RecordBatch,
  columns: readonly ArrowColumn[],
): void {
  const types = columns.map((_, i) => appender.columnType(i));
  const vectors = columns.map(({ index }) => batch.getChildAt(index) as Vector);
  for (let from = 0; from < batch.numRows; from += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, batch.numRows - from);
    const values = columns.map(({ convert: toDuck }, c) =>
      Array.from({ length: count }, (_, i) => {
        const value = cellOf(arrow, vectors[c]!, from + i);
        return value === null ? null : toDuck(value);
      }),
    );
    const chunk = DuckDBDataChunk.create(types, count);
    chunk.setColumns(values);
    appender.appendDataChunk(chunk);
  }
}
