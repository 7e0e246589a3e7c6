/**
 * What one execution promises the cache and puts there. Invariant: each deterministic node that a
 * backend is asked for is claimed before anybody else can plan, and put or withdrawn by the end; a
 * node that answers from cached parts stands for the nodes of the program it answers.
 */

import type { CacheEntry } from '../backend/cache-entry.js';
import type { Plan } from '../compiler/plan.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { ExecutionContext } from './execution-context.js';

export class PromisedResults {
  readonly #plan: Plan;
  readonly #context: ExecutionContext;
  readonly #claims: CacheEntry[] = [];
  #promised: ReadonlySet<Expr> | undefined;

  constructor(plan: Plan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  claim(expr: Expr): void {
    if (!this.#context.reuse || !expr.isDeterministic) return;
    for (const key of this.keysOf(expr)) {
      const claim = this.#context.cache.claim(key);
      if (claim !== undefined) this.#claims.push(claim);
    }
  }

  /** The nodes of the program a node of the plan stands for: itself, unless it answers from cached parts. */
  keysOf(expr: Expr): readonly Expr[] {
    return this.#plan.partial?.originals.get(expr) ?? [expr];
  }

  /** @param seconds what it took */
  put(expr: Expr, value: Value, seconds: number, backend: string): void {
    const { cache, statistics, onComputed } = this.#context;
    const answer = this.#plan.partial?.answers.get(expr);
    let total = seconds;
    if (answer !== undefined) {
      // What it would take without the parts, so that the entry is kept as what it is worth.
      for (const use of answer.uses) total += cache.probe(use)?.seconds ?? 0;
      for (const node of answer.compensation) {
        if (node !== expr) total += statistics.nodes.get(node)?.seconds ?? 0;
      }
    }
    const keys = this.keysOf(expr);
    const first = keys[0]!;
    cache.put(first, value, total, backend);
    onComputed?.(first, value, total);
    for (let i = 1; i < keys.length; i++) {
      const key = keys[i]!;
      cache.alias(key, first, total);
      onComputed?.(key, value, total);
    }
  }

  /** Counts a node that was computed. @param seconds what it took */
  record(expr: Expr, backend: string, seconds: number, state: 'computed' | 'fused'): void {
    const { statistics } = this.#context;
    if (this.#plan.partial?.answers.has(expr)) statistics.partial++;
    else statistics.misses++;
    for (const key of this.keysOf(expr)) statistics.record(key, backend, seconds, state);
  }

  /** It will not come: whoever waits for it computes it. */
  withdraw(expr: Expr): void {
    for (const key of this.keysOf(expr)) this.#context.cache.withdraw(key);
  }

  /** Withdraws what was not put. */
  end(): void {
    for (const claim of this.#claims) {
      if (claim.state === 'pending') this.#context.cache.withdraw(claim.expr);
    }
  }

  /** Whether a value is the cache's: it was there before, or was put there. */
  isOwned(expr: Expr): boolean {
    if (this.#plan.available.has(expr)) return true;
    this.#promised ??= new Set(this.#claims.map((claim) => claim.expr));
    const promised = this.#promised;
    return this.keysOf(expr).some((key) => promised.has(key));
  }
}
