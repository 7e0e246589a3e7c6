/**
 * Who may compute a key: a lock folder with a heartbeat (proper-lockfile) and a fencing number that rises with every
 * holder. A holder that stopped (SIGSTOP, a long pause) and comes back after another took over has an old number, and
 * the store refuses what it publishes.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';
import type { LineageKey } from '../../ir/lineage-key.js';
import { errorCode } from './file-system.js';

export interface Lease {
  readonly key: LineageKey;
  /** Rises with every holder of the key. */
  readonly fence: number;
  /** Ends the lease; idempotent and never throws. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  /** A holder that gives no sign for this long has lost it. @units ms */
  readonly ttlMs: number;
}

/** Tries once. Undefined when another live process holds it. @throws the file system's error when leases can't be kept here */
export async function tryLease(
  folder: string,
  key: LineageKey,
  options: LeaseOptions,
  exclusively: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<Lease | undefined> {
  const path = join(folder, key);
  let unlock: () => Promise<void>;
  try {
    unlock = await lockfile.lock(path, {
      realpath: false,
      stale: options.ttlMs,
      update: options.ttlMs / 3,
      // Losing the lease is noticed when publishing, by the fence.
      onCompromised: () => {},
    });
  } catch (error) {
    if (errorCode(error) === 'ELOCKED') return undefined;
    throw error;
  }
  try {
    const fence = await exclusively(async () => {
      const next = (await readFence(folder, key)) + 1;
      await writeFile(fencePath(folder, key), String(next), { mode: 0o600 });
      return next;
    });
    return { key, fence, release: () => unlock().catch(() => {}) };
  } catch (error) {
    await unlock().catch(() => {});
    throw error;
  }
}

/** The number of the key's latest holder; 0 before the first. */
export async function readFence(folder: string, key: LineageKey): Promise<number> {
  const text = await readFile(fencePath(folder, key), 'utf8').catch(() => '0');
  const fence = Number(text);
  return Number.isSafeInteger(fence) ? fence : 0;
}

function fencePath(folder: string, key: LineageKey): string {
  return join(folder, `${key}.fence`);
}
