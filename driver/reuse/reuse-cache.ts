/**
 * The index of all reusable values of a session and host memory, its first tier. Keys are interned
 * nodes, so a probe is one map look-up; evicted values go to the disk when that pays, handles to
 * the tiers of their backends. Invariants: a node is computed by at most one claimant at a time;
 * every claim ends in `put` or `withdraw`, whatever fails; host bytes exceed the budget by no more
 * than the entry just put and what is being written to disk. Source: MEMPHIS (EDBT 2025) section 4,
 * LIMA (SIGMOD 2021).
 */

import { BackendTier } from '../backend/backend-tier.js';
import { type CacheEntry, pendingEntry } from '../backend/cache-entry.js';
import type { CacheTier } from '../backend/cache-tier.js';
import { resultHistory } from '../cost/likelihood.js';
import { hasBytes } from '../ir/csr.js';
import type { Expr } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import { bytesOf, type Handle, type Value } from '../ir/value.js';
import { Budget } from '../support/budget.js';
import { mostEntries, type ReuseCacheOptions } from './cache-options.js';
import { type EvictionPolicy, evictionPolicy } from './eviction-policy.js';
import { isUnused, mayRest, RestingResults } from './resting.js';
import { SiblingIndex } from './sibling-index.js';
import type { SpillTier } from './spill-tier.js';

export type { CacheEntry } from '../backend/cache-entry.js';

/** Bookkeeping charged to every entry, so that millions of scalars count too. @units bytes */
const ENTRY_OVERHEAD_BYTES = 256;
/** Single cells stay, up to this share of the budget: they free nothing and often steer a loop. */
const PINNED_SHARE = 0.125;

export class ReuseCache {
  readonly budgetBytes: number;
  readonly policy: EvictionPolicy;
  readonly spill: SpillTier | undefined;
  /** Whether results are asked for again, kept or not. */
  readonly results = resultHistory();
  readonly #release: (handle: Handle) => void;
  readonly #onEvict: (entry: CacheEntry) => void;
  readonly #isStored: (expr: Expr) => boolean;
  readonly #tiers = new Map<string, CacheTier>();
  readonly #entries = new Map<Expr, CacheEntry>();
  readonly #siblings: SiblingIndex;
  readonly #evictions = new WeakMap<Expr, number>();
  readonly #memory: Budget<CacheEntry>;
  #pinnedBytes = 0;
  readonly #pinnedLimit: number;
  readonly #mostEntries: number;
  #clock = 0;
  readonly #resting = new RestingResults();
  /** Runs counted. */
  runs = 0;
  /** Values that left host memory for good. */
  evicted = 0;
  /** Values that went to disk, and came back. */
  spilled = 0;
  restored = 0;

