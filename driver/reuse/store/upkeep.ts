/**
 * What people ask of a store now and then: drop what is over the limits, drop everything.
 * Invariant: what takes away works on a full disk, where nothing can be written until something is
 * gone.
 */
import { chooseVictims } from './eviction.js';
import { errorCode } from './file-system.js';
import type { IndexEntry } from './index-record.js';
import {
  dropEntries,
  listKeys,
  rebuildIndex,
  type StoreParts,
  sweep,
  sweepQuarantine,
} from './maintenance.js';
import type { StoreLimits } from './publisher.js';
import { sweepSiblings } from './sibling-files.js';
import { Slots } from './slots.js';

/** Part of the byte limit that damaged files put aside may take besides. */
export const QUARANTINE_SHARE = 0.1;
const OPEN_FILES = 8;

/** Whether there is no room on the disk, for this user at least. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');
}

/** What is too old or over the limits, cheapest loss first. */
export function overLimits({ index }: StoreParts, limits: StoreLimits): IndexEntry[] {
  return chooseVictims(index.records, {
    freeBytes: index.bytes - limits.maxBytes,
    freeEntries: index.records.size - limits.maxEntries,
    maxAgeSeconds: limits.maxAgeSeconds,
  });
}

/**
 * Drops what is over the limits and what crashes left, and makes the index agree with the files.
 * @returns what went @throws the file system's error
 */
export async function collectGarbage(
  parts: StoreParts,
  limits: StoreLimits,
): Promise<IndexEntry[]> {
  await sweep(parts);
  await sweepQuarantine(parts, limits.maxBytes * QUARANTINE_SHARE);
  // Without room for a new index the old one says well enough what to drop first.
  const wasFull = await rebuildIndex(parts).then(
    () => false,
    (error: unknown) => {
      if (!isFull(error)) throw error;
      return true;
    },
  );
  const victims = overLimits(parts, limits);
  await dropEntries(parts, victims);
  if (wasFull) await rebuildIndex(parts);
  await sweepSiblings(parts, (key) => parts.index.has(key));
  return victims;
}

/** Drops all, files put aside too. @returns the entry count @throws the file system's error */
export async function clearAll(parts: StoreParts): Promise<number> {
  const { files, folder, index } = parts;
  await sweep(parts);
  await sweepQuarantine(parts, 0);
  await sweepSiblings(parts, () => false);
  const keys = await listKeys(parts);
  const slots = new Slots(OPEN_FILES);
  const remove = (key: string): Promise<void> =>
    files.remove(folder.entry(key)).catch((error: unknown) => {
      // A folder in the place of an entry is not ours to empty.
      if (!['EISDIR', 'EPERM'].includes(errorCode(error) ?? '')) throw error;
    });
  await Promise.all(keys.map((key) => slots.run(() => remove(key))));
  // Another process may be at the index; then its lines are what can be taken out.
  if (!(await rebuildIndex(parts))) {
    const gone = new Set(keys);
    await dropEntries(
      parts,
      [...index.records].filter(([key]) => gone.has(key)),
    );
  }
  return keys.length;
}
