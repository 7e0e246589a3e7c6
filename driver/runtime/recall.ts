/**
 * Values one execution has brought to the host from the slower tiers: the durable store and the
 * disk. Invariant: what was brought stays with the execution until it ends, so a plan made over it
 * can't lose it to eviction meanwhile.
 */
import type { Plan } from '../compiler/plan.js';
import { type Expr, type NodeMaker, topological } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import type { Value } from '../ir/value.js';
import type { DurableTier } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Lease } from '../reuse/store/lease.js';
import { releaseAll } from '../reuse/store-recall.js';
import { unlessAborted } from '../support/shared-work.js';
import type { Statistics } from './statistics.js';

/** Parts brought from files at the same time, so that the disk is not waited for file by file. */
const READS_AT_ONCE = 8;

export class Recall {
  readonly values = new Map<Expr, Value>();
  /** Seconds the recalled results once took. */
  readonly #seconds = new Map<Expr, number>();
  /** Where those came from that did not come from the store. */
  readonly #origins = new Map<Expr, string>();
  /** Nodes whose stored value turned out to be unreadable. */
  readonly #refused = new Set<Expr>();
  readonly #cache: ReuseCache;
  readonly #tier: DurableTier | undefined;
  readonly #interner: NodeMaker;
  readonly #signal: AbortSignal | undefined;
  /** Stored results that share an input with a node of the plan: what rules may build on. */
  readonly #offered = new Set<Expr>();
  /** Inputs whose stored results were asked for and not read yet. */
  readonly #asked = new Map<Expr, Set<OpDef>>();
  #roots: readonly Expr[] = [];
  #known: ReadonlyMap<string, Expr> | undefined;
  #leases: ReadonlyMap<Expr, Lease> = new Map();

  /** @param signal ends all waiting */
  constructor(
    cache: ReuseCache,
    tier: DurableTier | undefined,
    interner: NodeMaker,
    signal: AbortSignal | undefined,
  ) {
    this.#cache = cache;
    this.#tier = tier;
    this.#interner = interner;
    this.#signal = signal;
  }

  /**
   * Reads what the durable store has of these nodes; where asked, leases the long ones it lacks.
   * @param always looked for however little work they are
   */
  async fromStore(
    roots: readonly Expr[],
    isAtHand: (expr: Expr) => boolean,
    isLeasing = true,
    always?: ReadonlySet<Expr>,
  ): Promise<void> {
    if (this.#tier === undefined) return;
    this.#roots = roots;
    const recalled = await this.#tier.recall(roots, isAtHand, this.#signal, isLeasing, always);
    for (const [expr, value] of recalled.values) {
      this.add(expr, value, recalled.seconds.get(expr)!);
    }
    this.#leases = recalled.leases;
  }

  add(expr: Expr, value: Value, seconds: number, origin?: string): void {
    this.values.set(expr, value);
    this.#seconds.set(expr, seconds);
    if (origin !== undefined) this.#origins.set(expr, origin);
  }

  leaseOf(expr: Expr): Lease | undefined {
    return this.#leases.get(expr);
  }

  /** Whether a node that is not in memory can be read as a part of an answer. */
  canRead(expr: Expr): boolean {
    if (this.values.has(expr)) return true;
    return !this.#refused.has(expr) && this.#tier?.has(expr) === true;
  }

  /** Cached and stored results of an operator under an input, those of earlier processes first. */
  siblings(op: OpDef, key: Expr): readonly Expr[] {
    const here = this.#cache.siblings(op, key);
    if (this.#tier === undefined) return here;
    const stored = this.#tier.siblings.of(op, key);
    if (stored === undefined) {
      const asked = this.#asked.get(key);
      if (asked === undefined) this.#asked.set(key, new Set([op]));
      else asked.add(op);
      return here;
    }
    const more = stored.filter(
      (expr) => this.#cache.probe(expr) === undefined && !this.#refused.has(expr),
    );
    for (const expr of more) if (!this.values.has(expr)) this.#offered.add(expr);
    return more.length === 0 ? here : [...more, ...here];
  }

  /** Whether a node is stored and to be read if the plan builds on it; inputs may be unknown. */
  isOffered(expr: Expr): boolean {
    return this.#offered.has(expr);
  }

  /**
   * Brings or waits for what the plan lacks: parts that are on disk or in the store only, and what
   * others compute. The plan is stale then. Nothing is claimed before, so waiting can't deadlock.
   */
  async complete(plan: Plan): Promise<void> {
    if (this.#asked.size > 0) return this.#loadSiblings();
    const parts = [...new Set(this.#missingParts(plan))];
    for (let at = 0; at < parts.length; at += READS_AT_ONCE) {
      await Promise.all(parts.slice(at, at + READS_AT_ONCE).map((part) => this.#readPart(part)));
    }
    if (parts.length > 0) return;
    const others = Promise.all([...plan.pending].map((expr) => this.#await(expr)));
    await unlessAborted(others, this.#signal);
  }

  /** Whether the plan can run as it is. */
  isComplete(plan: Plan): boolean {
    return (
      this.#asked.size === 0 && plan.pending.size === 0 && this.#missingParts(plan).length === 0
    );
  }

  /** Takes the values the plan uses into the cache and counts them. Calls `reused` for each. */
  countReuse(plan: Plan, statistics: Statistics, reused: (expr: Expr, value: Value) => void): void {
    for (const [expr, value] of plan.available) {
      if (expr.inputs.length === 0) continue;
      let entry = this.#cache.probe(expr);
      let tier = entry?.backend;
      if (entry === undefined || entry.value !== value) {
        if (this.values.get(expr) !== value) continue;
        const origin = this.#origins.get(expr);
        tier = origin ?? 'store';
        // What another plan could not keep is not put again.
        if (entry === undefined && origin === undefined) {
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

  async #loadSiblings(): Promise<void> {
    const { siblings } = this.#tier!;
    // Made where anything is noted: it names every node.
    const known = (): ReadonlyMap<string, Expr> => {
      this.#known ??= siblings.known(topological(this.#roots));
      return this.#known;
    };
    for (const [key, found] of this.#asked) {
      for (const op of found) await siblings.load(op, key, known, this.#interner);
    }
    this.#asked.clear();
  }

  #missingParts({ partial, pending }: Plan): Expr[] {
    const missing = [...pending].filter((expr) => this.#offered.has(expr));
    if (partial === undefined) return missing;
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
    this.#offered.delete(expr);
    if (found === undefined) this.#refused.add(expr);
    else this.add(expr, found.value, found.seconds);
  }

  async #await(expr: Expr): Promise<void> {
    const entry = this.#cache.probe(expr);
    if (entry === undefined) return;
    if (entry.state === 'pending') {
      const isThere = await this.#cache.wait(entry);
      // It may be too large to keep, or evicted before this plan runs: the claimant made it all the
      // same.
      if (isThere && entry.value?.kind === 'dense') {
        this.add(expr, entry.value, entry.seconds, entry.backend);
      }
      return;
    }
    const value = await this.#cache.restore(entry);
    if (value !== undefined) this.add(expr, value, entry.seconds, 'disk');
  }
}