  constructor(options: ReuseCacheOptions) {
    this.budgetBytes = options.budgetBytes;
    this.policy = options.policy ?? evictionPolicy('costSize');
    this.spill = options.spill;
    this.#mostEntries = options.maxEntries ?? mostEntries();
    const most = Math.min(this.budgetBytes, this.#mostEntries * ENTRY_OVERHEAD_BYTES);
    this.#pinnedLimit = most * PINNED_SHARE;
    this.#release = options.release;
    this.#onEvict = options.onEvict ?? (() => {});
    this.#isStored = options.isStored ?? (() => false);
    this.#siblings = new SiblingIndex(options.siblingKeys ?? (() => []));
    this.#memory = new Budget(this.policy, this.budgetBytes);
    for (const tier of options.tiers ?? []) {
      this.#tiers.set(tier.name, tier);
      tier.connect?.(this);
    }
  }

  /** Host bytes held now. */
  get bytes(): number {
    return this.#memory.bytes;
  }

  /** Keys known, pending ones included. */
  get size(): number {
    return this.#entries.size;
  }

  get tiers(): Iterable<CacheTier> {
    return this.#tiers.values();
  }

  probe(expr: Expr): CacheEntry | undefined {
    return this.#entries.get(expr);
  }

  /** Notes that a plan reads the value. */
  hit(entry: CacheEntry): void {
    if (entry.hits++ === 0) this.results.returned(entry.expr);
    entry.run = this.runs;
    entry.usedAt = ++this.#clock;
    if (entry.value?.kind === 'handle') this.#tierOf(entry.value).hit?.(entry, entry.value);
  }

  /** Cached nodes of this operator with local values, findable under `key`; oldest first. */
  siblings(op: OpDef, key: Expr): readonly Expr[] {
    return this.#siblings.of(op, key);
  }

  /**
   * Marks `expr` as being computed by the caller, who must then `put` or `withdraw` it.
   * @returns the claim; undefined if the node is there or claimed already
   */
  claim(expr: Expr): CacheEntry | undefined {
    if (this.#entries.has(expr)) return undefined;
    const misses = this.evicted === 0 ? 0 : (this.#evictions.get(expr) ?? 0);
    const entry = pendingEntry(expr, misses);
    this.#entries.set(expr, entry);
    return entry;
  }

  /** Resolves when the claimant of a pending entry is done: true if the value is there now. */
  wait(entry: CacheEntry): Promise<boolean> {
    if (entry.settled === undefined) {
      let resolve!: (cached: boolean) => void;
      const promise = new Promise<boolean>((done) => {
        resolve = done;
      });
      entry.settled = { promise, resolve };
    }
    return entry.settled.promise;
  }

  /** Ends a claim with its value; false if none. One over the budget only goes to the waiters. */
  put(expr: Expr, value: Value, seconds: number, backend: string): boolean {
    const entry = this.#entries.get(expr);
    if (entry === undefined || entry.state !== 'pending') return false;
    this.results.seen(expr);
    entry.value = value;
    entry.seconds = seconds;
    entry.backend = backend;
    entry.bytes = (value.kind === 'dense' ? bytesOf(value) : 0) + ENTRY_OVERHEAD_BYTES;
    entry.state = 'cached';
    entry.run = this.runs;
    entry.usedAt = ++this.#clock;
    this.#memory.charge(entry.bytes);
    entry.settled?.resolve(true);
    if (value.kind === 'handle') this.#tierOf(value).put(entry, value);
    else {
      if (entry.misses > 0) this.spill?.returned(entry.bytes, seconds);
      this.#siblings.add(expr);
      this.#keepInMemory(entry);
    }
    return true;
  }

  /**
   * Ends the claim of `alias` with the value `expr` has: one value under two nodes, counted once.
   * Its cost becomes the larger of the two, so a value that is also a function's output is worth
   * the whole call.
   * @param seconds time of what `alias` stands for
   */
  alias(alias: Expr, expr: Expr, seconds: number): void {
    const pending = this.#entries.get(alias);
    const entry = this.#entries.get(expr);
    if (entry === undefined || entry.state === 'pending' || entry === pending) return;
    if (pending !== undefined && pending.state !== 'pending') return;
    entry.aliases ??= [];
    entry.aliases.push(alias);
    entry.seconds = Math.max(entry.seconds, seconds);
    entry.misses = Math.max(entry.misses, pending?.misses ?? 0);
    this.#entries.set(alias, entry);
    if (entry.value?.kind === 'dense') this.#siblings.add(alias);
    pending?.settled?.resolve(true);
  }

  /** Counts host memory that is held beside the entries; fewer than 0 bytes were given back. */
  hold(bytes: number): void {
    this.#memory.charge(bytes);
    if (bytes > 0 && this.#isOver()) this.#makeSpace();
  }

  /** Ends a claim without a value; waiters compute for themselves. */
  withdraw(expr: Expr): void {
    const entry = this.#entries.get(expr);
    if (entry?.state !== 'pending') return;
    this.#entries.delete(expr);
    entry.settled?.resolve(false);
  }

  /** The value of a spilled entry, read once for all callers; undefined when it can't be read. */
  restore(entry: CacheEntry): Promise<Value | undefined> {
    if (entry.state !== 'spilled') return Promise.resolve(entry.value);
    entry.restoring ??= this.#restore(entry).finally(() => {
      entry.restoring = undefined;
    });
    return entry.restoring;
  }

  /**
   * A run begins: what no recent run used goes, or rests where later ones may need it and find it
   * nowhere else.
   */
  beginRun(): void {
    this.runs++;
    for (const [expr, entry] of this.#entries) {
      if (!isUnused(entry, this.runs)) continue;
      if (!mayRest(expr) || this.#isStored(expr)) this.#drop(entry);
      else {
        this.#entries.delete(expr);
        this.#siblings.remove(expr);
        const before = this.#resting.rest(entry);
        if (before !== undefined) this.#drop(before);
        this.#entries.set(entry.expr, entry);
      }
    }
  }

  /** Brings back what rests of these programs, so that `probe` finds it. */
  awake(roots: readonly Expr[]): void {
    for (const { expr, entry } of this.#resting.awoken(roots, (node) => this.#entries.has(node))) {
      this.#entries.delete(entry.expr);
      this.#resting.remove(entry);
      entry.expr = expr;
      entry.run = this.runs;
      this.#entries.set(expr, entry);
      if (entry.value?.kind === 'dense') this.#siblings.add(expr);
    }
  }

  /** Takes a cached value out and remembers the miss. */
  evict(expr: Expr): boolean {
    const entry = this.#entries.get(expr);
    if (entry === undefined || entry.state === 'pending') return false;
    this.#evict(entry);
    return true;
  }

  /** Drops a cached value that nobody is to find again. */
  discard(expr: Expr): void {
    const entry = this.#entries.get(expr);
    if (entry !== undefined && entry.state !== 'pending') this.#drop(entry);
  }

  /** Drops the cached values that `isGone` names: their backend has ended. @returns how many */
  forget(isGone: (value: Value) => boolean): number {
    const gone = [...this.entries()].filter(({ value }) => value !== undefined && isGone(value));
    for (const entry of gone) this.#drop(entry);
    return gone.length;
  }

  /** Drops every value; pending ones stay. */
  clear(): void {
    for (const entry of this.entries()) if (entry.state !== 'pending') this.#drop(entry);
  }

  /** Drops every value and the folder of spilled ones. */
  close(): void {
    this.clear();
    this.spill?.close();
  }

  /** Each value once, whatever the number of its keys. */
  entries(): IterableIterator<CacheEntry> {
    return new Set(this.#entries.values()).values();
  }

  #keepInMemory(entry: CacheEntry): void {
    const isCell = entry.bytes === ENTRY_OVERHEAD_BYTES + 8;
    if (isCell && this.#pinnedBytes + entry.bytes <= this.#pinnedLimit) {
      this.#pinnedBytes += entry.bytes;
      entry.isPinned = true;
    } else this.#memory.add(entry);
    if (entry.bytes > this.budgetBytes) this.#leave(entry);
    else if (this.#isOver()) this.#makeSpace(entry);
  }

  #isOver(): boolean {
    return this.#memory.isOver() || this.#entries.size > this.#mostEntries;
  }

  /** Evicts to the budget; `added` is new. A file leaves the entry, so it helps only with bytes. */
  #makeSpace(added?: CacheEntry): void {
    const isAdded = (entry: CacheEntry): boolean => entry === added;
    while (this.#isOver()) {
      const entry = this.#memory.take(isAdded);
      if (entry === undefined) return;
      if (this.#memory.isOver()) this.#leave(entry);
      else this.#evict(entry);
    }
  }

  /** Takes a value out of memory: to the disk if that pays, else for good. */
  #leave(entry: CacheEntry): void {
    this.#memory.remove(entry);
    const { spill } = this;
    const { value } = entry;
    // Coded rows are not written to files: they are read again.
    if (spill === undefined || value?.kind !== 'dense' || !hasBytes(value)) {
      this.#evict(entry);
      return;
    }
    const bytes = bytesOf(value);
    const pays = spill.leaves(bytes, entry.seconds, entry.misses + entry.restores);
    if (entry.file !== undefined) {
      this.#memory.charge(-entry.bytes);
      this.#rest(entry);
    } else if (pays && this.#makeRoomOnDisk(spill, bytes)) {
      this.#memory.charge(-entry.bytes);
      entry.isLeaving = true;
      void spill.write(value).then((file) => {
        const isWanted = this.#entries.get(entry.expr) === entry;
        if (isWanted && file !== undefined) {
          entry.isLeaving = false;
          entry.file = file;
          this.spilled++;
          this.#rest(entry);
        } else if (isWanted) this.#evict(entry);
        else if (file !== undefined) spill.remove(file);
      });
    } else this.#evict(entry);
  }

  /** From now on only on disk. */
  #rest(entry: CacheEntry): void {
    entry.state = 'spilled';
    entry.value = undefined;
    this.spill!.budget.add(entry);
  }

  #makeRoomOnDisk(spill: SpillTier, bytes: number): boolean {
    const isOver = (): boolean => spill.budget.isOver(bytes);
    for (const entry of spill.budget.victims(isOver)) this.#evict(entry);
    return !isOver();
  }

