/**
 * The durable tier: results by lineage key in a folder shared by all processes and runs. Invariants: a value is whole
 * and verified or it is a miss; a failing disk never fails a computation; limits hold under parallel writers, to within
 * the entry just written. Files appear by write, fsync, rename, fsync of the folder (Pillai et al., OSDI 2014).
 *
 * folder/v1/objects/<2 hex>/<key>   one file a result, see entry-format.ts
 * folder/v1/tmp, quarantine, leases  files being written, damaged ones, who computes what
 * folder/v1/usage.json               bytes and count, rebuilt when absent or damaged
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import type { LineageKey } from '../../ir/lineage-key.js';
import {
  DamagedEntry,
  decode,
  decodeHeader,
  encode,
  type StoredHeader,
  type StoredMeta,
  type StoredValue,
} from './entry-format.js';
import { chooseVictims } from './eviction.js';
import { errorCode, type FileSystem, nodeFileSystem } from './file-system.js';
import { type Lease, readFence, tryLease } from './lease.js';

export interface DurableStoreOptions {
  /** Default 10 GiB. @units bytes */
  readonly maxBytes?: number;
  /** Default 100,000. */
  readonly maxEntries?: number;
  /** Entries not read for longer are dropped by `gc` and when space is short. Default 90 days. @units seconds */
  readonly maxAgeSeconds?: number;
  /** A computing process silent for this long has lost its lease. Default 10 s. @units ms */
  readonly leaseMs?: number;
  /** Entries of another user are refused unless this is set. Default false. */
  readonly trustOtherUsers?: boolean;
  /** Told once about each kind of trouble: read-only, full, damaged. */
  readonly onWarning?: (message: string) => void;
  /** For fault injection. */
  readonly fileSystem?: FileSystem;
}

export interface StoreEntry {
  readonly header: StoredHeader;
  readonly bytes: number;
  /** Last written or read. @units ms since 1970 */
  readonly usedMs: number;
}

export interface StoreCounters {
  reads: number;
  hits: number;
  writes: number;
  damaged: number;
  evicted: number;
}

interface Usage {
  readonly bytes: number;
  readonly entries: number;
}

const HEAD_BYTES = 4096;
const KEY = /^[0-9a-f]{64}$/;
const LOCK_STALE_MS = 5000;
const LOCK_WAIT_MS = 30_000;
const LEASE_POLL_MS = 40;
const TMP_AGE_MS = 3_600_000;

