/**
 * How a result gets into the store. Invariant: at no time do the files in place take more than the
 * limits, whatever number of processes write, without a lock: a writer enters its entry in the
 * index as on its way, then frees space until the index, its own and all earlier entries counted,
 * is within the limits, then puts the file in place and says so in the index. Of the files in place
 * the one whose writer looked last had counted all the others. What crashes leave counted is
 * evicted like any other entry, or goes when the index is next made again.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LineageKey } from '../../ir/lineage-key.js';
import { processToken } from '../../support/process-token.js';
import {
  DamagedEntry,
  type EncodedEntry,
  encodeEntry,
  OtherFormat,
  readHeader,
  type StoredMeta,
  type StoredValue,
  writeEntry,
} from './entry-format.js';
import { chooseVictims } from './eviction.js';
import { errorCode, isThere, NOT_PLAIN, withFile } from './file-system.js';
import { type IndexRecord, recordOf } from './index-record.js';
import type { Lease } from './lease.js';
import {
  compactIndex,
  dropEntries,
  isWorthCompacting,
  rebuildIndex,
  type StoreParts,
} from './maintenance.js';
import { Slots } from './slots.js';
import { NoIndex } from './store-index.js';

export interface StoreLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
  readonly maxAgeSeconds: number;
}

const WRITERS = 4;
/** How far below the limits an eviction goes, so that the next writes need none. */
const LOW_WATER = 0.9;
const SPACE_TRIES = 4;
/** Something else may remove the index again and again. */
const INDEX_TRIES = 6;
const INDEX_WAIT_MS = 30_000;
const INDEX_POLL_MS = 25;
/** The index is made anew from the files this often: a machine's failure may lose an append. */
const INDEX_AGE_MS = 7 * 24 * 3_600_000;
const AGE_CHECK_MS = 60_000;
const TIDY_MS = 1000;

export class Publisher {
  readonly #parts: StoreParts;
  readonly #limits: StoreLimits;
  readonly #counters: { writes: number; evicted: number };
  readonly #isStopped: () => boolean;
  readonly #writers = new Slots(WRITERS);
  readonly #evicting = new Slots(1);
  #nextAgeCheckMs = 0;
  #nextTidyMs = 0;

  /** @param isStopped whether nothing may be written any more */
  constructor(
    parts: StoreParts,
    limits: StoreLimits,
    counters: { writes: number; evicted: number },
    isStopped: () => boolean,
  ) {
    this.#parts = parts;
    this.#limits = limits;
    this.#counters = counters;
    this.#isStopped = isStopped;
  }

