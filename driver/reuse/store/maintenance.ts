/**
 * What keeps the store's folder in order: the index made again from the files, entries dropped,
 * leftovers of crashes and old damaged files removed. Invariant: any of it can stop at any call,
 * and nothing but disk space is lost.
 */
import { join } from 'node:path';
import type { LineageKey } from '../../ir/lineage-key.js';
import { isFromDeadProcess } from '../../support/process-token.js';
import { DamagedEntry, OtherFormat, readHeader } from './entry-format.js';
import { errorCode, type FileSystem, listFolder, NOT_PLAIN, withFile } from './file-system.js';
import { type IndexEntry, type IndexRecord, isKey, isOnItsWay, recordOf } from './index-record.js';
import type { Lease, Leases } from './lease.js';
import { Slots } from './slots.js';
import type { StoreFolder } from './store-folder.js';
import type { StoreIndex } from './store-index.js';

export interface Verification {
  readonly good: number;
  /** Put aside, so that they are computed again when next needed. */
  readonly damaged: readonly LineageKey[];
  /** Unreadable or damaged, and still in their place. */
  readonly stuck: readonly LineageKey[];
  /** Of another user or another version of the format: left alone. */
  readonly refused: number;
}

/** What the parts of the store work on. */
export interface StoreParts {
  readonly files: FileSystem;
  readonly folder: StoreFolder;
  readonly index: StoreIndex;
  readonly leases: Leases;
}

/** The lease of whoever replaces the index file. */
const INDEX_LEASE = 'index';
const SHARD = /^[0-9a-f]{2}$/;
const OPEN_FILES = 8;
const DROP_BATCH = 64;
const TMP_AGE_MS = 24 * 3_600_000;
const QUARANTINE_AGE_MS = 30 * 24 * 3_600_000;
const COMPACT_LINES = 1000;
const DEAD_SHARE = 1.25;

/** Keys of all files in place, indexed or not. */
export async function listKeys({ files, folder }: StoreParts): Promise<LineageKey[]> {
  return keysIn(files, folder.objects, await files.list(folder.objects));
}

/** Keys that name files in these shards of a folder. */
export async function keysIn(
  files: FileSystem,
  folder: string,
  shards: readonly string[],
): Promise<LineageKey[]> {
  const keys: LineageKey[] = [];
  for (const shard of shards.filter((name) => SHARD.test(name))) {
    const names = await listFolder(files, join(folder, shard));
    keys.push(...names.filter((name) => isKey(name) && name.startsWith(shard)));
  }
  return keys;
}

/**
 * Whether the index has so many dead lines that writing it anew pays: each entry leaves one as it
 * lands, and every process reads them all.
 */
export function isWorthCompacting({ index }: StoreParts): boolean {
  return index.lines > DEAD_SHARE * index.records.size + COMPACT_LINES;
}

/** Writes the index anew without dead lines. False if another process is at it. */
export function compactIndex(parts: StoreParts): Promise<boolean> {
  return withIndexLease(parts, (lease) =>
    parts.index.replace(join(lease.folder, 'index'), (records) => [...records]),
  );
}

/**
 * Makes the index agree with the files: unknown ones are added, missing ones go. False if another
 * process is at it. What comes and goes meanwhile is in the index by the time the new one is
 * written, or is added to it by its writer.
 */
export function rebuildIndex(parts: StoreParts): Promise<boolean> {
  return withIndexLease(parts, async (lease) => {
    const { index } = parts;
    await index.refresh();
    const before = new Map(index.records);
    const keys = new Set(await listKeys(parts));
    const gone = [...before].filter(([key, record]) => !keys.has(key) && !isOnItsWay(record));
    const goneIds = new Set(gone.map(([, { id }]) => id));
    const slots = new Slots(OPEN_FILES);
    const found: IndexEntry[] = [];
    await Promise.all(
      [...keys].map((key) =>
        slots.run(async () => {
          const record = before.has(key) ? undefined : await readRecord(parts, key);
          if (record !== undefined) found.push([key, record]);
        }),
      ),
    );
    await index.replace(join(lease.folder, 'index'), (records) => [
      ...[...records].filter(([, { id }]) => !goneIds.has(id)).map(landed(keys)),
      ...found.filter(([key]) => !records.has(key)),
    ]);
  });
}

/** Entries whose writers died after the file was in place are in place. */
function landed(keys: ReadonlySet<LineageKey>): (entry: IndexEntry) => IndexEntry {
  return ([key, record]) => {
    const { maker, ...inPlace } = record;
    return [key, maker !== undefined && keys.has(key) ? inPlace : record];
  };
}

