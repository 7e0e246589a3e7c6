/**
 * Which row blocks a plan should leave in the cluster for later plans. A value is noted when it is
 * computed first, kept when it comes up again, and from then on read: storing everything at once
 * costs more than it saves. How many times it must have come up is learned for values of its kind:
 * where nearly all come again, the first time is early enough; where hardly any do, the second is
 * too early; what a loop carries from turn to turn is kept at once, or each turn would repeat all
 * before it. Source: delayed caching and the delay factor of MEMPHIS (EDBT 2025), section 4.
 * Invariant: what is remembered is bounded.
 */
import type { PlannedRows } from '../../driver/backend/cache-tier.js';
import { Likelihood } from '../../driver/cost/likelihood.js';
import type { Expr } from '../../driver/ir/expr.js';
import { lineageKey } from '../../driver/ir/lineage-key.js';

/**
 * When computed row blocks are kept: `delayed`, as above; `eager`, all of them the first time;
 * `off`, none but those that the plan itself reads twice or the user asks for.
 */
export type RddReuse = 'delayed' | 'eager' | 'off';

export const DEFAULT_DELAY = 2;
/** Fewer occurrences of a kind say nothing. */
const MIN_OBSERVED = 12;
/** Work below this is done again as fast as its result is read. @units flops a cell */
const MIN_FLOPS_PER_CELL = 4;
/** Nodes looked through for the same kind further down. */
const MAX_WALK = 64;

export class DelayedCaching {
  readonly policy: RddReuse;
  /** How often each value came up. */
  readonly #occurrences = new Likelihood<Expr>({
    kindOf: lineageKey,
    kinds: 16_384,
    memory: Number.POSITIVE_INFINITY,
  });
  /** Values of one operator, shape and operand kind: all that came, and those seen before. */
  readonly #repeats = new Likelihood<Expr>({ kindOf, kinds: 1024, memory: 4096 });
  /** Those that came up first, and of them those made from another value of their kind. */
  readonly #carried = new Likelihood<Expr>({ kindOf, kinds: 1024, memory: 4096 });

  constructor(policy: RddReuse) {
    this.policy = policy;
  }

  /**
   * Notes the row blocks a plan is about to compute and names those to keep: of a chain of them the
   * last one only.
   * @param fits whether a value may be kept at all
   */
  choose(
    rows: readonly PlannedRows[],
    isComputed: (expr: Expr) => boolean,
    fits: (expr: Expr) => boolean,
  ): ReadonlySet<Expr> {
    /** Work of row blocks and all computed with them, up to the next kept ones. @units flops */
    const flops = new Map<Expr, number>();
    const due = new Set<Expr>();
    for (const { expr, at } of rows) {
      let work = expr.op.flops(expr.inputs, expr.attrs, expr);
      for (const input of new Set(expr.inputs)) work += flops.get(input) ?? 0;
      if (at !== 'there') flops.set(expr, work);
      if (!expr.isDeterministic) continue;
      const isDue = this.#note(expr, isComputed);
      if (at !== 'nowhere' || !isDue || !fits(expr)) continue;
      const isDear = work >= MIN_FLOPS_PER_CELL * expr.rows * expr.cols;
      if (this.policy === 'eager' || isDear) due.add(expr);
    }
    if (this.policy === 'eager') return due;
    if (this.policy === 'off') return new Set();
    // What only others of them read is made again from nothing that later plans would read.
    const last = rows.filter(
      ({ expr, readers }) => due.has(expr) && readers.some((reader) => !due.has(reader)),
    );
    return new Set(last.map(({ expr }) => expr));
  }

  /** A kept value of this node was read: its kind is one that comes again. */
  reused(expr: Expr): void {
    this.#repeats.seen(expr);
    this.#repeats.returned(expr);
  }

  /** Occurrences after which a value of this kind is kept: 1 keeps it when it is computed first. */
  delay(expr: Expr): number {
    if (this.policy === 'eager') return 1;
    const { seen, returned } = this.#repeats.counts(expr);
    const firsts = this.#carried.counts(expr).seen;
    const isCarried = firsts >= 3 && this.#carried.share(expr) > 0.6;
    if (isCarried && returned >= 0.3 * firsts) return 1;
    if (seen < MIN_OBSERVED) return DEFAULT_DELAY;
    const share = this.#repeats.share(expr);
    if (share > 0.8) return 1;
    return share < 0.1 ? 4 : DEFAULT_DELAY;
  }

  /** Counts one more occurrence. True when the value has come up often enough. */
  #note(expr: Expr, isComputed: (expr: Expr) => boolean): boolean {
    this.#occurrences.seen(expr);
    const times = this.#occurrences.counts(expr).seen;
    this.#repeats.seen(expr);
    if (times > 1) this.#repeats.returned(expr);
    else {
      this.#carried.seen(expr);
      if (isMadeFromItsKind(expr, isComputed)) this.#carried.returned(expr);
    }
    return times >= this.delay(expr);
  }
}

function kindOf(expr: Expr): string {
  const operands = expr.inputs.map((input) => `${input.op.name}:${input.rows}x${input.cols}`);
  return `${expr.op.name}:${expr.rows}x${expr.cols}(${operands.join()}){${Object.keys(expr.attrs).join()}}`;
}

/** Whether it comes from another of its kind through values of its height, as in loops. */
function isMadeFromItsKind(expr: Expr, isComputed: (expr: Expr) => boolean): boolean {
  const kind = kindOf(expr);
  const open = [...expr.inputs];
  for (let walked = 0; walked < MAX_WALK && open.length > 0; walked++) {
    const next = open.pop()!;
    if (next.rows !== expr.rows) continue;
    if (kindOf(next) === kind) return true;
    if (isComputed(next)) open.push(...next.inputs);
  }
  return false;
}
