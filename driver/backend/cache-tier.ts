/**
 * What the cache needs of a place outside host memory where values lie: Spark storage, GPU memory.
 * A backend that keeps values as handles brings its tier (`Backend.tier`). One index, `ReuseCache`,
 * says what is where; the tier owns its own budget and decides what of its own goes. Invariant:
 * each handle given to `put` is dropped once, by `drop`.
 */
import type { Expr } from '../ir/expr.js';
import type { Handle, Value } from '../ir/value.js';
import type { CacheEntry } from './cache-entry.js';

/** What a tier may ask of the index. */
export interface TierIndex {
  /**
   * Takes a cached value out of the index: its miss is remembered, and the tier is told by `drop`.
   * False when the node has no cached value.
   */
  evict(expr: Expr): boolean;
}

/** Row blocks that a plan is about to compute in the backend of a tier. */
export interface PlannedRows {
  readonly expr: Expr;
  /** Where the plan itself keeps them. */
  readonly at: 'nowhere' | 'host' | 'there';
  /** Nodes of the plan that read them, each once. */
  readonly readers: readonly Expr[];
}

export interface TierUsage {
  /** Held now, as far as the tier knows. @units bytes */
  readonly bytes: number;
  /** Null where the backend sets no limit. @units bytes */
  readonly budgetBytes: number | null;
  /** Values, each counted once whatever the number of its keys. */
  readonly entries: number;
}

export interface CacheTier {
  /** Equal to `Handle.backend` of the values that lie here. */
  readonly name: string;
  /** Called once, before anything else. */
  connect?(index: TierIndex): void;
  /**
   * A plan is about to run that reads these values of the tier. They, and what is put meanwhile,
   * are not released before the answer is called, which happens once, when the plan has ended.
   */
  pin?(handles: readonly Handle[]): () => void;
  /**
   * Which row blocks, of those that a plan is about to compute and keeps nowhere, it is to leave in
   * this tier for later plans.
   * @param rows inputs before consumers
   * @param isComputed whether the plan computes a node, here or elsewhere
   */
  choose?(rows: readonly PlannedRows[], isComputed: (expr: Expr) => boolean): Iterable<Expr>;
  /** A value computed here is in the index from now on. May evict others, not this one. */
  put(entry: CacheEntry, handle: Handle): void;
  /** A plan reads the value. */
  hit?(entry: CacheEntry, handle: Handle): void;
  /** The value is out of the index: release it, without blocking. */
  drop(entry: CacheEntry, handle: Handle): void;
  /** Evicts what is worth least and not pinned until the bytes are free. False when none is. */
  makeRoom?(bytes: number): boolean;
  /**
   * Moves values that running plans read later to the host, and back when they are read. False when
   * nothing was moved: it frees too little, or takes longer than having the memory saves.
   * @param reads by whom the memory is needed, so that they stay
   */
  vacate?(bytes: number, gainSeconds: number, reads: Iterable<Value>): Promise<boolean>;
  usage(): TierUsage;
}

/** Values stay in their tiers until the answer is called. */
export function pinValues(tiers: Iterable<CacheTier>, values: readonly Value[]): () => void {
  const ends: (() => void)[] = [];
  for (const tier of tiers) {
    if (tier.pin === undefined) continue;
    const handles: Handle[] = [];
    for (const value of values) {
      if (value.kind === 'handle' && value.backend === tier.name) handles.push(value);
    }
    ends.push(tier.pin(handles));
  }
  return () => {
    for (const end of ends) end();
  };
}