  async #restore(entry: CacheEntry): Promise<Value | undefined> {
    const spill = this.spill!;
    const value = await spill.read(entry.file!);
    if (this.#entries.get(entry.expr) !== entry || entry.state !== 'spilled') return value;
    if (value === undefined) {
      this.#evict(entry);
      return undefined;
    }
    this.restored++;
    entry.restores++;
    spill.returned(entry.bytes, entry.seconds);
    spill.budget.remove(entry);
    // While there is room the file stays, so that leaving again costs nothing.
    if (entry.file !== undefined && spill.budget.isOver(spill.budget.bytes)) {
      spill.remove(entry.file);
      entry.file = undefined;
    }
    entry.state = 'cached';
    entry.value = value;
    entry.usedAt = ++this.#clock;
    this.#memory.charge(entry.bytes);
    this.#keepInMemory(entry);
    return value;
  }

  #evict(entry: CacheEntry): void {
    this.#remember(entry);
    this.#onEvict(entry);
    this.#drop(entry);
  }

  #remember(entry: CacheEntry): void {
    this.evicted++;
    for (const key of [entry.expr, ...(entry.aliases ?? [])]) {
      this.#evictions.set(key, entry.misses + 1);
    }
  }

  #drop(entry: CacheEntry): void {
    for (const key of [entry.expr, ...(entry.aliases ?? [])]) {
      this.#entries.delete(key);
      if (!entry.isResting) this.#siblings.remove(key);
    }
    this.#resting.remove(entry);
    const isCounted = entry.state === 'cached' && !entry.isLeaving;
    if (isCounted) this.#memory.charge(-entry.bytes);
    if (entry.isPinned) this.#pinnedBytes -= entry.bytes;
    this.#memory.remove(entry);
    this.spill?.budget.remove(entry);
    if (entry.file !== undefined) this.spill?.remove(entry.file);
    entry.file = undefined;
    if (entry.value?.kind === 'handle') this.#tierOf(entry.value).drop(entry, entry.value);
  }

  #tierOf(handle: Handle): CacheTier {
    let tier = this.#tiers.get(handle.backend);
    if (tier === undefined) {
      tier = new BackendTier(handle.backend, this.#release);
      tier.connect?.(this);
      this.#tiers.set(tier.name, tier);
    }
    return tier;
  }
}
