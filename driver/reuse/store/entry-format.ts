/**
 * The bytes of a stored result. Invariant: what `decode` returns is what `encode` was given for the same key, or it
 * throws: a digest over everything, the key included, ends the file, so flipped bits, cut files, extra bytes and two
 * swapped files are all found.
 *
 * layout, little endian: magic (8) | header length u32 | header JSON | padding to 8 | payload | SHA-256 (32)
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { LineageKey } from '../../ir/lineage-key.js';
import { type DenseMatrix, dense } from '../../runtime/value.js';

/** Plain data: profiles, vocabularies, outputs of reusable functions that are not matrices. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

export type StoredValue = DenseMatrix | { readonly kind: 'json'; readonly json: Json };

/** What is known of a stored result besides its value. */
export interface StoredMeta {
  /** Operator or function that made it. */
  readonly op: string;
  /** Time to compute it. @units seconds */
  readonly seconds: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

export interface StoredHeader extends StoredMeta {
  readonly key: LineageKey;
  readonly kind: 'dense' | 'json';
  readonly rows: number;
  readonly cols: number;
}

/** Raised by `decode`; the store answers it with a miss and puts the file aside. */
export class DamagedEntry extends Error {}

export const FORMAT = 'RPRSv1\n\0';
const DIGEST_BYTES = 32;
const PREFIX_BYTES = 12;
const MAX_HEADER_BYTES = 1 << 16;

/** The file's bytes, in pieces so that a large payload is not copied. */
export function encode(key: LineageKey, value: StoredValue, meta: StoredMeta): Uint8Array[] {
  const isDense = value.kind === 'dense';
  const header: StoredHeader = {
    key,
    kind: value.kind,
    rows: isDense ? value.rows : 0,
    cols: isDense ? value.cols : 0,
    op: meta.op,
    seconds: meta.seconds,
    createdAt: meta.createdAt,
  };
  const text = Buffer.from(JSON.stringify(header));
  const padding = (8 - ((PREFIX_BYTES + text.length) % 8)) % 8;
  const head = Buffer.alloc(PREFIX_BYTES + text.length + padding, ' ');
  head.write(FORMAT, 0, 'latin1');
  head.writeUInt32LE(text.length + padding, 8);
  text.copy(head, PREFIX_BYTES);
  const payload = isDense
    ? new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength)
    : Buffer.from(JSON.stringify(value.json));
  const digest = createHash('sha256').update(head).update(payload).digest();
  return [head, payload, digest];
}

/** The header at the start of a file; cheap, unverified, for listings only. @throws DamagedEntry */
export function decodeHeader(bytes: Buffer): StoredHeader {
  if (bytes.length < PREFIX_BYTES || bytes.toString('latin1', 0, 8) !== FORMAT) {
    throw new DamagedEntry('not an entry of this format');
  }
  const length = bytes.readUInt32LE(8);
  if (length > MAX_HEADER_BYTES || bytes.length < PREFIX_BYTES + length) {
    throw new DamagedEntry('header cut short');
  }
  try {
    return JSON.parse(bytes.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + length)) as StoredHeader;
  } catch {
    throw new DamagedEntry('header is not JSON');
  }
}

/** The value of `key`, verified. @throws DamagedEntry saying what is wrong */
export function decode(
  key: LineageKey,
  bytes: Buffer,
): { header: StoredHeader; value: StoredValue } {
  const body = bytes.length - DIGEST_BYTES;
  if (body < PREFIX_BYTES) throw new DamagedEntry('file cut short');
  const digest = createHash('sha256').update(bytes.subarray(0, body)).digest();
  if (!timingSafeEqual(digest, bytes.subarray(body))) throw new DamagedEntry('digest differs');
  const header = decodeHeader(bytes);
  if (header.key !== key) throw new DamagedEntry('entry of another key');
  const payload = bytes.subarray(PREFIX_BYTES + bytes.readUInt32LE(8), body);
  if (header.kind === 'json') {
    return { header, value: { kind: 'json', json: JSON.parse(payload.toString('utf8')) as Json } };
  }
  if (payload.length !== header.rows * header.cols * 8)
    throw new DamagedEntry('payload of another size');
  const data = new Float64Array(header.rows * header.cols);
  new Uint8Array(data.buffer).set(payload);
  return { header, value: dense(header.rows, header.cols, data) };
}
