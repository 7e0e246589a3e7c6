/**
 * What the local backend asks of an engine that reads frames by chunks of rows. Implemented by
 * DuckDB (`duckdb/`). Invariant: the chunks of one read, laid end to end, are exactly the frame's
 * rows, in file and row order.
 */

import type { SqlParser } from '../../driver/frame/sql/parser.js';
import type { FrameSource, RawChunk, RawColumn } from '../../driver/ir/frame-engine.js';

export interface FrameReadOptions {
  /** Rows of every chunk but the last, and those that a cut ends. */
  readonly rowsPerChunk: number;
  /** Rows at which a chunk ends in any case, ascending. Default: none. */
  readonly cuts?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface FrameReader {
  /** Parses expressions, for engines that have no parser of DuckDB's SQL. */
  readonly sql?: SqlParser;
  /**
   * Reads the columns in one scan. Leaving the iteration early ends the scan.
   * @throws DataError when a file can't be read or holds other rows than the source says
   */
  read(
    source: FrameSource,
    columns: readonly RawColumn[],
    options: FrameReadOptions,
  ): AsyncIterable<RawChunk>;
}

/** The chunk with these of its columns, which are not copied. */
export function columnsAt(chunk: RawChunk, positions: readonly number[]): RawChunk {
  const columns = positions.map((position) => chunk.columns[position]!);
  const { hashed } = chunk;
  if (hashed === undefined) return { ...chunk, columns };
  return { ...chunk, columns, hashed: positions.map((position) => hashed[position]) };
}
