/**
 * Spark storage as a tier of the reuse cache: which computed row blocks stay in the cluster, within
 * a share of the storage memory that Spark reports, and which go. Invariants: each handle is
 * released once, never while a running plan may read it, and without waiting for the cluster; a
 * value is evicted only by its score; what Spark says it stores replaces our estimates whenever the
 * budget seems exceeded. Source: MEMPHIS (EDBT 2025), section 4.
 */

import type { CacheEntry } from '../../driver/backend/cache-entry.js';
import type {
  CacheTier,
  PlannedRows,
  TierIndex,
  TierUsage,
} from '../../driver/backend/cache-tier.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { Handle } from '../../driver/ir/value.js';
import {
  Budget,
  type Candidate,
  lossPerByte,
  type VictimRule,
} from '../../driver/support/budget.js';
import type { WireStorage } from '../channel/wire.js';
import { DelayedCaching, type RddReuse } from './delayed-caching.js';

export type StorageReport = Pick<WireStorage, 'memoryBytes' | 'handles'>;

/** What the tier needs of the cluster. */
export interface RddStorage {
  /** @throws when the cluster can't be asked */
  report(): Promise<StorageReport>;
  /** Computes what is missing of a kept value. */
  materialise(handle: string): Promise<void>;
  /** Lets go of values; waits for nobody. */
  release(handles: readonly string[]): void;
}

export interface RddTierOptions {
  readonly policy: RddReuse;
  /** What the executors may store together, as Spark said when it was asked last. @units bytes */
  readonly memoryBytes: number;
  /** Share of it for kept values; the rest is for broadcasts and for values the plan keeps. */
  readonly share: number;
}

/** Reads of a value that is not wholly stored, after which what is missing is computed in the background. */
const INCOMPLETE_READS = 3;

interface Kept extends Candidate {
  readonly id: string;
  readonly entry: CacheEntry;
  readonly expr: Expr;
  bytes: number;
  /** What its blocks measured when they were made. @units bytes */
  readonly estimate: number;
  /** Programs that read it. */
  jobs: number;
  incompleteReads: number;
  /** It was computed in the background, and not found whole since. */
  isStubborn: boolean;
}

const leastLoss: VictimRule<Kept> = {
  score: ({ entry: { hits, misses, seconds }, jobs, bytes }) =>
    lossPerByte(hits + misses + jobs, seconds, bytes),
  tieBreak: ({ entry }) => entry.usedAt,
};

export class RddTier implements CacheTier {
  readonly name: string;
  readonly caching: DelayedCaching;
  readonly #storage: RddStorage;
  readonly #share: number;
  readonly #kept = new Map<string, Kept>();
  /** Running plans that may read a value. */
  readonly #pins = new Map<string, number>();
  /** What each running plan has pinned. */
  readonly #running = new Set<string[]>();
  /** Released once no plan reads them. */
  readonly #doomed = new Set<string>();
  #leaving: string[] = [];
  #index: TierIndex | undefined;
  readonly #budget: Budget<Kept>;
  #reclaiming: Promise<void> | undefined;
  #background: Promise<void> | undefined;
  /** Values whose missing partitions were computed in the background. */
  materialised = 0;
  evicted = 0;

  constructor(name: string, storage: RddStorage, options: RddTierOptions) {
    this.name = name;
    this.#storage = storage;
    this.#share = options.share;
    this.#budget = new Budget(leastLoss, options.share * options.memoryBytes);
    this.caching = new DelayedCaching(options.policy);
  }

  get budgetBytes(): number {
    return this.#budget.limitBytes;
  }

