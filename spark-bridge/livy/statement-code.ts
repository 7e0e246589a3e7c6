/**
 * The line of Scala we send, and the lines it prints (before the shim is there, one that asks for
 * versions). Invariants: the code is constant but for one base64url argument, whatever the payload;
 * the argument fits a string literal of the JVM (65535 bytes); a reply is used only when begun,
 * ended, counted and its digests agree. The Scala half is `scala-shim/.../livy/Statements.scala`.
 *
 * Argument (before base64url; integers big-endian, as java.io.DataInput reads them):
 *   18 bytes  statement nonce, so the first 24 characters of the argument name the statement
 *   u8        protocol, 1
 *   u32       longest wait for the awaited requests, in ms
 *   u32, u16+bytes  results over these bytes go to files under this folder URI; 0xffffffff: never
 *   items     until the end, each: u8 kind, 18 bytes request id, and
 *     1 start    u8 encoding, u32 raw length, 32 bytes SHA-256 of the raw bytes, u32+bytes
 *     2 part     u32 index, u32+bytes
 *     3 gather   u8 encoding, u32 raw length, SHA-256, u32 parts: starts a request sent in parts
 *     4 open     u8 encoding, u32 raw length, SHA-256, u16+bytes URI: starts a request in storage
 *     5 drop     the answer has arrived, forget it
 *     6 await    report this request
 * Starting a request a second time does nothing, so a statement that runs twice does its work once.
 */
import { createHash, randomBytes } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { InternalError } from '../../driver/errors.js';

export const PROTOCOL = 1;
const CODE_HEAD = '_root_.reprise.livy.Statements.run("';
const CODE_TAIL = '")';
/** Longest argument. A literal holds 65535 bytes; the rest is room for nothing in particular. */
export const MAX_ARGUMENT = 60_000;
const ID_BYTES = 18;
const NEVER = 0xffffffff;

/** 24 characters of base64url, random. */
export function newId(): string {
  return randomBytes(ID_BYTES).toString('base64url');
}

/** How bytes are packed: as they are, or by zlib. */
export const ENCODING = { raw: 0, deflate: 1 } as const;

