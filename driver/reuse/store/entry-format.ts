/**
 * The bytes of a stored result. Invariant: what `readEntry` returns is what `writeEntry` was given
 * for the same key, or it throws: a digest over everything, the key included, ends the file, so
 * flipped bits, cut files, extra bytes and two swapped files are all found. Payloads go through in
 * chunks: no second copy, no limit of 2 GiB, no long pause.
 *
 * layout, little endian: magic (8) | header length u32 | header JSON | padding to 8 | payload |
 * SHA-256 (32)
 */
import { createHash, type Hash } from 'node:crypto';
import { nnzAttr, storedBytes, valueFromBytes, valueToBytes } from '../../ir/csr.js';
import { type DType, isDType } from '../../ir/dtype.js';
import type { LineageKey } from '../../ir/lineage-key.js';
import type { DenseMatrix } from '../../ir/value.js';
import type { OpenFile } from './file-system.js';
import { type Json, jsonText, parseJson } from './plain-json.js';

export type { Json } from './plain-json.js';

export type StoredValue = DenseMatrix | { readonly kind: 'json'; readonly json: Json };

/** What is known of a stored result besides its value. */
export interface StoredMeta {
  /** Operator or function that made it. */
  readonly op: string;
  /** Time to compute it. @units seconds */
  readonly seconds: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** The run that made it, where it has a name. */
  readonly origin?: string | undefined;
}

export interface StoredHeader extends StoredMeta {
  readonly key: LineageKey;
  readonly kind: 'dense' | 'json';
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  /** Of compressed rows: the cells that are held. */
  readonly nnz?: number;
}

/** The file is not what was written for this key: the store misses and puts it aside. */
export class DamagedEntry extends Error {}

/** The file is of another version of the format: a miss, and not ours to put aside. */
export class OtherFormat extends Error {}

export const FORMAT = 'RPRSv2\n\0';
const ANY_FORMAT = /^RPRSv\d\n\0$/;
const DIGEST_BYTES = 32;
const PREFIX_BYTES = 12;
const HEAD_BYTES = 4096;
const MAX_HEADER_BYTES = 1 << 16;
const CHUNK_BYTES = 1 << 22;

export interface EncodedEntry {
  readonly header: StoredHeader;
  readonly head: Uint8Array;
  readonly payload: Uint8Array;
  /** Of the whole file. */
  readonly bytes: number;
}

/** The file's parts; a dense matrix is not copied. @throws TypeError, RangeError if not plain data */
export function encodeEntry(key: LineageKey, value: StoredValue, meta: StoredMeta): EncodedEntry {
  const isDense = value.kind === 'dense';
  const header: StoredHeader = {
    key,
    kind: value.kind,
    rows: isDense ? value.rows : 0,
    cols: isDense ? value.cols : 0,
    dtype: isDense ? value.dtype : 'float64',
    op: meta.op,
    seconds: Number.isFinite(meta.seconds) ? meta.seconds : 0,
    createdAt: meta.createdAt,
    ...(isDense && nnzAttr(value)),
    ...(meta.origin === undefined ? {} : { origin: meta.origin }),
  };
  const text = Buffer.from(JSON.stringify(header));
  const padding = (8 - ((PREFIX_BYTES + text.length) % 8)) % 8;
  if (text.length + padding > MAX_HEADER_BYTES) {
    throw new RangeError(`store: expected a name of less than 60 KB, got ${text.length} bytes`);
  }
  const head = Buffer.alloc(PREFIX_BYTES + text.length + padding, ' ');
  head.write(FORMAT, 0, 'latin1');
  head.writeUInt32LE(text.length + padding, 8);
  text.copy(head, PREFIX_BYTES);
  const payload = isDense ? valueToBytes(value) : Buffer.from(jsonText(value.json));
  return { header, head, payload, bytes: head.length + payload.length + DIGEST_BYTES };
}

/** Writes the file. Not forced to disk. */
export async function writeEntry(file: OpenFile, entry: EncodedEntry): Promise<void> {
  const hash = createHash('sha256').update(entry.head);
  if (entry.bytes <= CHUNK_BYTES) {
    const digest = hash.update(entry.payload).digest();
    await file.write(Buffer.concat([entry.head, entry.payload, digest]));
    return;
  }
  await file.write(entry.head);
  for (let at = 0; at < entry.payload.length; at += CHUNK_BYTES) {
    const chunk = entry.payload.subarray(at, at + CHUNK_BYTES);
    hash.update(chunk);
    await file.write(chunk);
  }
  await file.write(hash.digest());
}