export class DurableStore {
  readonly folder: string;
  readonly counters: StoreCounters = { reads: 0, hits: 0, writes: 0, damaged: 0, evicted: 0 };
  /** Why nothing is written any more; undefined while all is well. */
  disabledReason: string | undefined;
  readonly #fs: FileSystem;
  readonly #options: Required<Omit<DurableStoreOptions, 'onWarning' | 'fileSystem'>>;
  readonly #onWarning: (message: string) => void;
  readonly #warned = new Set<string>();
  readonly #keys = new Set<LineageKey>();
  /** Locks within the process, since lock files only keep processes apart. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, options: DurableStoreOptions) {
    this.folder = join(folder, 'v1');
    this.#fs = options.fileSystem ?? nodeFileSystem;
    this.#onWarning = options.onWarning ?? (() => {});
    this.#options = {
      maxBytes: options.maxBytes ?? 10 * 1024 ** 3,
      maxEntries: options.maxEntries ?? 100_000,
      maxAgeSeconds: options.maxAgeSeconds ?? 90 * 86_400,
      leaseMs: options.leaseMs ?? 10_000,
      trustOtherUsers: options.trustOtherUsers ?? false,
    };
  }

  /** Opens or makes a store. Never throws: a folder that can't be used is a store that always misses. */
  static async open(folder: string, options: DurableStoreOptions = {}): Promise<DurableStore> {
    const store = new DurableStore(folder, options);
    try {
      for (const name of ['objects', 'tmp', 'quarantine', 'leases']) {
        await store.#fs.makeFolder(join(store.folder, name));
      }
      if (!(await store.#fs.isWritable(store.folder))) store.#disable('the folder is read-only');
    } catch (error) {
      store.#disable(describe(error));
    }
    await store.refresh();
    return store;
  }

  /** Looks again at which keys are there; other processes write too. */
  async refresh(): Promise<void> {
    this.#keys.clear();
    const shards = await this.#fs.list(join(this.folder, 'objects')).catch(() => []);
    for (const shard of shards) {
      const names = await this.#fs.list(join(this.folder, 'objects', shard)).catch(() => []);
      for (const name of names) if (KEY.test(name)) this.#keys.add(name);
    }
  }

  /** Whether the key was there when last looked; no disk access. */
  has(key: LineageKey): boolean {
    return this.#keys.has(key);
  }

  /** The verified value, or undefined: absent, damaged (then put aside) or unreadable. */
  async get(key: LineageKey): Promise<{ value: StoredValue; header: StoredHeader } | undefined> {
    this.counters.reads++;
    const path = this.#path(key);
    let bytes: Buffer;
    try {
      const { uid } = await this.#fs.stat(path);
      if (!this.#isTrusted(uid)) {
        this.#warn('owner', `an entry of user ${uid} was refused`);
        return undefined;
      }
      bytes = await this.#fs.read(path);
    } catch (error) {
      this.#keys.delete(key);
      if (errorCode(error) !== 'ENOENT')
        this.#warn('read', `reading ended with ${describe(error)}`);
      return undefined;
    }
    try {
      const { header, value } = decode(key, bytes);
      this.counters.hits++;
      this.#keys.add(key);
      await this.#fs.touch(path).catch(() => {});
      return { header, value };
    } catch (error) {
      if (!(error instanceof DamagedEntry)) throw error;
      await this.#quarantine(key, error.message);
      return undefined;
    }
  }

  /**
   * Stores a value; false when it could not (full, read-only, over the limits, lease lost). Never throws.
   * @param lease when given, a later holder of the key makes this a refusal
   */
  async put(
    key: LineageKey,
    value: StoredValue,
    meta: StoredMeta,
    lease?: Lease,
  ): Promise<boolean> {
    if (this.disabledReason !== undefined) return false;
    const pieces = encode(key, value, meta);
    const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    if (bytes > this.#options.maxBytes) return false;
    const tmp = join(this.folder, 'tmp', `${key}.${process.pid}.${randomBytes(4).toString('hex')}`);
    try {
      await this.#fs.writeNew(tmp, pieces);
      return await this.#exclusively(async () => {
        if (
          lease !== undefined &&
          (await readFence(join(this.folder, 'leases'), key)) !== lease.fence
        ) {
          await this.#fs.remove(tmp);
          return false;
        }
        const before = await this.#fs.stat(this.#path(key)).catch(() => undefined);
        const usage = await this.#makeSpace(
          bytes - (before?.bytes ?? 0),
          before === undefined ? 1 : 0,
        );
        const shard = join(this.folder, 'objects', key.slice(0, 2));
        await this.#fs.makeFolder(shard);
        // The usage is raised first: a crash in between over-counts, and an over-count mends itself on the next sweep.
        await this.#writeUsage(usage);
        await this.#fs.rename(tmp, this.#path(key));
        await this.#fs.syncFolder(shard);
        this.#keys.add(key);
        this.counters.writes++;
        return true;
      });
    } catch (error) {
      await this.#fs.remove(tmp).catch(() => {});
      const code = errorCode(error);
      if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EACCES') {
        this.#disable(describe(error));
      } else this.#warn('write', `writing ended with ${describe(error)}`);
      return false;
    }
  }

  /**
   * The right to compute `key`, or `stored` once another process has. Undefined when leases can't be kept here
   * (read-only, say): then compute.
   */
  async lease(key: LineageKey, signal?: AbortSignal): Promise<Lease | 'stored' | undefined> {
    if (this.disabledReason !== undefined) return undefined;
    for (;;) {
      signal?.throwIfAborted();
      try {
        const lease = await tryLease(
          join(this.folder, 'leases'),
          key,
          { ttlMs: this.#options.leaseMs },
          (work) => this.#exclusively(work),
        );
        if (lease !== undefined) {
          if (!(await this.#isThere(key))) return lease;
          await lease.release();
          return 'stored';
        }
      } catch (error) {
        this.#warn('lease', `leases can't be kept: ${describe(error)}`);
        return undefined;
      }
      await sleep(LEASE_POLL_MS * (0.5 + Math.random()));
      if (await this.#isThere(key)) return 'stored';
    }
  }

  /** Every entry, unverified. */
  async entries(): Promise<StoreEntry[]> {
    await this.refresh();
    const found: StoreEntry[] = [];
    for (const key of this.#keys) {
      try {
        const { bytes, modifiedMs } = await this.#fs.stat(this.#path(key));
        const header = decodeHeader(await this.#fs.readHead(this.#path(key), HEAD_BYTES));
        found.push({ header, bytes, usedMs: modifiedMs });
      } catch (error) {
        if (error instanceof DamagedEntry) await this.#quarantine(key, error.message);
      }
    }
    return found;
  }

  /** Reads every entry; damaged ones are put aside. */
  async verify(): Promise<{ readonly good: number; readonly damaged: readonly LineageKey[] }> {
    await this.refresh();
    const keys = [...this.#keys];
    const damaged: LineageKey[] = [];
    for (const key of keys) {
      const before = this.counters.damaged;
      await this.get(key);
      if (this.counters.damaged > before) damaged.push(key);
    }
    return { good: keys.length - damaged.length, damaged };
  }

  /** Drops what is too old or over the limits, and files left by crashes. @returns what went, or would go */
  async gc(options: { readonly dryRun?: boolean } = {}): Promise<StoreEntry[]> {
    const entries = await this.entries();
    const victims = chooseVictims(entries, {
      freeBytes: entries.reduce((sum, entry) => sum + entry.bytes, 0) - this.#options.maxBytes,
      freeEntries: entries.length - this.#options.maxEntries,
      maxAgeSeconds: this.#options.maxAgeSeconds,
    });
    if (options.dryRun || this.disabledReason !== undefined) return victims;
    await this.#exclusively(async () => {
      for (const { header } of victims) await this.#drop(header.key);
      await this.#sweep();
      await this.#writeUsage(await this.#measure());
    });
    return victims;
  }

  /** Drops everything. */
  async clear(): Promise<number> {
    const entries = await this.entries();
    await this.#exclusively(async () => {
      for (const { header } of entries) await this.#drop(header.key);
      await this.#writeUsage({ bytes: 0, entries: 0 });
    });
    return entries.length;
  }

  #path(key: LineageKey): string {
    return join(this.folder, 'objects', key.slice(0, 2), key);
  }

  #isTrusted(uid: number): boolean {
    const own = process.getuid?.();
    return this.#options.trustOtherUsers || own === undefined || uid === own || uid === 0;
  }

  async #isThere(key: LineageKey): Promise<boolean> {
    const there = await this.#fs.stat(this.#path(key)).then(
      () => true,
      () => false,
    );
    if (there) this.#keys.add(key);
    return there;
  }

  /** Room for one more entry; returns the usage once it is in. Called under the store's lock. */
  async #makeSpace(moreBytes: number, moreEntries: number): Promise<Usage> {
    const { maxBytes, maxEntries, maxAgeSeconds } = this.#options;
    let usage = (await this.#readUsage()) ?? (await this.#measure());
    if (usage.bytes + moreBytes > maxBytes || usage.entries + moreEntries > maxEntries) {
      const entries = await this.entries();
      usage = await this.#measure();
      const victims = chooseVictims(entries, {
        freeBytes: usage.bytes + moreBytes - maxBytes * 0.9,
        freeEntries: usage.entries + moreEntries - maxEntries * 0.9,
        maxAgeSeconds,
      });
      for (const { header, bytes } of victims) {
        await this.#drop(header.key);
        this.counters.evicted++;
        usage = { bytes: usage.bytes - bytes, entries: usage.entries - 1 };
      }
    }
    return { bytes: usage.bytes + moreBytes, entries: usage.entries + moreEntries };
  }

  async #drop(key: LineageKey): Promise<void> {
    this.#keys.delete(key);
    await this.#fs.remove(this.#path(key));
    await this.#fs.remove(join(this.folder, 'leases', `${key}.fence`));
  }

  async #quarantine(key: LineageKey, reason: string): Promise<void> {
    this.counters.damaged++;
    this.#keys.delete(key);
    this.#warn(
      `damaged ${key}`,
      `entry ${key.slice(0, 12)} is damaged (${reason}) and was put aside`,
    );
    const aside = join(this.folder, 'quarantine', `${key}.${Date.now()}`);
    await this.#fs.rename(this.#path(key), aside).catch(() => {});
  }

  async #readUsage(): Promise<Usage | undefined> {
    try {
      const usage = JSON.parse(
        (await this.#fs.read(join(this.folder, 'usage.json'))).toString(),
      ) as Usage;
      const isSound =
        Number.isFinite(usage.bytes) && Number.isFinite(usage.entries) && usage.bytes >= 0;
      return isSound ? usage : undefined;
    } catch {
      return undefined;
    }
  }

  async #writeUsage(usage: Usage): Promise<void> {
    const tmp = join(this.folder, 'tmp', `usage.${process.pid}.${randomBytes(4).toString('hex')}`);
    await this.#fs.writeNew(tmp, [Buffer.from(JSON.stringify(usage))]);
    await this.#fs.rename(tmp, join(this.folder, 'usage.json'));
  }

  async #measure(): Promise<Usage> {
    await this.refresh();
    let bytes = 0;
    for (const key of this.#keys) {
      bytes += await this.#fs.stat(this.#path(key)).then(
        (stat) => stat.bytes,
        () => 0,
      );
    }
    return { bytes, entries: this.#keys.size };
  }

  /** Removes files a crash left in tmp. */
  async #sweep(): Promise<void> {
    const folder = join(this.folder, 'tmp');
    for (const name of await this.#fs.list(folder)) {
      const stat = await this.#fs.stat(join(folder, name)).catch(() => undefined);
      if (stat !== undefined && Date.now() - stat.modifiedMs > TMP_AGE_MS) {
        await this.#fs.remove(join(folder, name));
      }
    }
  }

  /** Runs `work` while no other process or caller changes the store. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(async () => {
      const deadline = Date.now() + LOCK_WAIT_MS;
      for (;;) {
        try {
          const unlock = await lockfile.lock(join(this.folder, 'store'), {
            realpath: false,
            stale: LOCK_STALE_MS,
            onCompromised: () => {},
          });
          try {
            return await work();
          } finally {
            await unlock().catch(() => {});
          }
        } catch (error) {
          if (errorCode(error) !== 'ELOCKED' || Date.now() > deadline) throw error;
          await sleep(2 + Math.random() * 10);
        }
      }
    });
    this.#turn = run.catch(() => {});
    return run;
  }

  #disable(reason: string): void {
    this.disabledReason = reason;
    this.#warn('disabled', `results are not kept: ${reason}`);
  }

  #warn(kind: string, message: string): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#onWarning(`store ${this.folder}: ${message}`);
  }
}

function describe(error: unknown): string {
  return errorCode(error) ?? (error instanceof Error ? error.message : String(error));
}