/** What the index should say of a file, by its header; undefined if gone or not our entry. */
export async function readRecord(
  parts: StoreParts,
  key: LineageKey,
): Promise<IndexRecord | undefined> {
  const { files, folder } = parts;
  try {
    return await withFile(files, folder.entry(key), 'read', folder.fileMode, async (file) => {
      const { bytes, modifiedMs, uid } = await file.stat();
      return folder.isTrusted(uid)
        ? recordOf(await readHeader(file), bytes, modifiedMs)
        : undefined;
    });
  } catch (error) {
    if (error instanceof OtherFormat) return undefined;
    if (['ENOENT', NOT_PLAIN].includes(errorCode(error) ?? '')) return undefined;
    // It takes space, whatever it is.
    const stat = await files.stat(folder.entry(key)).catch(() => undefined);
    const op = error instanceof DamagedEntry ? 'damaged' : 'unreadable';
    const header = {
      key,
      kind: 'dense',
      rows: 0,
      cols: 0,
      dtype: 'float64',
      op,
      seconds: 0,
      createdAt: '',
    } as const;
    return stat && recordOf(header, stat.bytes, stat.modifiedMs);
  }
}

/** Takes the names of the files for an index. @throws the file system's error */
export async function adoptFiles(parts: StoreParts): Promise<void> {
  const none = { rows: 0, cols: 0, dtype: 'float64', op: '', seconds: 0, createdAt: '' } as const;
  const header = { kind: 'dense', ...none } as const;
  for (const key of await listKeys(parts)) {
    parts.index.adopt(key, recordOf({ key, ...header }, 0, Date.now()));
  }
}

/** Reads what the adopted files hold, those read before excepted. Never throws. */
export async function describeFiles(parts: StoreParts): Promise<void> {
  const { index } = parts;
  const unknown = [...index.records].filter(([, { bytes }]) => bytes === 0);
  const slots = new Slots(OPEN_FILES);
  const describe = async (key: string): Promise<void> => {
    const record = await readRecord(parts, key).catch(() => undefined);
    if (record === undefined) index.forget(key);
    else index.adopt(key, record);
  };
  await Promise.all(unknown.map(([key]) => slots.run(() => describe(key))));
}

async function withIndexLease(
  { leases }: StoreParts,
  work: (lease: Lease) => Promise<void>,
): Promise<boolean> {
  const lease = await leases.tryAcquire(INDEX_LEASE);
  if (lease === undefined) return false;
  try {
    await work(lease);
    return true;
  } catch (error) {
    // The lease was lost, and with it the folder to publish from.
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await lease.release();
  }
}

/** Removes files and then their lines, a batch at a time, so that others see soon what is free. */
export async function dropEntries(
  parts: StoreParts,
  entries: readonly IndexEntry[],
): Promise<number> {
  const { files, folder, index } = parts;
  const slots = new Slots(OPEN_FILES);
  let dropped = 0;
  for (let at = 0; at < entries.length; at += DROP_BATCH) {
    // Of what is no longer the same entry another process has disposed.
    const batch = entries
      .slice(at, at + DROP_BATCH)
      .filter(([key, { id }]) => index.records.get(key)?.id === id);
    if (batch.length === 0) continue;
    await Promise.all(batch.map(([key]) => slots.run(() => files.remove(folder.entry(key)))));
    await index.remove(batch);
    dropped += batch.length;
  }
  return dropped;
}

/** Removes what crashes left: half-written files, dead processes' leases, anything a day old. */
export async function sweep({ files, folder, leases }: StoreParts): Promise<void> {
  await leases.sweep();
  for (const name of await files.list(folder.tmp)) {
    const path = join(folder.tmp, name);
    const stat = await files.stat(path).catch(() => undefined);
    if (stat === undefined) continue;
    if (!isFromDeadProcess(name) && Date.now() - stat.modifiedMs < TMP_AGE_MS) continue;
    // A lease on its way into place is two folders, any other leftover a file.
    await files.removeFolder(join(path, name)).catch(() => {});
    await files.removeFolder(path).catch(() => files.remove(path).catch(() => {}));
  }
}

/** Removes damaged files put aside long ago, and the oldest beyond `maxBytes`. */
export async function sweepQuarantine(parts: StoreParts, maxBytes: number): Promise<void> {
  const { files, folder } = parts;
  const found: { readonly path: string; readonly bytes: number; readonly asideMs: number }[] = [];
  for (const name of await files.list(folder.quarantine)) {
    const path = join(folder.quarantine, name);
    const stat = await files.stat(path).catch(() => undefined);
    const asideMs = Number(name.slice(name.lastIndexOf('.') + 1)) || 0;
    if (stat !== undefined) found.push({ path, bytes: stat.bytes, asideMs });
  }
  found.sort((a, b) => b.asideMs - a.asideMs);
  let bytes = 0;
  for (const file of found) {
    bytes += file.bytes;
    const isOld = Date.now() - file.asideMs > QUARANTINE_AGE_MS;
    if (isOld || bytes > maxBytes) await files.remove(file.path);
  }
}
