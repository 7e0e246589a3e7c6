/**
 * Who may compute a key. A lease is the folder `leases/<key>/<token>`, and what its holder
 * publishes is written in it and renamed from there. Taking over renames that folder to the new
 * holder's token. Invariant: from that instant the old holder's path is gone, so whatever it does
 * late (after SIGSTOP, say) can't publish; no clock, lock or order of events is involved in that.
 * Fencing after Kleppmann, "How to do distributed locking" (2016), with names for numbers.
 */
import { join } from 'node:path';
import { isFromDeadProcess, processToken } from '../../support/process-token.js';
import { errorCode, type FileSystem, listFolder } from './file-system.js';

export interface Lease {
  readonly key: string;
  /** Fencing token: the name of the folder that only this holder writes in. */
  readonly token: string;
  /** That folder. @internal */
  readonly folder: string;
  /** Ends the lease; idempotent and never throws. */
  release(): Promise<void>;
}

export interface LeaseFolders {
  readonly leases: string;
  readonly tmp: string;
  readonly mode: number;
}

interface Sighting {
  readonly token: string;
  readonly modifiedMs: number;
  readonly sinceMs: number;
}

export class Leases {
  readonly #files: FileSystem;
  readonly #folders: LeaseFolders;
  readonly #ttlMs: number;
  /** Other holders' last sign of life, by this process's monotonic clock, so clocks may differ. */
  readonly #seen = new Map<string, Sighting>();

  /** @param ttlMs a holder that gives no sign for this long has lost its lease */
  constructor(files: FileSystem, folders: LeaseFolders, ttlMs: number) {
    this.#files = files;
    this.#folders = folders;
    this.#ttlMs = ttlMs;
  }

  /**
   * Tries once; undefined when another live process holds it.
   * @param onHeld told its token @throws the file system's error when leases can't be kept
   */
  async tryAcquire(key: string, onHeld?: (holder: string) => void): Promise<Lease | undefined> {
    const token = processToken();
    const [holder] = await listFolder(this.#files, join(this.#folders.leases, key));
    if (holder === undefined) {
      if (!(await this.#create(key, token))) return undefined;
    } else if (!(await this.#isLost(key, holder)) || !(await this.#takeOver(key, holder, token))) {
      onHeld?.(holder);
      return undefined;
    }
    this.#seen.delete(key);
    return this.#held(key, token);
  }

  /** Removes leases whose holders have died on this machine. */
  async sweep(): Promise<void> {
    for (const key of await listFolder(this.#files, this.#folders.leases)) {
      for (const token of await listFolder(this.#files, join(this.#folders.leases, key))) {
        if (isFromDeadProcess(token)) await this.#remove(key, token);
      }
    }
  }

  /** A folder that holds a token replaces an empty folder or none, never one that holds a token. */
  async #create(key: string, token: string): Promise<boolean> {
    const made = join(this.#folders.tmp, token);
    await this.#files.makeFolder(join(made, token), this.#folders.mode);
    try {
      await this.#files.rename(made, join(this.#folders.leases, key));
      return true;
    } catch (error) {
      await this.#files.removeFolder(join(made, token)).catch(() => {});
      await this.#files.removeFolder(made).catch(() => {});
      const code = errorCode(error);
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
      throw error;
    }
  }

  async #isLost(key: string, holder: string): Promise<boolean> {
    if (isFromDeadProcess(holder)) return true;
    let modifiedMs: number;
    try {
      ({ modifiedMs } = await this.#files.stat(join(this.#folders.leases, key, holder)));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
    const now = performance.now();
    const seen = this.#seen.get(key);
    if (seen === undefined || seen.token !== holder || seen.modifiedMs !== modifiedMs) {
      this.#seen.set(key, { token: holder, modifiedMs, sinceMs: now });
      return false;
    }
    return now - seen.sinceMs >= this.#ttlMs;
  }

  /** Of several that try, one finds the old folder. */
  async #takeOver(key: string, from: string, token: string): Promise<boolean> {
    const folder = join(this.#folders.leases, key);
    try {
      // Alive first, so that nobody takes the new holder for as silent as the old one.
      await this.#files.touch(join(folder, from));
      await this.#files.rename(join(folder, from), join(folder, token));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
    for (const name of await listFolder(this.#files, join(folder, token))) {
      await this.#files.remove(join(folder, token, name)).catch(() => {});
    }
    return true;
  }

  #held(key: string, token: string): Lease {
    const folder = join(this.#folders.leases, key, token);
    const beat = setInterval(() => {
      this.#files.touch(folder).catch((error: unknown) => {
        if (errorCode(error) === 'ENOENT') clearInterval(beat);
      });
    }, this.#ttlMs / 3);
    beat.unref();
    const release = async (): Promise<void> => {
      clearInterval(beat);
      await this.#remove(key, token);
    };
    return { key, token, folder, release };
  }

  /** Of a lease that another took over nothing is left to remove. */
  async #remove(key: string, token: string): Promise<void> {
    const folder = join(this.#folders.leases, key, token);
    for (const name of await listFolder(this.#files, folder).catch(() => [])) {
      await this.#files.remove(join(folder, name)).catch(() => {});
    }
    await this.#files.removeFolder(folder).catch(() => {});
    await this.#files.removeFolder(join(this.#folders.leases, key)).catch(() => {});
  }
}

/** The lease, given back if there was nothing left to compute before it was had. */
export async function unlessDone(
  lease: Lease,
  isDone: () => Promise<boolean>,
): Promise<Lease | 'stored'> {
  let isNeeded = false;
  try {
    isNeeded = !(await isDone());
  } finally {
    if (!isNeeded) await lease.release();
  }
  return isNeeded ? lease : 'stored';
}
