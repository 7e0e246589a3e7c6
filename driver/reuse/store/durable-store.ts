/**
 * The durable tier: results by lineage key in a folder all processes and runs share. Invariants: a
 * value is whole and verified or a miss; a failing disk never fails a computation; limits hold
 * under parallel writers. Files appear by write, fsync, rename, fsync (Pillai et al., OSDI 2014).
 *
 * folder/v1/objects/<2 hex>/<key>     one file a result, see entry-format.ts
 * folder/v1/index                     what is there; made again from the files when damaged
 * folder/v1/siblings                  which results share an input, see sibling-files.ts
 * folder/v1/tmp, quarantine, leases   files being written, damaged ones, who computes what
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ResourceError } from '../../errors.js';
import type { LineageKey } from '../../ir/lineage-key.js';
import type { StoredHeader, StoredMeta, StoredValue } from './entry-format.js';
import { describeError, errorCode, type FileSystem, nodeFileSystem } from './file-system.js';
import { checkKey, headerOf, type IndexEntry } from './index-record.js';
import { type Lease, Leases, unlessDone } from './lease.js';
import {
  adoptFiles,
  describeFiles,
  listKeys,
  type StoreParts,
  sweep,
  sweepQuarantine,
  type Verification,
} from './maintenance.js';
import { Publisher } from './publisher.js';
import { type Found, Reader } from './reader.js';
import { addSibling, readSiblings, type StoredSibling } from './sibling-files.js';
import { Slots } from './slots.js';
import { StoreFolder } from './store-folder.js';
import { StoreIndex } from './store-index.js';
import { clearAll, collectGarbage, isFull, overLimits, QUARANTINE_SHARE } from './upkeep.js';

export interface DurableStoreOptions {
  /** Default 10 GiB. @units bytes */
  readonly maxBytes?: number;
  /** Default 100,000. */
  readonly maxEntries?: number;
  /** Entries not used for longer are dropped. Default 90 days. @units seconds */
  readonly maxAgeSeconds?: number;
  /** A computing process silent for this long has lost its lease. Default 10 s. @units ms */
  readonly leaseMs?: number;
  /** If false, refuses other users' entries, and files are for their owner only. Default false. */
  readonly trustOtherUsers?: boolean;
  /** Name of the run that results put here are from. Default: none. */
  readonly origin?: string;
  /** Told once about each kind of trouble: read-only, full, damaged. */
  readonly onWarning?: (message: string) => void;
  /** For fault injection. */
  readonly fileSystem?: FileSystem;
}

export interface StoreEntry {
  /** Operator names longer than 48 characters are cut. */
  readonly header: StoredHeader;
  readonly bytes: number;
  /** Last written or read, to within an hour. @units ms since 1970 */
  readonly usedMs: number;
}

export interface StoreCounters {
  reads: number;
  hits: number;
  writes: number;
  damaged: number;
  evicted: number;
}

/** One at work for each thread of libuv's pool. */
const READERS = 4;
const LEASE_POLL_MS = { first: 15, most: 250 };
/** Holders waited for before the result is taken for one that is not kept. */
const MOST_HOLDERS = 2;
/** Errors after which nothing is written any more. */
const FATAL = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'ENOTDIR']);

export class DurableStore {
  readonly folder: string;
  readonly counters: StoreCounters = { reads: 0, hits: 0, writes: 0, damaged: 0, evicted: 0 };
  /** Results read, by the run that made them; those of runs without a name under none. */
  readonly answered = new Map<string, number>();
  /** Why nothing is written any more; undefined while all is well. */
  disabledReason: string | undefined;
  readonly #parts: StoreParts;
  readonly #limits: Required<
    Pick<DurableStoreOptions, 'maxBytes' | 'maxEntries' | 'maxAgeSeconds'>
  >;
  readonly #publisher: Publisher;
  readonly #reader: Reader;
  readonly #onWarning: (message: string) => void;
  readonly #origin: string | undefined;
  /** Whether that is for want of room, so that taking away still helps. */
  #isFull = false;
  /** Whether the files were listed in place of an index. */
  #isAdopted = false;
  readonly #warned = new Set<string>();
  readonly #reading = new Slots(READERS);

