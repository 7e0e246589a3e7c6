/** Settings of a reuse cache, and how many results fit the language's memory at any size. */
import { getHeapStatistics } from 'node:v8';
import type { CacheEntry } from '../backend/cache-entry.js';
import type { CacheTier } from '../backend/cache-tier.js';
import type { Expr } from '../ir/expr.js';
import type { Handle } from '../ir/value.js';
import type { EvictionPolicy } from './eviction-policy.js';
import type { SpillTier } from './spill-tier.js';

export interface ReuseCacheOptions {
  /** Bytes of values kept on the host. */
  readonly budgetBytes: number;
  /** Keys known. Default: what a third of the JavaScript heap holds, whatever their values take. */
  readonly maxEntries?: number;
  /** Drops a value that lives in a backend without a tier of its own. */
  readonly release: (handle: Handle) => void;
  /** Tiers of backends, one for each that keeps values. */
  readonly tiers?: readonly CacheTier[];
  /** Where evicted values go. Default: nowhere. */
  readonly spill?: SpillTier | undefined;
  /** Default `costSize`. */
  readonly policy?: EvictionPolicy;
  /** Told each value that is about to leave for good. */
  readonly onEvict?: (entry: CacheEntry) => void;
  /** Whether a result could be read from elsewhere, so that it need not rest. Default: none could. */
  readonly isStored?: (expr: Expr) => boolean;
  /** Inputs under which a value on the host can be found by `siblings`. Default: none. */
  readonly siblingKeys?: (expr: Expr) => readonly Expr[];
}

/** JavaScript heap of an entry, its node and a small value's buffer; measured. @units bytes */
const HEAP_BYTES = 1200;

/** Entries that a third of the heap holds: of small values memory ends before the budget does. */
export function mostEntries(): number {
  return Math.floor(getHeapStatistics().heap_size_limit / 3 / HEAP_BYTES);
}
