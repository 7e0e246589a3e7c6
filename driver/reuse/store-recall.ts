/**
 * One look into the durable store for a program: the values of the nodes nearest its roots that are
 * there, and leases on the long ones that are not, so that of several processes one computes them.
 * Invariant: leases are taken in the order of keys, and a lesser key than one that is held is never
 * waited for, so that no two processes wait for each other.
 */
import { reducesFrameData } from '../frame/frame-data.js';
import { denseBytes, type Expr, topological } from '../ir/expr.js';
import { type LineageKey, lineageKey } from '../ir/lineage-key.js';
import type { Value } from '../ir/value.js';
import type { DurableTier } from './durable-tier.js';
import type { Lease } from './store/lease.js';

/** Work of at least this size is looked up. @units flops */
const LOOKUP_FLOPS = 2e7;
/** Longer results, and all from passes over data, are computed by one process. @units seconds */
const LEASE_SECONDS = 0.2;
/**
 * Leases on so many of a pass's results, those with the least keys, stand for all: a pass over
 * thousands of files makes thousands. Keys being digests, two passes that have most results in
 * common have some of these in common (min-wise hashing).
 */
const PASS_LEASES = 8;
/** Header and digest of a stored matrix at most. @units bytes */
const ENTRY_BYTES = 1024;

export interface RecallResult {
  readonly values: ReadonlyMap<Expr, Value>;
  /** Seconds the recalled results once took. */
  readonly seconds: ReadonlyMap<Expr, number>;
  readonly leases: ReadonlyMap<Expr, Lease>;
}

/** What is to be read, and what to be leased: long results, and all that passes over data make. */
interface Wanted {
  readonly stored: Expr[];
  readonly long: Expr[];
  readonly passes: Expr[];
}

export class StoreRecall {
  readonly #tier: DurableTier;
  readonly #estimate: (expr: Expr) => number;
  readonly #roots: readonly Expr[];
  readonly #isThere: (expr: Expr) => boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #isLeasing: boolean;
  /** Looked for however little work they are. */
  readonly #always: ReadonlySet<Expr>;
  readonly #values = new Map<Expr, Value>();
  readonly #seconds = new Map<Expr, number>();
  readonly #leases = new Map<Expr, Lease>();
  /** Neither to be read nor to be waited for any more. */
  readonly #refused = new Set<Expr>();
  /** The greatest key held. */
  #last: LineageKey | undefined;
  /** Whether what passes make is leased, or is computed without. */
  #isCovered = false;

  /**
   * @param estimate expected seconds of a node
   * @param isThere ends the search
   * @param isLeasing false: only looks, for who computes nothing
   * @param always looked for however little work they are
   */
  constructor(
    tier: DurableTier,
    estimate: (expr: Expr) => number,
    roots: readonly Expr[],
    isThere: (expr: Expr) => boolean,
    signal: AbortSignal | undefined,
    isLeasing: boolean,
    always: ReadonlySet<Expr>,
  ) {
    this.#always = always;
    this.#isLeasing = isLeasing;
    this.#tier = tier;
    this.#estimate = estimate;
    this.#roots = roots;
    this.#isThere = isThere;
    this.#signal = signal;
  }

  /** @throws the signal's reason, with no lease held */
  async run(): Promise<RecallResult> {
    try {
      for (;;) {
        const { stored, long, passes } = this.#look();
        for (const expr of stored) await this.#read(expr);
        if (stored.length > 0) continue;
        const ofPasses = this.#isCovered ? [] : passes.sort(byKey).slice(0, PASS_LEASES);
        if (!this.#isLeasing || long.length + ofPasses.length === 0) {
          return { values: this.#values, seconds: this.#seconds, leases: this.#leases };
        }
        this.#isCovered = true;
        await this.#take([...long, ...ofPasses].sort(byKey), new Set(passes));
      }
    } catch (error) {
      await releaseAll(this.#leases);
      throw error;
    }
  }

  #look(): Wanted {
    const { store } = this.#tier;
    const asked = new Set(this.#roots);
    const wanted: Wanted = { stored: [], long: [], passes: [] };
    topological(this.#roots, (expr) => {
      if (this.#values.has(expr) || this.#isThere(expr)) return true;
      if (!isWorthLooking(expr) && !this.#always.has(expr)) return false;
      const isOpen = !this.#refused.has(expr);
      if (isOpen && store.has(lineageKey(expr))) {
        wanted.stored.push(expr);
        return true;
      }
      const canWait = isOpen && !this.#leases.has(expr);
      if (!canWait || !store.couldKeep(denseBytes(expr) + ENTRY_BYTES)) return false;
      // Cell-by-cell steps inside a plan are seldom kept, so nobody waits for them.
      const isKept = !expr.op.elementwise || asked.has(expr);
      if (reducesFrameData(expr)) wanted.passes.push(expr);
      else if (isKept && this.#estimate(expr) >= LEASE_SECONDS) wanted.long.push(expr);
      return false;
    });
    return wanted;
  }

  async #read(expr: Expr): Promise<void> {
    const found = await this.#tier.read(expr);
    if (found === undefined) this.#refused.add(expr);
    else {
      this.#values.set(expr, found.value);
      this.#seconds.set(expr, found.seconds);
    }
  }

  /** Takes leases in this order; waits where others hold one, for a pass until all is stored. */
  async #take(wanted: readonly Expr[], passes: ReadonlySet<Expr>): Promise<void> {
    const { store } = this.#tier;
    let isAlone = false;
    for (const expr of wanted) {
      const isOfPass = passes.has(expr);
      const key = lineageKey(expr);
      // The greatest is ours under an equal node, such as one over other memory of equal cells.
      const isOutOfOrder = this.#last !== undefined && key <= this.#last;
      if (isOutOfOrder || (isOfPass && isAlone)) {
        this.#refused.add(expr);
        continue;
      }
      const isDone = isOfPass ? () => this.#areStored(passes) : undefined;
      const lease = await store.lease(key, this.#signal, isDone);
      if (lease === 'stored') this.#isCovered &&= !isOfPass;
      else if (lease === undefined) {
        this.#refused.add(expr);
        isAlone ||= isOfPass;
      } else {
        this.#leases.set(expr, lease);
        this.#last = key;
      }
    }
  }

  async #areStored(exprs: ReadonlySet<Expr>): Promise<boolean> {
    const { store } = this.#tier;
    await store.refresh();
    return [...exprs].every((expr) => store.has(lineageKey(expr)));
  }
}

function byKey(a: Expr, b: Expr): number {
  return lineageKey(a) < lineageKey(b) ? -1 : 1;
}

/** Ends leases; never throws. */
export async function releaseAll(leases: ReadonlyMap<Expr, Lease>): Promise<void> {
  await Promise.all([...leases.values()].map((lease) => lease.release()));
}

/** Whether a node's work is large enough for its key to be made and looked up. */
export function isWorthLooking(expr: Expr): boolean {
  if (!expr.isDeterministic || expr.inputs.length === 0) return false;
  const kind = expr.op.rowRule(expr.inputs, expr.attrs).kind;
  if (kind === 'source') return false;
  if (reducesFrameData(expr) || expr.op.isKept?.(expr.attrs) === true) return true;
  return expr.op.flops(expr.inputs, expr.attrs, expr) >= LOOKUP_FLOPS;
}
