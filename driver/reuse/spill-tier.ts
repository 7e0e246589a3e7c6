/**
 * The local disk under host memory: values in files of a private folder that lives as long as the
 * process. Invariants: a value read back is the one written or it is a miss; trouble with the disk
 * never fails a run; what a crashed process left is removed by the next one. Whether writing pays
 * is judged by bandwidth and returns measured on the way. Source: MEMPHIS (EDBT 2025) spills when
 * reading back beats recomputing; here it must also come back (decision 38).
 */
import { unlink } from 'node:fs/promises';
import type { CacheEntry, SpillFile } from '../backend/cache-entry.js';
import { Likelihood } from '../cost/likelihood.js';
import { bytesOf, type DenseMatrix } from '../ir/value.js';
import { Budget } from '../support/budget.js';
import { env } from '../support/env.js';
import { memoryShares } from '../support/memory.js';
import { type EvictionPolicy, evictionPolicy } from './eviction-policy.js';
import { readSpillFile, writeSpillFile } from './spill-file.js';
import { makeSpillFolder, removeSpillFolder, sweepSpillFolders } from './spill-folder.js';
import { describeError } from './store/file-system.js';
import { Slots } from './store/slots.js';
import { TransferRate } from './transfer-rate.js';

export interface SpillOptions {
  /** Where the private folder is made. Default: the system's folder for temporary files. */
  readonly folder?: string;
  /** Default 16 GiB; never more than half of what is free. @units bytes */
  readonly budgetBytes?: number;
  /** Told once about each kind of trouble. */
  readonly onWarning?: (message: string) => void;
}

/** @units bytes per second */
const FIRST_WRITE = 450e6;
const FIRST_READ = 500e6;
/**
 * The least chance of a return: nothing can return within the first turn of a loop, however long.
 * Writing for nothing then adds at most a quarter, and computing again what should have been
 * written at most 60 %.
 */
const LEAST_SHARE = 0.25;
/** Writes at work at once; a disk gains nothing from more. */
const WRITERS = 2;