  /** True once the value is in place, by this call or before. @throws the file system's error */
  publish(
    key: LineageKey,
    value: StoredValue,
    meta: StoredMeta,
    lease: Lease | undefined,
  ): Promise<boolean> {
    return this.#writers.run(async () => {
      // Those that waited for their turn stop too.
      if (this.#isStopped()) return false;
      const entry = encodeEntry(key, value, meta);
      if (entry.bytes > this.#limits.maxBytes || this.#limits.maxEntries < 1) return false;
      if (lease !== undefined && !(await isThere(this.#parts.files, lease.folder))) return false;
      if (await this.isStored(key)) return true;
      const { tmp } = this.#parts.folder;
      const token = processToken();
      const made = lease === undefined ? join(tmp, token) : join(lease.folder, token);
      return this.#publishFrom(made, key, entry);
    });
  }

  /** Whether a file of this format and of a trusted user is in place; the index then knows it. */
  async isStored(key: LineageKey): Promise<boolean> {
    const { files, folder, index } = this.#parts;
    try {
      return await withFile(files, folder.entry(key), 'read', folder.fileMode, async (file) => {
        const { uid, bytes, modifiedMs } = await file.stat();
        if (!folder.isTrusted(uid)) return false;
        const header = await readHeader(file);
        if (!index.has(key)) await index.refresh();
        if (!index.has(key)) await this.adopt(key, recordOf(header, bytes, modifiedMs));
        return true;
      });
    } catch (error) {
      const isAbsent = ['ENOENT', 'ESTALE', NOT_PLAIN].includes(errorCode(error) ?? '');
      if (isAbsent || error instanceof DamagedEntry || error instanceof OtherFormat) return false;
      throw error;
    }
  }

  /** Takes a file into the index that it did not know; in memory only when it can't be written. */
  async adopt(key: LineageKey, record: IndexRecord): Promise<void> {
    const { index } = this.#parts;
    if (this.#isStopped()) index.adopt(key, record);
    else await index.add(key, record).catch(() => index.adopt(key, record));
  }

  /** Makes the index anew from the files, or waits for who does. @throws the file system's error */
  async mendIndex(): Promise<void> {
    const deadline = performance.now() + INDEX_WAIT_MS;
    while (!(await this.#parts.index.refresh()) && !(await rebuildIndex(this.#parts))) {
      await sleep(INDEX_POLL_MS);
      if (performance.now() > deadline) {
        throw new Error(`the index was not made again within ${INDEX_WAIT_MS / 1000} s`);
      }
    }
  }

  async #publishFrom(made: string, key: LineageKey, entry: EncodedEntry): Promise<boolean> {
    const { files, folder } = this.#parts;
    const record = recordOf(entry.header, entry.bytes, Date.now());
    let isReserved = false;
    let isInPlace = false;
    try {
      await withFile(files, made, 'create', folder.fileMode, async (file) => {
        await writeEntry(file, entry);
        await file.sync();
      });
      isReserved = true;
      if (await this.#reserve(key, { ...record, maker: processToken() })) {
        await this.#putInPlace(made, key);
        isInPlace = true;
        await folder.syncShard(key);
        await this.withIndex(() => this.#parts.index.add(key, record));
        this.#counters.writes++;
        await this.#tidyIndex();
        return true;
      }
    } catch (error) {
      await this.#undo(made, key, isReserved && !isInPlace ? record : undefined);
      // The folder of a lease that was lost is gone.
      if (errorCode(error) === 'ENOENT' && !(await isThere(this.#parts.files, join(made, '..'))))
        return false;
      throw error;
    }
    await this.#undo(made, key, isInPlace ? undefined : record);
    return false;
  }

  async #undo(made: string, key: LineageKey, record: IndexRecord | undefined): Promise<void> {
    const { files, index } = this.#parts;
    await files.remove(made).catch(() => {});
    if (record !== undefined) await index.remove([[key, record]]).catch(() => {});
  }

  /** Enters the entry in the index and frees the space for it. False if there is none. */
  #reserve(key: LineageKey, record: IndexRecord): Promise<boolean> {
    return this.withIndex(async () => {
      await this.#parts.index.add(key, record);
      return this.#makeSpace();
    });
  }

  /** Runs `work`, and again when the index turns out to be missing. */
  async withIndex<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof NoIndex) || tries === INDEX_TRIES) throw error;
        await this.mendIndex();
      }
    }
  }

  /** Frees space to keep the index within limits. False if others' coming entries leave none. */
  #makeSpace(): Promise<boolean> {
    const { index } = this.#parts;
    const { maxBytes, maxEntries, maxAgeSeconds } = this.#limits;
    const isOver = (): boolean => index.bytes > maxBytes || index.records.size > maxEntries;
    return this.#evicting.run(async () => {
      for (let tries = 0; tries < SPACE_TRIES; tries++) {
        if (!index.isUsable) throw new NoIndex();
        const isAgeDue = Date.now() >= this.#nextAgeCheckMs;
        if (!isOver() && !isAgeDue) return true;
        this.#nextAgeCheckMs = Date.now() + Math.min(AGE_CHECK_MS, maxAgeSeconds * 100);
        const shortage = {
          freeBytes: isOver() ? index.bytes - maxBytes * LOW_WATER : 0,
          freeEntries: isOver() ? index.records.size - maxEntries * LOW_WATER : 0,
          maxAgeSeconds,
        };
        const victims = chooseVictims(index.records, shortage);
        this.#counters.evicted += await dropEntries(this.#parts, victims);
      }
      return !isOver();
    });
  }

  /** @throws ENOENT if the lease was lost */
  async #putInPlace(made: string, key: LineageKey): Promise<void> {
    const { files, folder } = this.#parts;
    await folder.makeShard(key);
    try {
      await files.rename(made, folder.entry(key));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || !(await isThere(this.#parts.files, made))) throw error;
      await folder.makeShard(key, true);
      await files.rename(made, folder.entry(key));
    }
  }

  /** Mends or shortens the index where it pays. Never throws: the next one to write tries again. */
  async #tidyIndex(): Promise<void> {
    const { index } = this.#parts;
    const now = Date.now();
    const isWorn = index.damagedLines > 0 || now - index.madeMs > INDEX_AGE_MS;
    if (now < this.#nextTidyMs || !(isWorn || isWorthCompacting(this.#parts))) return;
    this.#nextTidyMs = now + TIDY_MS;
    await (isWorn ? rebuildIndex : compactIndex)(this.#parts).catch(() => {});
  }
}
