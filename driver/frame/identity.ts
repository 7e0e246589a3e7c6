/**
 * What a local file is: the SHA-256 of its content, known again without reading it when path, size,
 * mtime, ctime and inode are the ones seen before (kept in `<home>/identity.json`, shared by
 * processes). Invariant: a digest is only trusted for a file that had been at rest for `SETTLED_NS`
 * when it was hashed, because a file system's clock ticks every few milliseconds and two writes
 * within one tick leave the same times (git calls such an entry racy). A change that keeps size,
 * both times and inode cannot be seen; no ordinary program can make one, as ctime is the kernel's.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, createReadStream, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DataError } from '../errors.js';
import type { FrameFile, FrameSource } from '../ir/frame-engine.js';
import { env } from '../support/env.js';
import { forgetOldest } from '../support/forget-oldest.js';
import { ParsedFile } from '../support/plain-file.js';
import { replaceFile } from '../support/replace-file.js';

/** How long a file must have been left alone before its digest is remembered. @units ns */
const SETTLED_NS = 2_000_000_000n;
/** Entries kept in the store; the oldest go first. */
const MAX_ENTRIES = 20_000;
/** Stamps kept by a process; a file beyond is hashed again when it is verified. */
const MAX_SEEN = 1 << 17;
const STORE_VERSION = 1;
/** Files asked about side by side: an answer from a server takes long, but little of its time. */
const STATS_AT_ONCE = 64;
/** A file system that answers sooner is asked without waiting. @units ms a file */
const NEAR_MS = 0.1;

/** A local file and the digest of its content. @units bytes: bytes */
export interface FileIdentity {
  readonly path: string;
  readonly digest: string;
  readonly bytes: number;
}

/** Files as they were when they were identified. */
type IdentifiedFiles = Pick<FrameSource, 'identify'> & {
  readonly files: readonly (FileIdentity & Partial<FrameFile>)[];
};

interface Entry {
  readonly stamp: string;
  readonly digest: string;
  readonly usedAt: number;
}

/** Stamps of files identified by this process, settled or not; `verifyUnchanged` compares them. */
const seen = new Map<string, { readonly stamp: string; readonly digest: string }>();

/**
 * Digests of local files, read only where they are not known yet.
 * @throws DataError when a file is missing, unreadable, not a file, or changes while it is read
 */
export async function identifyFiles(paths: readonly string[]): Promise<FileIdentity[]> {
  const storePath = join(env.home(), 'identity.json');
  const store = await stored.read(storePath);
  const learned = new Map<string, Entry>();
  const identities: FileIdentity[] = [];
  const resolved = paths.map((path) => resolve(path));
  for await (const [i, stats] of statsOf(resolved)) {
    const path = resolved[i]!;
    const stamp = stampOf(stats);
    const known = store.get(path);
    let digest = known?.stamp === stamp ? known.digest : undefined;
    if (digest === undefined) {
      const startedNs = BigInt(Date.now()) * 1_000_000n;
      digest = await hashAtRest(path, stamp);
      if (stats.ctimeNs + SETTLED_NS < startedNs) {
        learned.set(path, { stamp, digest, usedAt: Date.now() });
      }
    }
    seen.set(path, { stamp, digest });
    forgetOldest(seen, MAX_SEEN);
    identities.push({ path, digest, bytes: Number(stats.size) });
  }
  if (learned.size > 0) await mergeIntoStore(storePath, learned);
  return identities;
}

/**
 * Checks that the files of a source still are what they were when they were identified. Local files
 * whose stamp moved are hashed again, so a mere `touch` passes; remote ones are identified again
 * where they are.
 * @throws DataError naming the first file that changed or went away
 */
export async function verifyUnchanged(source: IdentifiedFiles): Promise<void> {
  const local = source.files.filter(({ path }) => !isRemote(path));
  const paths = local.map(({ path }) => resolve(path));
  for await (const [i, stats] of statsOf(paths, local)) {
    const file = local[i]!;
    const path = paths[i]!;
    const stamp = stampOf(stats);
    const known = seen.get(path);
    if (known !== undefined && known.stamp === stamp && known.digest === file.digest) continue;
    const digest = Number(stats.size) === file.bytes ? await hashAtRest(path, stamp) : undefined;
    if (digest !== file.digest) throw changed(path, file.bytes, Number(stats.size));
    seen.set(path, { stamp, digest });
  }
  await verifyRemote(source);
}

async function verifyRemote({ files, identify }: IdentifiedFiles): Promise<void> {
  const remote = files.filter((file) => isRemote(file.path));
  if (remote.length === 0 || identify === undefined) return;
  const digests = await identify(remote.map((file) => file.path));
  for (const [i, { path, digest }] of remote.entries()) {
    if (digests[i] === digest) continue;
    const how = digests[i] === null ? 'it is gone' : 'its length, time or checksum is another';
    throw new DataError(
      `data: expected ${path} to stay as it was, it changed while being read (${how}); run again once it is written`,
      { path },
    );
  }
}

/**
 * Reads a source and returns what was read only if its files are still what they were; what went
 * wrong because one changed is reported as that.
 * @throws DataError naming the first file that changed or went away; else what `read` throws
 */
export async function readUnchanged<T>(source: FrameSource, read: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await read();
  } catch (error) {
    throw await causeOf(source, error);
  }
  await verifyUnchanged(source);
  return result;
}