  private constructor(path: string, options: DurableStoreOptions) {
    const files = options.fileSystem ?? nodeFileSystem;
    const folder = new StoreFolder(files, path, options.trustOtherUsers ?? false);
    this.folder = folder.root;
    this.#onWarning = options.onWarning ?? (() => {});
    this.#origin = options.origin;
    this.#limits = {
      maxBytes: options.maxBytes ?? 10 * 1024 ** 3,
      maxEntries: options.maxEntries ?? 100_000,
      maxAgeSeconds: options.maxAgeSeconds ?? 90 * 86_400,
    };
    const places = { leases: folder.leases, tmp: folder.tmp, mode: folder.folderMode };
    this.#parts = {
      files,
      folder,
      index: new StoreIndex(files, folder.index, folder.fileMode),
      leases: new Leases(files, places, options.leaseMs ?? 10_000),
    };
    const { counters } = this;
    const isStopped = (): boolean => this.disabledReason !== undefined;
    this.#publisher = new Publisher(this.#parts, this.#limits, counters, isStopped);
    this.#reader = new Reader(this.#parts, this.#publisher, {
      maxAgeSeconds: this.#limits.maxAgeSeconds,
      counters,
      isStopped,
      warn: (kind, message) => this.#warn(kind, message),
    });
  }

  /** Opens or makes a store. Never throws: with an unusable folder the store always misses. */
  static async open(folder: string, options: DurableStoreOptions = {}): Promise<DurableStore> {
    const store = new DurableStore(folder, options);
    await store.#open();
    return store;
  }

  async #open(): Promise<void> {
    try {
      const reason = await this.#parts.folder.make();
      if (reason !== undefined) this.#disable(reason);
      else {
        await sweep(this.#parts);
        await sweepQuarantine(this.#parts, this.#limits.maxBytes * QUARANTINE_SHARE);
      }
    } catch (error) {
      this.#trouble('opening', error);
    }
    await this.refresh();
  }

  /** Looks at what other processes wrote and dropped; costs only what is new. Never throws. */
  async refresh(): Promise<void> {
    const { index } = this.#parts;
    try {
      if (this.#isAdopted || (await index.refresh())) return;
      if (this.disabledReason === undefined) await this.#publisher.mendIndex();
      else {
        await adoptFiles(this.#parts);
        this.#isAdopted = true;
      }
    } catch (error) {
      this.#trouble('reading the index', error);
    }
  }

  /** Whether the key was there when last looked (`refresh`); no disk access. */
  has(key: LineageKey): boolean {
    return this.#parts.index.has(key) && !this.#reader.refused.has(key);
  }

  /** Hints at stored results under an input: each must be asked for by a new key. Never throws. */
  async siblings(input: LineageKey): Promise<StoredSibling[]> {
    checkKey(input);
    try {
      return (await readSiblings(this.#parts, input)).filter(({ key }) => this.has(key));
    } catch (error) {
      this.#warn('siblings', `reading what shares an input ended with ${describeError(error)}`);
      return [];
    }
  }

  /** Notes that a stored result shares this input. Never throws. */
  async noteSibling(input: LineageKey, sibling: StoredSibling): Promise<void> {
    if (this.disabledReason !== undefined) return;
    await addSibling(this.#parts, input, sibling).catch((error) => this.#trouble('noting', error));
  }

  /** The value, verified; undefined if absent, damaged, foreign or unreadable. Never throws. */
  get(key: LineageKey): Promise<Found | undefined> {
    checkKey(key);
    this.counters.reads++;
    return this.#reading.run(async () => {
      const found = await this.#reader.read(key);
      if (typeof found === 'string') return undefined;
      this.counters.hits++;
      const { origin = '' } = found.header;
      this.answered.set(origin, (this.answered.get(origin) ?? 0) + 1);
      await this.#reader.markUsed(key, found);
      return found;
    });
  }

  /**
   * Stores a value; false when it could not (full, read-only, larger than the limit, lease lost).
   * Never throws. The value must not change meanwhile. What is there already stays: equal keys mean
   * equal values.
   * @param lease when given, a later holder of the key makes this a refusal
   */
  async put(
    key: LineageKey,
    value: StoredValue,
    meta: StoredMeta,
    lease?: Lease,
  ): Promise<boolean> {
    checkKey(key);
    if (this.disabledReason !== undefined) return false;
    try {
      const own = { ...meta, origin: this.#origin };
      const isStored = await this.#publisher.publish(key, value, own, lease);
      if (isStored) this.#reader.refused.delete(key);
      return isStored;
    } catch (error) {
      this.#trouble('writing', error);
      return false;
    }
  }

  /** What is in place or on its way in, when last looked. @units bytes */
  usage(): { readonly entries: number; readonly bytes: number } {
    const { records, bytes } = this.#parts.index;
    return { entries: records.size, bytes };
  }

  /** Whether a matrix of so many bytes could be kept at all. @units bytes */
  couldKeep(bytes: number): boolean {
    return this.disabledReason === undefined && bytes < this.#limits.maxBytes;
  }

  /**
   * The right to compute `key`, waiting while another process has it; `stored` once the result is
   * there. Undefined when leases can't be kept here, or when others held it one after the other and
   * left no result: then compute, as nobody may wait in a row. @throws the signal's reason
   * @param isDone whether there is nothing left to wait for; default: the key is stored
   */
  async lease(
    key: LineageKey,
    signal?: AbortSignal,
    isDone = (): Promise<boolean> => this.#isStored(key),
  ): Promise<Lease | 'stored' | undefined> {
    checkKey(key);
    const holders = new Set<string>();
    let waitMs = LEASE_POLL_MS.first;
    for (;;) {
      signal?.throwIfAborted();
      if (this.disabledReason !== undefined) return undefined;
      try {
        if (await isDone()) return 'stored';
        const lease = await this.#parts.leases.tryAcquire(key, (holder) => holders.add(holder));
        if (lease !== undefined) return await unlessDone(lease, isDone);
        if (holders.size > MOST_HOLDERS) return undefined;
      } catch (error) {
        this.#trouble('keeping a lease', error);
        return undefined;
      }
      await sleep(waitMs * (0.5 + Math.random()), undefined, signal ? { signal } : {}).catch(
        () => {},
      );
      waitMs = Math.min(LEASE_POLL_MS.most, waitMs * 1.5);
    }
  }

  /** Whether the key is in place; `has` then says the same. */
  async #isStored(key: LineageKey): Promise<boolean> {
    const isStored = await this.#publisher.isStored(key);
    if (isStored) this.#reader.refused.delete(key);
    return isStored;
  }

  /** Every entry the index knows, unverified, last used first. */
  async entries(): Promise<StoreEntry[]> {
    await this.refresh();
    if (this.#isAdopted) await describeFiles(this.#parts);
    const { records } = this.#parts.index;
    const entries = [...records].filter(([key]) => this.has(key)).map(storeEntry);
    return entries.sort((a, b) => b.usedMs - a.usedMs);
  }

  /** Reads all files and puts damaged ones aside. @throws ResourceError, the signal's reason */
  async verify(
    options: {
      readonly signal?: AbortSignal;
      readonly onProgress?: (done: number, total: number) => void;
    } = {},
  ): Promise<Verification> {
    await this.refresh();
    const keys = await this.#maintain('verify', () => listKeys(this.#parts));
    const damaged: LineageKey[] = [];
    const stuck: LineageKey[] = [];
    let good = 0;
    let refused = 0;
    let done = 0;
    const check = async (key: LineageKey): Promise<void> => {
      options.signal?.throwIfAborted();
      const found = await this.#reader.read(key);
      if (typeof found !== 'string') good++;
      else if (found === 'aside') damaged.push(key);
      else if (found === 'unreadable') stuck.push(key);
      else if (found === 'refused') refused++;
      options.onProgress?.(++done, keys.length);
    };
    await Promise.all(keys.map((key) => this.#reading.run(() => check(key))));
    return { good, damaged, stuck, refused };
  }

  /**
   * Drops what is too old or over the limits and what crashes left, and makes the index agree with
   * the files.
   * @returns what went, or with `dryRun` would go @throws ResourceError if the folder can't be
   *   written
   */
  async gc(options: { readonly dryRun?: boolean } = {}): Promise<StoreEntry[]> {
    if (options.dryRun) {
      await this.refresh();
      return overLimits(this.#parts, this.#limits).map(storeEntry);
    }
    const gone: StoreEntry[] = [];
    await this.#change('gc', async () => {
      const dropped = await collectGarbage(this.#parts, this.#limits);
      gone.push(...dropped.map(storeEntry));
    });
    return gone;
  }

  /** Number of damaged files put aside. */
  async quarantined(): Promise<number> {
    const { files, folder } = this.#parts;
    return (await files.list(folder.quarantine).catch(() => [])).length;
  }

  /** Drops everything, files put aside too; returns the entry count. @throws ResourceError */
  async clear(): Promise<number> {
    let dropped = 0;
    await this.#change('clear', async () => {
      dropped += await clearAll(this.#parts);
    });
    return dropped;
  }

  async #maintain<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#publisher.withIndex(work);
    } catch (cause) {
      const { folder } = this;
      const text = isFull(cause)
        ? `room on the disk of ${folder}, got ${describeError(cause)}; free some, or drop all results by \`reprise cache clear\``
        : `a usable folder ${folder}, got ${describeError(cause)}`;
      throw new ResourceError(
        `store ${what}: expected ${text}`,
        { resource: 'disk', folder },
        { cause },
      );
    }
  }

  /** As `#maintain`, for what takes away: not where nothing may be changed, but on a full disk. */
  async #change(what: string, work: () => Promise<void>): Promise<void> {
    if (this.disabledReason !== undefined && !this.#isFull) {
      throw new ResourceError(
        `store ${what}: expected a writable folder ${this.folder}, got: ${this.disabledReason}`,
        { resource: 'disk', folder: this.folder },
      );
    }
    await this.#maintain(what, work);
    this.#isAdopted = false;
  }

  #trouble(doing: string, error: unknown): void {
    if (FATAL.has(errorCode(error) ?? '')) {
      this.#isFull ||= isFull(error);
      this.#disable(describeError(error));
    } else this.#warn(doing, `${doing} ended with ${describeError(error)}`);
  }

  #disable(reason: string): void {
    if (this.disabledReason !== undefined) return;
    this.#warn('disabled', `results are not kept: ${reason}`);
    this.disabledReason = reason;
  }

  /** One warning a kind, and after the store was given up only about damage. */
  #warn(kind: string, message: string): void {
    if (this.#warned.has(kind) || (this.disabledReason !== undefined && kind !== 'damaged')) return;
    this.#warned.add(kind);
    this.#onWarning(`store ${this.folder}: ${message}`);
  }
}

function storeEntry([key, record]: IndexEntry): StoreEntry {
  return { header: headerOf(key, record), bytes: record.bytes, usedMs: record.usedMs };
}
