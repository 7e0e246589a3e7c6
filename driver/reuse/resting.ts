/**
 * Results that no run has used for a while, by lineage key instead of by node: the node of a result
 * holds all it was computed from, hundreds of nodes for the losses of a search, and a session that
 * runs ever new jobs would keep them all. Invariant: what rests is found again by the key its node
 * would have, which is made only for nodes that could rest.
 */

import type { CacheEntry } from '../backend/cache-entry.js';
import { reducesFrameData } from '../frame/frame-data.js';
import { Expr, topological } from '../ir/expr.js';
import { type LineageKey, lineageKey } from '../ir/lineage-key.js';

/** Runs after which a result that none of them used rests, or goes. */
export const REST_RUNS = 8;
/** Less work is done again sooner than its result is worth keeping for later. @units flops */
const WORTH_FLOPS = 2e7;

export class RestingResults {
  readonly #entries = new Map<LineageKey, CacheEntry>();

  get size(): number {
    return this.#entries.size;
  }

  /** Takes in a result whose node holds nothing. @returns the result that its key had, if any */
  rest(entry: CacheEntry): CacheEntry | undefined {
    const { expr } = entry;
    const key = lineageKey(expr);
    const before = this.#entries.get(key);
    entry.expr = new Expr(0, expr.op, {}, [], expr, expr.dtype, undefined);
    entry.expr.lineage = key;
    entry.isResting = true;
    this.#entries.set(key, entry);
    return before;
  }

  /** Results at rest under nodes of these programs, with nodes. @param isThere ends the search */
  *awoken(
    roots: readonly Expr[],
    isThere: (expr: Expr) => boolean,
  ): Iterable<{ readonly expr: Expr; readonly entry: CacheEntry }> {
    if (this.#entries.size === 0) return;
    const found: { readonly expr: Expr; readonly entry: CacheEntry }[] = [];
    topological(roots, (expr) => {
      if (isThere(expr)) return true;
      const entry = mayRest(expr) ? this.#entries.get(lineageKey(expr)) : undefined;
      if (entry !== undefined) found.push({ expr, entry });
      return entry !== undefined;
    });
    yield* found;
  }

  remove(entry: CacheEntry): void {
    if (!entry.isResting) return;
    entry.isResting = false;
    const key = entry.expr.lineage!;
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

/** Whether none of the last runs used a result that this cache alone keeps. */
export function isUnused(entry: CacheEntry, run: number): boolean {
  const isIdle = run - entry.run > REST_RUNS && entry.state !== 'pending';
  const isBusy = entry.isLeaving || entry.restoring !== undefined;
  const isOurs = entry.aliases === undefined && entry.value?.kind !== 'handle';
  return isIdle && !isBusy && isOurs && !entry.isResting;
}

/** Whether later jobs may need a result: what a pass over data made, and long work. */
export function mayRest(expr: Expr): boolean {
  if (!expr.isDeterministic || expr.inputs.length === 0) return false;
  if (reducesFrameData(expr)) return true;
  return expr.op.flops(expr.inputs, expr.attrs, expr) >= WORTH_FLOPS;
}