/** The header of a file; cheap, unverified, for listings only. @throws DamagedEntry, OtherFormat */
export async function readHeader(file: OpenFile): Promise<StoredHeader> {
  const head = await readHead(file, (await file.stat()).bytes);
  return parseHeader(head);
}

/** The value of `key`, verified. @throws DamagedEntry saying what is wrong, OtherFormat */
export async function readEntry(
  file: OpenFile,
  key: LineageKey,
): Promise<{ header: StoredHeader; value: StoredValue }> {
  const { bytes } = await file.stat();
  const head = await readHead(file, bytes);
  const header = parseHeader(head);
  const size = bytes - head.length - DIGEST_BYTES;
  const isDense = header.kind === 'dense';
  if (size < 0) throw new DamagedEntry('file cut short');
  // Checked before memory is taken, so that a damaged header can't ask for more than the file's
  // size.
  if (isDense && size !== storedBytes(header)) {
    throw new DamagedEntry('payload of another size');
  }
  const payload = isDense ? new Uint8Array(size) : Buffer.alloc(size);
  const hash = createHash('sha256').update(head);
  await readHashed(file, payload, head.length, hash);
  const digest = Buffer.alloc(DIGEST_BYTES);
  await readFully(file, digest, head.length + size);
  if (!hash.digest().equals(digest)) throw new DamagedEntry('digest differs');
  if (header.key !== key) throw new DamagedEntry('entry of another key');
  if (isDense) return { header, value: valueFromBytes(header, payload) };
  return { header, value: { kind: 'json', json: parseJson(payload.toString()) } };
}

async function readHashed(file: OpenFile, into: Uint8Array, from: number, hash: Hash) {
  for (let at = 0; at < into.length; at += CHUNK_BYTES) {
    const chunk = into.subarray(at, at + CHUNK_BYTES);
    await readFully(file, chunk, from + at);
    hash.update(chunk);
  }
}

async function readFully(file: OpenFile, into: Uint8Array, position: number): Promise<void> {
  if ((await file.read(into, position)) !== into.length) throw new DamagedEntry('file cut short');
}

/** Magic, length, header and padding. */
async function readHead(file: OpenFile, bytes: number): Promise<Buffer> {
  const first = Buffer.alloc(Math.min(bytes, HEAD_BYTES));
  await readFully(file, first, 0);
  const magic = first.toString('latin1', 0, 8);
  if (magic !== FORMAT && ANY_FORMAT.test(magic)) throw new OtherFormat('another format version');
  if (first.length < PREFIX_BYTES || magic !== FORMAT) {
    throw new DamagedEntry('not an entry of this format');
  }
  const length = PREFIX_BYTES + first.readUInt32LE(8);
  if (length > PREFIX_BYTES + MAX_HEADER_BYTES || length > bytes) {
    throw new DamagedEntry('header cut short');
  }
  if (length <= first.length) return first.subarray(0, length);
  const head = Buffer.alloc(length);
  await readFully(file, head, 0);
  return head;
}

function parseHeader(head: Buffer): StoredHeader {
  let header: Partial<StoredHeader> | null;
  try {
    header = JSON.parse(head.toString('utf8', PREFIX_BYTES)) as Partial<StoredHeader> | null;
  } catch {
    throw new DamagedEntry('header is not JSON');
  }
  const { key, kind, rows, cols, dtype, nnz, op, seconds, createdAt, origin } = header ?? {};
  const isSound =
    typeof key === 'string' &&
    (kind === 'dense' || kind === 'json') &&
    isCount(rows) &&
    isCount(cols) &&
    isDType(dtype) &&
    (nnz === undefined || isCount(nnz)) &&
    typeof op === 'string' &&
    typeof seconds === 'number' &&
    typeof createdAt === 'string' &&
    (origin === undefined || typeof origin === 'string');
  if (!isSound) throw new DamagedEntry('header lacks a field');
  const own = { ...(nnz !== undefined && { nnz }), ...(origin !== undefined && { origin }) };
  return { key, kind, rows, cols, dtype, op, seconds, createdAt, ...own };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
