/**
 * What the cache needs of a place outside host memory where values lie: Spark storage, GPU memory.
 * A backend that keeps values as handles brings its tier (`Backend.tier`). One index, `ReuseCache`,
 * says what is where; the tier owns its own budget and decides what of its own goes. Invariant:
 * each handle given to `put` is dropped once, by `drop`.
 */
import type { Expr } from '../ir/expr.js';
import type { Handle, Value } from '../ir/value.js';
import type { CacheEntry } from './cache-entry.js';

/** What a tier may ask of the index. All of it is synchronous and cheap. */
export interface TierIndex {
  /** The entry of a node, in whatever tier. Counts nothing. */
  probe(expr: Expr): CacheEntry | undefined;
  /**
   * Takes a cached value out of the index: its miss is remembered, and the tier is told by `drop`.
   * False when the node has no cached value.
   */
  evict(expr: Expr): boolean;
  /** Entries whose values are handles of this tier. */
  entriesOf(tier: string): Iterable<CacheEntry>;
}

/** A value that a plan computes, as a tier sees it. */
export interface PlannedValue {
  readonly expr: Expr;
  readonly backend: { readonly name: string };
  /** Evaluated by row blocks. */
  readonly blocked: boolean;
  /** Written out whole on the host. */
  readonly materialise: boolean;
  /** Left in the backend that computes it; a tier may ask for it. */
  persist: boolean;
}

/** What a tier may know of a plan that is about to run. */
export interface PlanFacts {
  readonly roots: readonly Expr[];
  /** Inputs before consumers. */
  readonly nodes: readonly PlannedValue[];
  /** Values that are there already. */
  readonly available: ReadonlyMap<Expr, Value>;
}

export interface TierUsage {
  /** Held now, as far as the tier knows. @units bytes */
  readonly bytes: number;
  readonly budgetBytes: number;
  readonly entries: number;
}

export interface CacheTier {
  /** Equal to `Handle.backend` of the values that lie here. */
  readonly name: string;
  /** Called once, before anything else. */
  connect?(index: TierIndex): void;
  /**
   * A plan is about to run: marks (`persist`) the nodes it is to leave in this tier. What it reads
   * here is not released before the answer is called, which happens once, when the plan has ended.
   */
  begin?(plan: PlanFacts): () => void;
  /** A value computed here is in the index from now on. May evict others, not this one. */
  put(entry: CacheEntry, handle: Handle): void;
  /** A plan reads the value. */
  hit?(entry: CacheEntry, handle: Handle): void;
  /** The value is out of the index: release it, without blocking. */
  drop(entry: CacheEntry, handle: Handle): void;
  usage?(): TierUsage;
}

/** Tells every tier of a plan; the answer tells them of its end. */
export function beginPlan(tiers: Iterable<CacheTier>, plan: PlanFacts): () => void {
  const ends = [...tiers].map((tier) => tier.begin?.(plan));
  return () => {
    for (const end of ends) end?.();
  };
}

/** The tier of a backend that brings none: no budget, released when dropped. */
export function plainTier(name: string, release: (handle: Handle) => void): CacheTier {
  return {
    name,
    put: () => {},
    drop: (_entry, handle) => release(handle),
  };
}