/** The file change of the source that explains an error of reading it, else the error itself. */
export async function causeOf(source: FrameSource, error: unknown): Promise<unknown> {
  try {
    await verifyUnchanged(source);
  } catch (change) {
    // Storage that can't be asked says nothing of the files.
    if (change instanceof DataError) return change;
  }
  return error;
}

/** Whether a path is a URI of remote storage, which has no local identity. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\//i.test(path);
}

/** SHA-256 of a file, streamed. @throws the file system's error */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

async function hashAtRest(path: string, stamp: string): Promise<string> {
  const before = Number(stamp.split(':')[0]);
  let digest: string;
  try {
    digest = await hashFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const after = await statFile(path);
  if (stampOf(after) !== stamp) throw changed(path, before, Number(after.size));
  return digest;
}

function stampOf(stats: BigIntStats): string {
  return `${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}:${stats.dev}:${stats.ino}`;
}

/**
 * What the file system says of each file, in order. Asked one by one at once, as a local disk
 * answers in less time than it takes to wait for it; side by side where a server is far.
 */
async function* statsOf(
  paths: readonly string[],
  known?: readonly FileIdentity[],
): AsyncGenerator<readonly [number, BigIntStats]> {
  let isNear = true;
  for (let from = 0; from < paths.length; from += STATS_AT_ONCE) {
    const some = paths.slice(from, from + STATS_AT_ONCE);
    const near: Timed[] = isNear ? some.map(timedStat) : [];
    // Some answers are late on a busy machine, most are where a server gives them.
    isNear &&= near.filter(({ ms }) => ms > NEAR_MS).length <= some.length / 2;
    const far = await Promise.allSettled(
      some.map((path, i) => near[i]?.stats ?? statFile(path, known?.[from + i])),
    );
    for (const [i, stats] of far.entries()) {
      if (stats.status === 'rejected') throw stats.reason;
      yield [from + i, stats.value];
    }
  }
}

interface Timed {
  readonly stats: BigIntStats | undefined;
  readonly ms: number;
}

/** Without stats for what is no file that can be looked at: why not, `statFile` says. */
function timedStat(path: string): Timed {
  const start = performance.now();
  let stats: BigIntStats | undefined;
  try {
    stats = statSync(path, { bigint: true });
    if (!stats.isFile()) stats = undefined;
  } catch {}
  return { stats, ms: performance.now() - start };
}

async function statFile(path: string, known?: FileIdentity): Promise<BigIntStats> {
  let stats: BigIntStats;
  try {
    stats = await stat(path, { bigint: true });
  } catch (cause) {
    if (known !== undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new DataError(
        `data: expected ${path} to stay while it is read, it is gone; put it back and run again`,
        { path },
        { cause },
      );
    }
    throw unreadable(path, cause);
  }
  if (!stats.isFile()) {
    throw new DataError(`data: expected ${path} to be a file, got something else`, { path });
  }
  return stats;
}

function unreadable(path: string, cause: unknown): DataError {
  const code = (cause as NodeJS.ErrnoException).code;
  const why =
    code === 'ENOENT'
      ? 'found nothing there; check the path'
      : code === 'EACCES' || code === 'EPERM'
        ? 'got permission denied; allow this user to read it'
        : `got ${code ?? String(cause)}`;
  return new DataError(
    `data: expected a readable file at ${path}, ${why}`,
    { path, code },
    { cause },
  );
}

function changed(path: string, before: number, after: number): DataError {
  const how = before === after ? 'other content' : `${after} bytes after ${before}`;
  return new DataError(
    `data: expected ${path} to stay as it was, it changed while being read (${how}); run again once it is written`,
    { path },
  );
}

/** The store as a map; empty when it is missing, damaged or of another version. */
const stored = new ParsedFile<ReadonlyMap<string, Entry>>((text) => {
  try {
    const parsed: unknown = JSON.parse(text);
    const { version, files } = parsed as { version?: unknown; files?: unknown };
    if (version !== STORE_VERSION || !Array.isArray(files)) return new Map();
    return new Map((files as unknown[]).filter(isStored).map(([file, entry]) => [file, entry]));
  } catch {
    return new Map();
  }
});

function isStored(item: unknown): item is [string, Entry] {
  if (!Array.isArray(item) || typeof item[0] !== 'string') return false;
  const entry = item[1] as Partial<Entry> | null;
  return (
    typeof entry?.stamp === 'string' &&
    typeof entry.usedAt === 'number' &&
    typeof entry.digest === 'string' &&
    /^[0-9a-f]{64}$/.test(entry.digest)
  );
}

/**
 * Adds entries by reading the store again, merging and renaming a new file over it. Two processes
 * at once may lose one another's entries, which costs a hash and nothing else; a store that can't
 * be written is no error for the same reason.
 */
async function mergeIntoStore(path: string, learned: ReadonlyMap<string, Entry>): Promise<void> {
  try {
    const merged = new Map([...(await stored.read(path)), ...learned]);
    let files = [...merged];
    if (files.length > MAX_ENTRIES) {
      files = files.sort((a, b) => b[1].usedAt - a[1].usedAt).slice(0, MAX_ENTRIES * 0.9);
    }
    await replaceFile(path, JSON.stringify({ version: STORE_VERSION, files }));
    await stored.wrote(path, new Map(files));
  } catch {
    // What was learned costs a hash the next time.
  }
}