  usage(): TierUsage {
    return { bytes: this.#budget.bytes, budgetBytes: this.budgetBytes, entries: this.#kept.size };
  }

  connect(index: TierIndex): void {
    this.#index = index;
  }

  choose(rows: readonly PlannedRows[], isComputed: (expr: Expr) => boolean): Iterable<Expr> {
    return this.caching.choose(rows, isComputed, (expr) => denseBytes(expr) <= this.budgetBytes);
  }

  pin(handles: readonly Handle[]): () => void {
    const pinned: string[] = [];
    this.#running.add(pinned);
    for (const { id } of handles) this.#pinId(id, pinned);
    return () => {
      this.#running.delete(pinned);
      for (const id of pinned) this.#unpin(id);
    };
  }

  put(entry: CacheEntry, handle: Handle): void {
    const kept: Kept = {
      id: handle.id,
      entry,
      expr: entry.expr,
      bytes: handle.bytes,
      estimate: handle.bytes,
      jobs: 0,
      incompleteReads: 0,
      isStubborn: false,
      budget: undefined,
    };
    this.#kept.set(handle.id, kept);
    this.#budget.charge(kept.bytes);
    this.#budget.add(kept);
    // A later pass of the plan that made it may read it, and which plan that is isn't said.
    for (const pinned of this.#running) this.#pinId(handle.id, pinned);
    if (this.#budget.isOver()) void this.reclaim();
  }

  hit(entry: CacheEntry): void {
    this.caching.reused(entry.expr);
  }

  drop(_entry: CacheEntry, handle: Handle): void {
    const kept = this.#kept.get(handle.id);
    if (kept === undefined) return;
    this.#kept.delete(handle.id);
    this.#budget.remove(kept);
    this.#budget.charge(-kept.bytes);
    this.#release(handle.id);
  }

  /** A program has read these values; Spark had to compute some partitions of the `incomplete` ones. */
  read(handles: readonly string[], incomplete: readonly string[]): void {
    for (const id of handles) {
      const kept = this.#kept.get(id);
      if (kept === undefined) continue;
      kept.jobs++;
      if (!incomplete.includes(id)) kept.isStubborn = false;
    }
    for (const id of incomplete) {
      const kept = this.#kept.get(id);
      if (kept === undefined || ++kept.incompleteReads < INCOMPLETE_READS) continue;
      kept.incompleteReads = 0;
      // Spark can't hold it: computing it again and again would only push other values out.
      if (kept.isStubborn) this.#evict(kept);
      else this.#materialise(id, kept);
    }
  }

  /** Learns what Spark really stores and drops values, lowest score first, until the rest fits. */
  reclaim(): Promise<void> {
    this.#reclaiming ??= this.#reclaim().finally(() => {
      this.#reclaiming = undefined;
    });
    return this.#reclaiming;
  }

  /** Resolves when nothing runs in the background. */
  async settle(): Promise<void> {
    await this.#reclaiming;
    await this.#background;
    this.#flush();
  }

  async #reclaim(): Promise<void> {
    try {
      this.#learn(await this.#storage.report());
    } catch {
      // The estimates stand; whoever runs the next program learns that the cluster is gone.
    }
    const isPinned = ({ id }: Kept): boolean => this.#pins.has(id);
    for (const kept of this.#budget.victims(undefined, isPinned)) this.#evict(kept);
  }

  #learn(report: StorageReport): void {
    this.#budget.limitBytes = this.#share * report.memoryBytes;
    for (const { handle, memoryBytes, diskBytes, materialised } of report.handles) {
      const kept = this.#kept.get(handle);
      if (kept === undefined || !materialised) continue;
      // Spark counts a block on disk again each time it was back in memory meanwhile, so its figure
      // for disks is a bound only.
      const bytes = Math.max(memoryBytes, Math.min(memoryBytes + diskBytes, kept.estimate));
      this.#budget.charge(bytes - kept.bytes);
      kept.bytes = bytes;
    }
    this.#budget.reorder();
  }

  #evict(kept: Kept): void {
    this.evicted++;
    this.#index?.evict(kept.expr);
  }

  #materialise(id: string, kept: Kept): void {
    kept.isStubborn = true;
    const pinned: string[] = [];
    this.#pinId(id, pinned);
    const before = this.#background;
    this.#background = (async () => {
      await before;
      try {
        await this.#storage.materialise(id);
        this.materialised++;
      } catch {
        // Left to the next program that reads it.
      } finally {
        this.#unpin(id);
      }
    })();
  }

  #pinId(id: string, pinned: string[]): void {
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
    pinned.push(id);
  }

  #unpin(id: string): void {
    const left = (this.#pins.get(id) ?? 1) - 1;
    if (left > 0) {
      this.#pins.set(id, left);
      return;
    }
    this.#pins.delete(id);
    if (this.#doomed.delete(id)) this.#release(id);
    else if (this.#budget.isOver()) void this.reclaim();
  }

  /** Sent with others of this turn; a plan made in this turn may still pin it. */
  #release(id: string): void {
    if (this.#pins.has(id)) {
      this.#doomed.add(id);
      return;
    }
    if (this.#leaving.length === 0) setImmediate(() => this.#flush());
    this.#leaving.push(id);
  }

  #flush(): void {
    const leaving = this.#leaving;
    this.#leaving = [];
    const free = leaving.filter((id) => !this.#pins.has(id));
    for (const id of leaving) if (this.#pins.has(id)) this.#doomed.add(id);
    if (free.length > 0) this.#storage.release(free);
  }
}
