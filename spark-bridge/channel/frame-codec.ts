/**
 * Frames to bytes and back (layout in `wire.ts`). Invariant: `decodeFrame` trusts nothing it reads:
 * lengths are checked against the bytes that came before anything is sliced, and payloads come back
 * as views, not copies.
 */
import { ExecutionError } from '../../driver/errors.js';
import { cellBytes, type DType } from '../../driver/ir/dtype.js';
import type { Cells } from '../../driver/ir/value.js';
import type { WireJson } from './wire.js';

const MAGIC = 0x31525052;
const PREFIX = 8;

const pad = (length: number): number => (8 - (length % 8)) % 8;

/** The parts of a frame in order, ready to write without copying payloads into one buffer. */
export function encodeFrame(
  header: { readonly payloads: readonly number[] },
  payloads: readonly Uint8Array[],
): Uint8Array[] {
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const length = json.length + pad(json.length);
  const head = Buffer.alloc(PREFIX + length, 0x20);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(length, 4);
  json.copy(head, PREFIX);
  const parts: Uint8Array[] = [head];
  for (const payload of payloads) {
    parts.push(payload);
    const rest = pad(payload.length);
    if (rest > 0) parts.push(new Uint8Array(rest));
  }
  return parts;
}

/**
 * Header and payloads of a frame.
 * @throws ExecutionError when the bytes are no frame or end early
 */
export function decodeFrame<H extends { readonly payloads: readonly number[] }>(
  bytes: Uint8Array,
): { readonly header: H; readonly payloads: readonly Uint8Array[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < PREFIX || view.getUint32(0, true) !== MAGIC) {
    throw damaged(`the mark RPR1, got ${bytes.length} bytes without it`);
  }
  const headerLength = view.getUint32(4, true);
  if (PREFIX + headerLength > bytes.length) {
    throw damaged(`a header of ${headerLength} bytes, got ${bytes.length - PREFIX}`);
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + PREFIX, headerLength).toString('utf8');
  let header: H;
  try {
    header = JSON.parse(text) as H;
  } catch {
    throw damaged('a JSON header');
  }
  if (header === null || typeof header !== 'object' || !Array.isArray(header.payloads)) {
    throw damaged('a header that lists its payloads');
  }
  const payloads: Uint8Array[] = [];
  let at = PREFIX + headerLength;
  for (const length of header.payloads) {
    if (!Number.isSafeInteger(length) || length < 0 || at + length > bytes.length) {
      throw damaged(`a payload of ${length} bytes, got ${bytes.length - at}`);
    }
    payloads.push(bytes.subarray(at, at + length));
    at += length + pad(length);
  }
  return { header, payloads };
}

function damaged(expected: string): ExecutionError {
  return new ExecutionError(
    `shim frame: expected ${expected}; driver and shim may be of different versions`,
    { op: 'decodeFrame', backend: 'spark' },
  );
}

/** The cells of a matrix as payload bytes, uncopied. Node's platforms are little-endian. */
export function cellsToBytes(cells: Cells): Uint8Array {
  return new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);
}

/** Payload bytes as cells; copies only when the bytes are not aligned. */
export function bytesToCells(bytes: Uint8Array): Float64Array;
export function bytesToCells(bytes: Uint8Array, dtype: DType): Cells;
export function bytesToCells(bytes: Uint8Array, dtype: DType = 'float64'): Cells {
  const { buffer, byteOffset } = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const count = bytes.length / cellBytes({ dtype });
  return dtype === 'float32'
    ? new Float32Array(buffer, byteOffset, count)
    : new Float64Array(buffer, byteOffset, count);
}

/** A number of a header, which spells out what JSON can't write. */
export function toNumber(value: WireJson): number {
  return typeof value === 'number' ? value : Number((value as { $num: string }).$num);
}
