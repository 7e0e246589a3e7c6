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
import { type Copy, Place } from '../../driver/backend/place.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { Handle } from '../../driver/ir/value.js';
import { lossPerByte, type VictimRule } from '../../driver/support/budget.js';
import type { WireStorage } from '../channel/wire.js';
import { DelayedCaching, type RddReuse } from './delayed-caching.js';
import { keptBytes } from './kept-bytes.js';

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

/** Reads of an incompletely stored value after which the rest is computed in the background. */
const INCOMPLETE_READS = 3;

interface Kept {
  readonly handle: Handle;
  readonly entry: CacheEntry;
  /** What its blocks measured when they were made. @units bytes */
  readonly estimate: number;
  /** Programs that read it. */
  jobs: number;
  incompleteReads: number;
  /** It was computed in the background, and not found whole since. */
  isRecomputed: boolean;
}

const leastLoss: VictimRule<Copy<Kept>> = {
  score: ({ it: { entry, jobs }, bytes }) =>
    lossPerByte(entry.hits + entry.misses + jobs, entry.seconds, bytes),
  tieBreak: ({ it }) => it.entry.usedAt,
};

export class RddTier implements CacheTier {
  readonly name: string;
  readonly caching: DelayedCaching;
  readonly #storage: RddStorage;
  readonly #share: number;
  readonly #place: Place<Kept>;
  readonly #kept = new Map<string, Copy<Kept>>();
  /** What each running plan has pinned. */
  readonly #running = new Set<Copy<Kept>[]>();
  /** Released at the end of this turn. */
  readonly #leaving = new Set<string>();
  #index: TierIndex | undefined;
  #reclaiming: Promise<void> | undefined;
  #background: Promise<void> | undefined;
  /** Values whose missing partitions were computed in the background. */
  materialised = 0;
  evicted = 0;

  constructor(name: string, storage: RddStorage, options: RddTierOptions) {
    this.name = name;
    this.#storage = storage;
    this.#share = options.share;
    this.caching = new DelayedCaching(options.policy);
    this.#place = new Place<Kept>({
      budgetBytes: options.share * options.memoryBytes,
      victims: leastLoss,
      onOver: () => void this.reclaim(),
      release: ({ handle }) => this.#release(handle.id),
    });
  }

  get budgetBytes(): number {
    return this.#place.budgetBytes;
  }

  usage(): TierUsage {
    return { bytes: this.#place.bytes, budgetBytes: this.budgetBytes, entries: this.#place.size };
  }

  connect(index: TierIndex): void {
    this.#index = index;
  }

  choose(rows: readonly PlannedRows[], isComputed: (expr: Expr) => boolean): Iterable<Expr> {
    return this.caching.choose(rows, isComputed, (expr) => keptBytes(expr) <= this.budgetBytes);
  }

  pin(handles: readonly Handle[]): () => void {
    const pinned = handles.flatMap((handle) => this.#place.use(handle) ?? []);
    // Evicted in this turn, as the plan was made.
    const last = handles.filter(({ id }) => this.#leaving.delete(id));
    this.#running.add(pinned);
    return () => {
      this.#running.delete(pinned);
      for (const copy of pinned) this.#place.unpin(copy);
      for (const { id } of last) this.#release(id);
    };
  }

  put(entry: CacheEntry, handle: Handle): void {
    const { bytes } = handle;
    const it = { handle, entry, estimate: bytes, jobs: 0, incompleteReads: 0, isRecomputed: false };
    this.#kept.set(handle.id, this.#place.add(handle, { it, bytes, seconds: entry.seconds }));
    // A later pass of the plan that made it may read it, and which plan that is isn't said.
    for (const pinned of this.#running) pinned.push(this.#place.use(handle)!);
  }

  hit(entry: CacheEntry): void {
    this.caching.reused(entry.expr);
  }

  drop(_entry: CacheEntry, handle: Handle): void {
    this.#kept.delete(handle.id);
    this.#place.drop(handle);
  }

  /** A program has read these values; Spark computed some partitions of the `incomplete` ones. */
  read(handles: readonly string[], incomplete: readonly string[]): void {
    for (const id of handles) {
      const kept = this.#kept.get(id)?.it;
      if (kept === undefined) continue;
      kept.jobs++;
      if (!incomplete.includes(id)) kept.isRecomputed = false;
    }
    for (const id of incomplete) {
      const kept = this.#kept.get(id)?.it;
      if (kept === undefined || ++kept.incompleteReads < INCOMPLETE_READS) continue;
      kept.incompleteReads = 0;
      // Spark can't hold it: computing it again and again would only push other values out.
      if (kept.isRecomputed) this.#evict(kept);
      else this.#materialise(kept);
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
    for (const { it } of this.#place.victims()) this.#evict(it);
  }

  #learn(report: StorageReport): void {
    const sizes = report.handles.flatMap(({ handle, memoryBytes, diskBytes, materialised }) => {
      const kept = this.#kept.get(handle);
      if (kept === undefined || !materialised) return [];
      // Spark counts a block on disk again each time it was back in memory meanwhile, so its figure
      // for disks is a bound only.
      const most = Math.min(memoryBytes + diskBytes, kept.it.estimate);
      return [[kept, Math.max(memoryBytes, most)] as const];
    });
    this.#place.resize(this.#share * report.memoryBytes, sizes);
  }

  #evict({ entry }: Kept): void {
    this.evicted++;
    this.#index?.evict(entry.expr);
  }

  #materialise(kept: Kept): void {
    kept.isRecomputed = true;
    const copy = this.#place.use(kept.handle);
    const before = this.#background;
    this.#background = (async () => {
      await before;
      try {
        await this.#storage.materialise(kept.handle.id);
        this.materialised++;
      } catch {
        // Left to the next program that reads it.
      } finally {
        if (copy !== undefined) this.#place.unpin(copy);
      }
    })();
  }

  /** Sent with others of this turn; a plan made in this turn may still pin it. */
  #release(id: string): void {
    if (this.#leaving.size === 0) setImmediate(() => this.#flush());
    this.#leaving.add(id);
  }

  #flush(): void {
    if (this.#leaving.size > 0) this.#storage.release([...this.#leaving]);
    this.#leaving.clear();
  }
}