export interface PackedBytes {
  readonly encoding: number;
  readonly rawLength: number;
  readonly digest: Buffer;
  readonly bytes: Uint8Array;
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Compresses when it pays; large binary payloads are taken as they are. */
export function pack(raw: Uint8Array): PackedBytes {
  const digest = sha256(raw);
  const rawLength = raw.length;
  if (rawLength > 512 && rawLength <= 8 * 1024 * 1024) {
    const small = deflateSync(raw, { level: 1 });
    if (small.length < rawLength * 0.9) {
      return { encoding: ENCODING.deflate, rawLength, digest, bytes: small };
    }
  }
  return { encoding: ENCODING.raw, rawLength, digest, bytes: raw };
}

export type Item =
  | { readonly kind: 'start'; readonly id: string; readonly packed: PackedBytes }
  | {
      readonly kind: 'part';
      readonly id: string;
      readonly index: number;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'gather';
      readonly id: string;
      readonly packed: PackedBytes;
      readonly parts: number;
    }
  | {
      readonly kind: 'open';
      readonly id: string;
      readonly packed: PackedBytes;
      readonly uri: string;
    }
  | { readonly kind: 'drop'; readonly id: string }
  | { readonly kind: 'await'; readonly id: string };

export interface StatementText {
  readonly nonce: string;
  readonly code: string;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const short = (text: string): Buffer[] => {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return [length, bytes];
};
const packedHead = ({ encoding, rawLength, digest }: PackedBytes): Buffer[] => [
  Buffer.from([encoding]),
  u32(rawLength),
  digest,
];

function itemParts(item: Item): Uint8Array[] {
  switch (item.kind) {
    case 'start': {
      const { bytes } = item.packed;
      return [...packedHead(item.packed), u32(bytes.length), bytes];
    }
    case 'part':
      return [u32(item.index), u32(item.bytes.length), item.bytes];
    case 'gather':
      return [...packedHead(item.packed), u32(item.parts)];
    case 'open':
      return [...packedHead(item.packed), ...short(item.uri)];
    default:
      return [];
  }
}

const KINDS: Record<Item['kind'], number> = {
  start: 1,
  part: 2,
  gather: 3,
  open: 4,
  drop: 5,
  await: 6,
};

/** Bytes an item takes in the argument, before base64url. */
export function itemBytes(item: Item): number {
  return 1 + ID_BYTES + itemParts(item).reduce((sum, it) => sum + it.length, 0);
}

/** Bytes an argument can hold besides its head. */
export function argumentRoom(resultFolder: string | null): number {
  const head = ID_BYTES + 1 + 4 + 4 + 2 + Buffer.byteLength(resultFolder ?? '');
  return Math.floor((MAX_ARGUMENT * 3) / 4) - head;
}

export interface StatementPlan {
  readonly items: readonly Item[];
  /** @units ms */
  readonly waitMs: number;
  /** Where large results go; null for none. */
  readonly store: { readonly overBytes: number; readonly folder: string } | null;
}

/** The code of one statement. @throws InternalError when the items don't fit */
export function statementText(plan: StatementPlan): StatementText {
  const nonce = newId();
  const parts: Uint8Array[] = [
    Buffer.from(nonce, 'base64url'),
    Buffer.from([PROTOCOL]),
    u32(Math.round(plan.waitMs)),
    u32(plan.store?.overBytes ?? NEVER),
    ...short(plan.store?.folder ?? ''),
  ];
  for (const item of plan.items) {
    parts.push(Buffer.from([KINDS[item.kind]]), Buffer.from(item.id, 'base64url'));
    parts.push(...itemParts(item));
  }
  const argument = Buffer.concat(parts).toString('base64url');
  if (argument.length > MAX_ARGUMENT) {
    throw new InternalError(
      `livy statement: expected an argument of at most ${MAX_ARGUMENT} characters, got ${argument.length}`,
    );
  }
  return { nonce, code: CODE_HEAD + argument + CODE_TAIL };
}

/** Whether `code` is the statement of this nonce. */
export function isStatementOf(code: string, nonce: string): boolean {
  return code.startsWith(CODE_HEAD + nonce) || code.startsWith(VERSIONS_HEAD + nonce);
}

/** What a session runs, as it says: `4.1.1` and `2.13.17`. */
export interface RunningVersions {
  readonly spark: string;
  readonly scala: string;
}

const VERSIONS_HEAD = 'print("reprise1 ';
const VERSIONS_TAIL =
  ' versions " + _root_.org.apache.spark.SPARK_VERSION + " " + _root_.scala.util.Properties.versionNumberString)';

/** Asks the session's REPL itself: which shim fits is not known yet. */
export function versionsQuestion(): StatementText {
  const nonce = newId();
  return { nonce, code: VERSIONS_HEAD + nonce + VERSIONS_TAIL };
}

/** Reads the answer; undefined when there is none. */
export function versionsIn(text: string, nonce: string): RunningVersions | undefined {
  const [, spark, scala] =
    new RegExp(`reprise1 ${nonce} versions (\\d\\S*) (\\d[\\d.]*)`).exec(text) ?? [];
  return spark === undefined || scala === undefined ? undefined : { spark, scala };
}

/** What the shim says of one awaited request. */
export type Report =
  | { readonly kind: 'done'; readonly bytes: Uint8Array }
  /** The answer is in the result folder, under the request's id. */
  | { readonly kind: 'stored'; readonly rawLength: number; readonly digest: string }
  | { readonly kind: 'pending' }
  /** The shim has not seen it, or not all of it. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'too-large'; readonly bytes: number; readonly limitBytes: number }
  /** The request could not be taken: its digest or parts do not agree. */
  | { readonly kind: 'damaged'; readonly reason: string };

export interface StatementReply {
  readonly boot: string;
  readonly reports: ReadonlyMap<string, Report>;
}

/** Why a reply can't be used, as `expected .., got ..`. */
export class ReplyDamage extends Error {}

interface Pending {
  readonly encoding: number;
  readonly rawLength: number;
  readonly digest: string;
  readonly lines: number;
  readonly data: string[];
}

/**
 * Reads what a statement printed. Lines that are not ours (other output of the session) are passed
 * over.
 * @throws ReplyDamage when lines are missing or a digest differs
 */
export function parseReply(text: string, nonce: string): StatementReply {
  const head = `reprise1 ${nonce} `;
  let boot: string | undefined;
  let isEnded = false;
  let count = 0;
  const reports = new Map<string, Report>();
  const open = new Map<string, Pending>();
  for (const line of text.split('\n')) {
    const start = line.indexOf(head);
    if (start < 0) continue;
    const [word, id = '', ...rest] = line
      .slice(start + head.length)
      .trimEnd()
      .split(' ');
    count++;
    if (word === 'begin') boot = id;
    else if (word === 'data') open.get(id)?.data.push(rest[1] ?? '');
    else if (word === 'end') {
      isEnded = true;
      if (Number(id) !== count) throw new ReplyDamage(`expected ${id} lines, got ${count}`);
    } else if (word === 'done') {
      const [encoding, rawLength, lines, digest = ''] = rest;
      const data: string[] = [];
      open.set(id, {
        encoding: Number(encoding),
        rawLength: Number(rawLength),
        lines: Number(lines),
        digest,
        data,
      });
    } else if (word !== undefined) reports.set(id, simpleReport(word, rest));
  }
  if (boot === undefined || !isEnded) {
    throw new ReplyDamage(`expected a reply that begins and ends, got ${text.length} characters`);
  }
  for (const [id, pending] of open) reports.set(id, { kind: 'done', bytes: unpack(pending) });
  return { boot, reports };
}

function simpleReport(word: string, rest: readonly string[]): Report {
  const [first = '', second = ''] = rest;
  switch (word) {
    case 'stored':
      return { kind: 'stored', rawLength: Number(first), digest: second };
    case 'pending':
      return { kind: 'pending' };
    case 'unknown':
      return { kind: 'unknown' };
    case 'toolarge':
      return { kind: 'too-large', bytes: Number(first), limitBytes: Number(second) };
    case 'damaged':
      return { kind: 'damaged', reason: Buffer.from(first, 'base64url').toString('utf8') };
    default:
      throw new ReplyDamage(
        `expected a known report, got "${word}"; the shim may be of another version`,
      );
  }
}

function unpack({ encoding, rawLength, digest, lines, data }: Pending): Uint8Array {
  if (data.length !== lines)
    throw new ReplyDamage(`expected ${lines} data lines, got ${data.length}`);
  // Each line is encoded on its own.
  const packed = Buffer.concat(data.map((it) => Buffer.from(it, 'base64url')));
  let raw: Uint8Array = packed;
  if (encoding === ENCODING.deflate) {
    try {
      raw = inflateSync(packed, { maxOutputLength: Math.max(1, rawLength) });
    } catch (error) {
      throw new ReplyDamage(
        `expected ${rawLength} compressed bytes, got ${(error as Error).message}`,
      );
    }
  }
  checkDigest(raw, rawLength, digest);
  return raw;
}

/** @throws ReplyDamage when length or SHA-256 (hex) differ */
export function checkDigest(raw: Uint8Array, rawLength: number, digest: string): void {
  if (raw.length !== rawLength)
    throw new ReplyDamage(`expected ${rawLength} bytes, got ${raw.length}`);
  if (sha256(raw).toString('hex') !== digest) {
    throw new ReplyDamage(`expected SHA-256 ${digest.slice(0, 12)}.., got another`);
  }
}
