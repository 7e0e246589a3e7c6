/**
 * Values one execution has brought to the host from the slower tiers: the durable store and the disk. Invariant: what was
 * brought stays with the execution until it ends, so a plan made over it can't lose it to eviction meanwhile.
 */
import type { Plan } from '../compiler/plan.js';
import type { Expr } from '../ir/expr.js';
import { type DurableTier, releaseAll } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Lease } from '../reuse/store/lease.js';
import type { Statistics } from './statistics.js';
import type { Value } from './value.js';

export class Recall {
  readonly values = new Map<Expr, Value>();
  /** Seconds the recalled results once took. */
  readonly #seconds = new Map<Expr, number>();
  /** Nodes whose stored value turned out to be unreadable. */
  readonly #refused = new Set<Expr>();
  readonly #cache: ReuseCache;
  readonly #tier: DurableTier | undefined;
  #leases: ReadonlyMap<Expr, Lease> = new Map();

  constructor(cache: ReuseCache, tier: DurableTier | undefined) {
    this.#cache = cache;
    this.#tier = tier;
  }

  /** Reads what the durable store has of these nodes and takes leases on what long ones it has not. */
  async fromStore(
    roots: readonly Expr[],
    isAtHand: (expr: Expr) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#tier === undefined) return;
    const recalled = await this.#tier.recall(roots, isAtHand, signal);
    for (const [expr, value] of recalled.values) {
      this.add(expr, value, recalled.seconds.get(expr)!);
    }
    this.#leases = recalled.leases;
  }

  add(expr: Expr, value: Value, seconds: number): void {
    this.values.set(expr, value);
    this.#seconds.set(expr, seconds);
  }

  leaseOf(expr: Expr): Lease | undefined {
    return this.#leases.get(expr);
  }

  /** Whether a node that is not in memory can be read as a part of an answer. */
  canRead(expr: Expr): boolean {
    if (this.values.has(expr)) return true;
    return !this.#refused.has(expr) && this.#tier?.has(expr) === true;
  }

  /**
   * Brings or waits for what the plan lacks: parts that are on disk or in the store only, and what others compute. The plan
   * is stale then. Nothing is claimed before, so waiting can't deadlock.
   */
  async complete(plan: Plan): Promise<void> {
    const parts = this.#missingParts(plan);
    for (const part of parts) await this.#readPart(part);
    if (parts.length > 0) return;
    await Promise.all([...plan.pending].map((expr) => this.#await(expr)));
  }

  /** Whether the plan can run as it is. */
  isComplete(plan: Plan): boolean {
    return plan.pending.size === 0 && this.#missingParts(plan).length === 0;
  }

  /** Takes the values the plan uses into the cache and counts them. Calls `reused` for each. */
  countReuse(plan: Plan, statistics: Statistics, reused: (expr: Expr, value: Value) => void): void {
    for (const [expr, value] of plan.available) {
      if (expr.inputs.length === 0) continue;
      let entry = this.#cache.probe(expr);
      let tier = entry?.backend;
      if (entry === undefined || entry.value !== value) {
        if (this.values.get(expr) !== value) continue;
        tier = entry === undefined ? 'store' : 'disk';
        if (entry === undefined) {
          this.#cache.claim(expr);
          this.#cache.put(expr, value, this.#seconds.get(expr)!, tier);
          entry = this.#cache.probe(expr);
        }
      } else this.#cache.hit(entry);
      statistics.record(expr, tier!, entry?.seconds ?? this.#seconds.get(expr)!, 'reused');
      statistics.hit(expr);
      reused(expr, value);
    }
    statistics.planned(plan);
  }

  /** Gives leases back once what was computed under them is stored. */
  end(): void {
    const leases = this.#leases;
    if (leases.size > 0) void this.#tier?.settle().then(() => releaseAll(leases));
  }

  #missingParts({ partial }: Plan): Expr[] {
    if (partial === undefined) return [];
    const missing: Expr[] = [];
    for (const { uses } of partial.answers.values()) {
      for (const use of uses) {
        const isHere = this.#cache.probe(use)?.value !== undefined || this.values.has(use);
        if (!isHere && !this.#refused.has(use)) missing.push(use);
      }
    }
    return missing;
  }

  async #readPart(expr: Expr): Promise<void> {
    if (this.#cache.probe(expr) !== undefined) return this.#await(expr);
    const found = await this.#tier?.read(expr);
    if (found === undefined) this.#refused.add(expr);
    else this.add(expr, found.value, found.seconds);
  }

  async #await(expr: Expr): Promise<void> {
    const entry = this.#cache.probe(expr);
    if (entry === undefined) return;
    if (entry.state === 'pending') {
      await this.#cache.wait(entry);
      return;
    }
    const value = await this.#cache.restore(entry);
    if (value !== undefined) this.add(expr, value, entry.seconds);
  }
}
