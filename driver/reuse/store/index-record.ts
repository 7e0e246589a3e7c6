/**
 * Lines of the store's index. Invariant: a line is understood exactly as it was written or not at all; each ends with
 * a CRC-32, so torn and damaged lines are noticed.
 *
 *     + <key> <id> <bytes> <seconds> <used> <detail> <crc>    an entry is there, or about to be
 *     - <key> <id> <crc>                                      that entry is gone
 *     u <key> <used> <crc>                                    it was used
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { LineageKey } from '../../ir/lineage-key.js';
import type { StoredHeader } from './entry-format.js';

export interface IndexRecord {
  /** Tells this entry from an earlier or later one of the same key. */
  readonly id: string;
  readonly bytes: number;
  /** Time to compute it. @units seconds */
  readonly seconds: number;
  /** @units ms since 1970 */
  usedMs: number;
  /** Kind, shape, time of creation and operator, as in the line: read only for listings. */
  readonly detail: string;
}

export type Indexed = readonly [LineageKey, IndexRecord];

export type IndexLine =
  | { readonly op: '+'; readonly key: LineageKey; readonly record: IndexRecord }
  | { readonly op: '-'; readonly key: LineageKey; readonly id: string }
  | { readonly op: 'u'; readonly key: LineageKey; readonly usedMs: number };

const KEY = /^[0-9a-f]{64}$/;
const MAX_NAME = 48;

/** Whether a text is a key, and so a safe file name. */
export function isKey(text: string): boolean {
  return KEY.test(text);
}

export function recordOf(header: StoredHeader, bytes: number, usedMs: number): IndexRecord {
  const { kind, rows, cols, seconds } = header;
  const createdMs = Date.parse(header.createdAt) || Math.round(usedMs);
  // Through bytes and back, since an unpaired surrogate has no encoding.
  const op = encodeURIComponent(Buffer.from(header.op.slice(0, MAX_NAME)).toString());
  return {
    id: randomBytes(4).toString('hex'),
    bytes,
    seconds,
    usedMs: Math.round(usedMs),
    detail: `${kind}:${rows}:${cols}:${createdMs}:${op}`,
  };
}

/** What a listing shows of an entry; long operator names are cut. */
export function headerOf(key: LineageKey, record: IndexRecord): StoredHeader {
  const [kind, rows, cols, createdMs, op] = record.detail.split(':');
  return {
    key,
    kind: kind === 'json' ? 'json' : 'dense',
    rows: Number(rows),
    cols: Number(cols),
    op: decodeURIComponent(op ?? ''),
    seconds: record.seconds,
    createdAt: new Date(Number(createdMs)).toISOString(),
  };
}

export function addedLine(key: LineageKey, record: IndexRecord): string {
  const { id, bytes, seconds, usedMs, detail } = record;
  return checked(`+ ${key} ${id} ${bytes} ${seconds} ${usedMs} ${detail}`);
}

export function removedLine(key: LineageKey, id: string): string {
  return checked(`- ${key} ${id}`);
}

export function usedLine(key: LineageKey, usedMs: number): string {
  return checked(`u ${key} ${usedMs}`);
}

function checked(text: string): string {
  return `${text} ${crc32(text).toString(16)}\n`;
}

/** Undefined for a damaged line. */
export function parseLine(line: string): IndexLine | undefined {
  const end = line.lastIndexOf(' ');
  const text = line.slice(0, end);
  if (end < 0 || crc32(text).toString(16) !== line.slice(end + 1)) return undefined;
  const [op, key, id, bytes, seconds, used, detail] = text.split(' ');
  if (key === undefined || id === undefined) return undefined;
  if (op === '-') return { op, key, id };
  if (op === 'u') return { op, key, usedMs: Number(id) };
  if (op !== '+' || detail === undefined) return undefined;
  const record = {
    id,
    bytes: Number(bytes),
    seconds: Number(seconds),
    usedMs: Number(used),
    detail,
  };
  return { op, key, record };
}