export class SpillTier {
  /** Of files, also those being written: what was asked for, or half of the disk's free space. */
  readonly budget: Budget<CacheEntry>;
  writtenBytes = 0;
  readBytes = 0;
  /** Why nothing is written any more. */
  disabledReason: string | undefined;
  readonly writing = new TransferRate(FIRST_WRITE);
  readonly reading = new TransferRate(FIRST_READ);
  /** Of the values that left memory, those asked for again: half of 16 imagined ones at first. */
  readonly #returns = new Likelihood<number>({
    kindOf: () => 0,
    kinds: 1,
    memory: 512,
    prior: { seen: 16, returned: 8 },
  });
  readonly #options: SpillOptions;
  readonly #warned = new Set<string>();
  #folder: Promise<{ readonly path: string; readonly freeBytes: number }> | undefined;
  #path: string | undefined;
  #nextFile = 1;
  #waitingBytes = 0;
  /** Values waiting to be written hold memory; more than this and callers wait. @units bytes */
  readonly #maxWaitingBytes = memoryShares().spillingBytes;
  readonly #writers = new Slots(WRITERS);
  readonly #relieved: (() => void)[] = [];

  /** @param policy which files go first */
  constructor(options: SpillOptions = {}, policy: EvictionPolicy = evictionPolicy('costSize')) {
    this.#options = options;
    this.budget = new Budget(policy, options.budgetBytes ?? 16 * 1024 ** 3);
    void sweepSpillFolders(options.folder);
  }

  /** Whether so many values wait to be written that more should not be made. */
  get isCongested(): boolean {
    return this.#waitingBytes > this.#maxWaitingBytes;
  }

  /** Resolves when values may be made again. */
  relieved(): Promise<void> {
    if (!this.isCongested) return Promise.resolve();
    return new Promise((resolve) => this.#relieved.push(resolve));
  }

  /**
   * A value leaves memory.
   * @param seconds time to compute it
   * @param returns how often it came back after it had left before
   * @returns whether it is better written
   */
  leaves(bytes: number, seconds: number, returns: number): boolean {
    const { reading, writing } = this;
    if (this.#isWorthwhile(bytes, seconds)) this.#returns.seen(bytes);
    if (this.pays(bytes, seconds, returns)) return true;
    const hopeful = [reading.hopefulSeconds(bytes), writing.hopefulSeconds(bytes)] as const;
    if (this.#gains(bytes, seconds, returns, ...hopeful)) {
      reading.forget();
      writing.forget();
    }
    return false;
  }

  /** Whether a value is better written than computed again, should it be asked for. */
  pays(bytes: number, seconds: number, returns: number): boolean {
    if (this.disabledReason !== undefined || bytes > this.budget.limitBytes) return false;
    // Twice the bound only when nobody waits for room; then the value is computed again rather than
    // held.
    if (this.#waitingBytes > 2 * this.#maxWaitingBytes) return false;
    return this.#gains(
      bytes,
      seconds,
      returns,
      this.reading.seconds(bytes),
      this.writing.seconds(bytes),
    );
  }

  /** Reading saves more, times the chance that it is asked for again, than writing costs. */
  #gains(bytes: number, seconds: number, returns: number, read: number, write: number): boolean {
    const share = Math.max(LEAST_SHARE, this.#returns.share(bytes));
    // Laplace's rule: the returns of the value itself, and two imagined trials at the share of all.
    const chance = (returns + 2 * share) / (returns + 2);
    return chance * (seconds - read) > write;
  }

  /** Notes that a value that had left memory was asked for again. */
  returned(bytes: number, seconds: number): void {
    if (this.#isWorthwhile(bytes, seconds)) this.#returns.returned(bytes);
  }

  /** Values that no chance makes worth a file say nothing of those that may be. */
  #isWorthwhile(bytes: number, seconds: number): boolean {
    return seconds > this.reading.seconds(bytes) + this.writing.seconds(bytes);
  }

  /** Writes a value that must not change meanwhile; undefined if it could not. Never rejects. */
  async write(value: DenseMatrix): Promise<SpillFile | undefined> {
    const bytes = bytesOf(value);
    this.budget.charge(bytes);
    this.#waitingBytes += bytes;
    try {
      const file = await this.#writers.run(() => this.#writeFile(value));
      this.writtenBytes += bytes;
      return file;
    } catch (error) {
      this.budget.charge(-bytes);
      this.#trouble('writing', error);
      return undefined;
    } finally {
      this.#waitingBytes -= bytes;
      if (!this.isCongested) for (const go of this.#relieved.splice(0)) go();
    }
  }

  /** The value of a file; undefined when it is gone or not what was written. Never rejects. */
  async read(file: SpillFile): Promise<DenseMatrix | undefined> {
    const ended = this.reading.start();
    let moved = 0;
    try {
      const value = await readSpillFile(file);
      moved = file.bytes;
      this.readBytes += moved;
      return value;
    } catch (error) {
      this.#warn('reading', error);
      return undefined;
    } finally {
      ended(moved);
    }
  }

  /** Forgets a file. */
  remove(file: SpillFile): void {
    this.budget.charge(-file.bytes);
    void unlink(file.path).catch(() => {});
  }

  /** Removes the folder. Idempotent. */
  close(): void {
    this.disabledReason ??= 'closed';
    if (this.#path !== undefined) removeSpillFolder(this.#path);
  }

  async #writeFile(value: DenseMatrix): Promise<SpillFile> {
    this.#folder ??= makeSpillFolder(this.#options.folder);
    const { path: folder, freeBytes } = await this.#folder;
    if (this.#path === undefined) {
      this.#path = folder;
      this.budget.limitBytes = Math.min(this.budget.limitBytes, freeBytes / 2);
    }
    if (this.disabledReason !== undefined) throw new Error(this.disabledReason);
    const id = this.#nextFile++;
    const ended = this.writing.start();
    let moved = 0;
    try {
      const file = await writeSpillFile(`${folder}/${id}`, id, value);
      moved = file.bytes;
      return file;
    } finally {
      ended(moved);
    }
  }

  /** A disk that can't be written now is not tried again; what is on it can still be read. */
  #trouble(doing: string, error: unknown): void {
    if (this.disabledReason !== undefined) return;
    this.#warn(doing, error);
    this.disabledReason = describeError(error);
  }

  #warn(doing: string, error: unknown): void {
    if (this.#warned.has(doing) || this.disabledReason === 'closed') return;
    this.#warned.add(doing);
    const what = doing === 'writing' ? 'evicted values are computed again' : 'it is computed again';
    this.#options.onWarning?.(`spilling: ${doing} ended with ${describeError(error)}; ${what}`);
  }
}

/** The tier of a session, or none when it or the environment switches spilling off. */
export function spillTier(
  options: SpillOptions | false | undefined,
  policy: EvictionPolicy,
): SpillTier | undefined {
  const fromEnv = env.spill();
  if (options === false || (options === undefined && fromEnv === 'off')) return undefined;
  const folder = options?.folder ?? fromEnv;
  const given = folder === undefined || folder === 'off' || folder === 'on' ? {} : { folder };
  return new SpillTier({ ...options, ...given }, policy);
}
