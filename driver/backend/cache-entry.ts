/**
 * One value of the reuse cache and what is known of it. Invariant: a value is counted once in bytes
 * however many nodes it is the value of; those nodes (`expr` and `aliases`) are looked up, spilled
 * and dropped together. Source: multi-level entries of LIMA (SIGMOD 2021) section 4: a function's
 * output and the operator that computed it.
 */
import type { DType } from '../ir/dtype.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { BudgetItem } from '../support/budget.js';

/**
 * `pending`: claimed, being computed. `cached`: the value is in memory, or a handle names it in a
 * backend. `spilled`: the value is in a file of this process and is read when asked for.
 */
export type EntryState = 'pending' | 'cached' | 'spilled';

/** A value in a file; only the tier that wrote it looks inside. */
export interface SpillFile {
  readonly path: string;
  readonly id: number;
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  /** Of compressed rows: the cells that are held. */
  readonly nnz?: number | undefined;
  readonly bytes: number;
  readonly tag: Buffer;
}

export interface CacheEntry extends BudgetItem {
  /** Of a resting entry a node that holds nothing, see `resting.ts`. */
  expr: Expr;
  /** Of the node it was put under. */
  readonly height: number;
  /** The latest run that used it. */
  run: number;
  isResting: boolean;
  /** Further nodes with this value. */
  aliases: Expr[] | undefined;
  state: EntryState;
  /** There unless the entry is pending or spilled. */
  value: Value | undefined;
  /** Settles when the claimant puts (true) or withdraws (false); made for the first waiter. */
  settled:
    | { readonly promise: Promise<boolean>; readonly resolve: (cached: boolean) => void }
    | undefined;
  /** On the host, with bookkeeping. */
  bytes: number;
  /** Time to compute it once; of a function's output the whole call. @units seconds */
  seconds: number;
  hits: number;
  /** Evictions of this key before; a value computed again and again earns its place. */
  misses: number;
  /** Times it was read back from disk. */
  restores: number;
  /** Which backend computed it. */
  backend: string;
  /** Place in the order of use: larger is later. */
  usedAt: number;
  /** The value on disk: all there is of a spilled entry, a copy of a cached one that came back. */
  file: SpillFile | undefined;
  /** Stays in memory for good. */
  isPinned: boolean;
  /** Being written to disk; the value is still here, and no longer counted. */
  isLeaving: boolean;
  /** Reading it back, while that is under way. */
  restoring: Promise<Value | undefined> | undefined;
}

/** A claimed entry. */
export function pendingEntry(expr: Expr, misses: number): CacheEntry {
  return {
    expr,
    height: expr.height,
    run: 0,
    isResting: false,
    aliases: undefined,
    state: 'pending',
    value: undefined,
    settled: undefined,
    bytes: 0,
    seconds: 0,
    hits: 0,
    misses,
    restores: 0,
    backend: '',
    usedAt: 0,
    file: undefined,
    isPinned: false,
    isLeaving: false,
    restoring: undefined,
    budget: undefined,
  };
}
