/**
 * The cells of DuckDB's chunks, and the memory behind them. Its package copies every vector into a
 * buffer of its own, which V8 counts: over a file of 2 GB it collected the whole heap a hundred
 * times. So buffers are given up here as soon as their cells are copied. Nothing but a collection
 * ends a chunk itself, of which V8 counts nothing, so young garbage is collected by the bytes that
 * hang by it. Invariant: cells are valid until `release`, and no array of them has any after it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { DuckDBDataChunk } from '@duckdb/node-api';
import type Bindings from '@duckdb/node-bindings';
import { loadPackage } from '../../../driver/support/load-package.js';

/** Of chunks that are garbage, before they are collected. @units bytes */
const GARBAGE_BYTES = 32_000_000;
/** Rows that a vector has room for. */
const VECTOR_ROWS = 2048;

let bindings: typeof Bindings | undefined;
let nowhere: MessagePort | undefined;
let collectGarbage: ((options: { readonly type: 'minor' }) => void) | undefined;
let garbageBytes = 0;

/** The cells of one reader of chunks, of one chunk at a time. */
export class ChunkCells {
  readonly #buffers: ArrayBuffer[] = [];
  #bytes = 0;

  /** A column of DOUBLE, NaN where missing; its cells may be written to. */
  numbers({ chunk, rowCount }: DuckDBDataChunk, column: number): Float64Array {
    bindings ??= loadPackage('@duckdb/node-bindings') as typeof Bindings;
    const vector = bindings.data_chunk_get_vector(chunk, column);
    const { buffer, byteOffset } = bindings.vector_get_data(vector, 8 * rowCount);
    const cells = new Float64Array(buffer, byteOffset, rowCount);
    this.#buffers.push(buffer as ArrayBuffer);
    this.#bytes += 8 * VECTOR_ROWS;
    // Null where no cell of the vector is missing.
    const present: Uint8Array | null = bindings.vector_get_validity(
      vector,
      8 * Math.ceil(rowCount / 64),
    );
    if (present !== null) markMissing(cells, present);
    return cells;
  }

  /** Gives up the cells since the last call. */
  release(): void {
    if (this.#buffers.length === 0) return;
    // A closed port takes what is transferred to it and drops it.
    if (nowhere === undefined) {
      nowhere = new MessageChannel().port1;
      nowhere.close();
    }
    nowhere.postMessage(null, this.#buffers);
    this.#buffers.length = 0;
    garbageBytes += this.#bytes;
    this.#bytes = 0;
    if (garbageBytes < GARBAGE_BYTES) return;
    garbageBytes = 0;
    collectGarbage ??= garbageCollector();
    collectGarbage({ type: 'minor' });
  }
}

/** @param present a bit a cell, 0 where it is missing */
function markMissing(cells: Float64Array, present: Uint8Array): void {
  for (const [byte, bits] of present.entries()) {
    if (bits === 0xff) continue;
    const end = Math.min(cells.length, 8 * (byte + 1));
    for (let i = 8 * byte; i < end; i++) if (((bits >> (i % 8)) & 1) === 0) cells[i] = Number.NaN;
  }
}

/** V8's own, which it shows to contexts that are made after it was told to. */
function garbageCollector(): (options: { readonly type: 'minor' }) => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
}
