/**
 * Lines of the store's index. Invariant: a line is understood exactly as it was written or not at
 * all; each ends with a CRC-32, so torn and damaged lines are noticed.
 *
 *     + <key> <id> <bytes> <seconds> <used> <detail> <maker> <crc>   on its way in; space is taken
 *     = <key> <id> <bytes> <seconds> <used> <detail> <crc>           it is in place
 *     - <key> <id> <crc>                                             it is gone
 *     u <key> <used> <crc>                                           it was used
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { InternalError } from '../../errors.js';
import { isDType } from '../../ir/dtype.js';
import type { LineageKey } from '../../ir/lineage-key.js';
import { isFromDeadProcess } from '../../support/process-token.js';
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
  /** Token of the process that brings it in; none once it is in place. */
  readonly maker?: string;
}

export type IndexEntry = readonly [LineageKey, IndexRecord];

export type IndexLine =
  | { readonly op: '+' | '='; readonly key: LineageKey; readonly record: IndexRecord }
  | { readonly op: '-'; readonly key: LineageKey; readonly id: string }
  | { readonly op: 'u'; readonly key: LineageKey; readonly usedMs: number };

const KEY = /^[0-9a-f]{64}$/;
const MAX_NAME = 48;
const ON_ITS_WAY_MS = 600_000;
const SPACE = 32;
/** Where the key stands in a line. */
const KEY_START = 2;
const KEY_END = 66;

/** Whether a text is a key, and so a safe file name. */
export function isKey(text: string): boolean {
  return KEY.test(text);
}

/** @throws InternalError for a text that is no key */
export function checkKey(key: LineageKey): void {
  if (isKey(key)) return;
  throw new InternalError(`store: expected a key of 64 hexadecimal digits, got ${String(key)}`);
}

export function recordOf(header: StoredHeader, bytes: number, usedMs: number): IndexRecord {
  const { kind, rows, cols, dtype, seconds } = header;
  const createdMs = Date.parse(header.createdAt) || Math.round(usedMs);
  // Through bytes and back, since an unpaired surrogate has no encoding.
  const op = encodeURIComponent(Buffer.from(header.op.slice(0, MAX_NAME)).toString());
  return {
    id: randomBytes(4).toString('hex'),
    bytes,
    seconds,
    usedMs: Math.round(usedMs),
    detail: `${kind}:${rows}:${cols}:${createdMs}:${op}:${dtype}`,
  };
}

/** What a listing shows of an entry; long operator names are cut. */
export function headerOf(key: LineageKey, record: IndexRecord): StoredHeader {
  const [kind, rows, cols, createdMs, op, dtype] = record.detail.split(':');
  return {
    key,
    kind: kind === 'json' ? 'json' : 'dense',
    rows: Number(rows),
    cols: Number(cols),
    dtype: isDType(dtype) ? dtype : 'float64',
    op: decodeURIComponent(op ?? ''),
    seconds: record.seconds,
    createdAt: new Date(Number(createdMs)).toISOString(),
  };
}

export function recordLine(key: LineageKey, record: IndexRecord): string {
  const { id, bytes, seconds, usedMs, detail, maker } = record;
  const text = `${key} ${id} ${bytes} ${seconds} ${usedMs} ${detail}`;
  return checked(maker === undefined ? `= ${text}` : `+ ${text} ${maker}`);
}

/** Whether an entry is still on its way in, as far as can be known: not left behind by a crash. */
export function isOnItsWay({ maker, usedMs }: IndexRecord): boolean {
  if (maker === undefined || isFromDeadProcess(maker)) return false;
  return Math.abs(Date.now() - usedMs) < ON_ITS_WAY_MS;
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

/** What a line without its line feed says; undefined for a damaged one. */
export function parseLine(line: Buffer): IndexLine | undefined {
  const end = line.lastIndexOf(SPACE);
  const isWhole =
    end > KEY_END && line.toString('latin1', end + 1) === crc32(line.subarray(0, end)).toString(16);
  if (!isWhole) return undefined;
  // Strings of their own, not parts that would keep the line in memory.
  const op = line.toString('latin1', 0, 1);
  const key = line.toString('latin1', KEY_START, KEY_END);
  const [id, bytes, seconds, used, detail, maker] = line
    .toString('latin1', KEY_END + 1, end)
    .split(' ');
  if (op === '-') return { op, key, id: id! };
  if (op === 'u') return { op, key, usedMs: Number(id) };
  if ((op !== '+' && op !== '=') || detail === undefined) return undefined;
  const record = {
    id: id!,
    bytes: Number(bytes),
    seconds: Number(seconds),
    usedMs: Number(used),
    detail,
    ...(maker === undefined ? {} : { maker }),
  };
  return { op, key, record };
}
