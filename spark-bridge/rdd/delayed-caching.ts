/**
 * Which row blocks a plan should leave in the cluster for later plans. A value is noted when it is
 * computed first, kept when it comes up again, and from then on read: storing everything at once
 * costs more than it saves. How many times it must have come up is learned for values of its kind:
 * where nearly all come again, the first time is early enough; where hardly any do, the second is
 * too early; what a loop carries from turn to turn is kept at once, or each turn would repeat all
 * before it. Source: delayed caching and the delay factor of MEMPHIS (EDBT 2025), section 4.
 * Invariant: what is remembered is bounded.
 */
import { isInside, type Plan, type PlanNode } from '../../driver/compiler/plan.js';
import { Likelihood } from '../../driver/cost/likelihood.js';
import type { Expr } from '../../driver/ir/expr.js';
import { lineageKey } from '../../driver/ir/lineage-key.js';
import { frame } from '../../driver/operators/frame.js';

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
  /** Values of one operator, shape and kind of operands: all that came up, and those that had before. */
  readonly #repeats = new Likelihood<Expr>({ kindOf, kinds: 1024, memory: 4096 });
  /** Those that came up first, and of them those made from another value of their kind. */
  readonly #carried = new Likelihood<Expr>({ kindOf, kinds: 1024, memory: 4096 });

  constructor(policy: RddReuse) {
    this.policy = policy;
  }

  /**
   * Notes the blocked values a plan is about to compute and marks those to keep: of a chain of them
   * the last one only. What the plan keeps for its own passes stays marked; what it would keep for
   * later plans only is decided here.
   * @param fits whether a value may be kept at all
   */
  mark(plan: Plan, backend: string, fits: (expr: Expr) => boolean): void {
    const flops = new Map<Expr, number>();
    const candidates = new Set<PlanNode>();
    for (const node of plan.nodes) {
      const { expr } = node;
      if (!node.blocked || node.backend.name !== backend || !expr.isDeterministic) continue;
      if (isForLaterPlans(node, plan)) node.persist = false;
      const work = chainFlops(node, plan, flops);
      const isDue = this.#note(expr, plan);
      if (node.materialise || node.persist || !isDue || !fits(expr)) continue;
      const cells = expr.rows * expr.cols;
      if (this.policy === 'eager' || work >= MIN_FLOPS_PER_CELL * cells) candidates.add(node);
    }
    if (this.policy === 'off') return;
    const kept = this.policy === 'eager' ? candidates : lastOfChains(candidates, plan);
    for (const node of kept) node.persist = true;
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
  #note(expr: Expr, plan: Plan): boolean {
    this.#occurrences.seen(expr);
    const times = this.#occurrences.counts(expr).seen;
    this.#repeats.seen(expr);
    if (times > 1) this.#repeats.returned(expr);
    else {
      this.#carried.seen(expr);
      if (isMadeFromItsKind(expr, plan)) this.#carried.returned(expr);
    }
    return times >= this.delay(expr);
  }
}

/** Kept by the plan only since other plans have read it before, which is for us to judge. Files are read again for sure. */
function isForLaterPlans(node: PlanNode, plan: Plan): boolean {
  if (!node.persist || node.checkpoint?.reason !== 'repeated') return false;
  if (node.expr.inputs.some((input) => input.op === frame) || plan.roots.includes(node.expr)) {
    return false;
  }
  return plan.nodes.every(
    (reader) => !reader.expr.inputs.includes(node.expr) || isInside(reader, node),
  );
}

function kindOf(expr: Expr): string {
  const operands = expr.inputs.map((input) => `${input.op.name}:${input.rows}x${input.cols}`);
  return `${expr.op.name}:${expr.rows}x${expr.cols}(${operands.join()}){${Object.keys(expr.attrs).join()}}`;
}

/** Whether the value comes from another one of its kind through values of its height, as what a loop carries does. */
function isMadeFromItsKind(expr: Expr, plan: Plan): boolean {
  const kind = kindOf(expr);
  const open = [...expr.inputs];
  for (let walked = 0; walked < MAX_WALK && open.length > 0; walked++) {
    const next = open.pop()!;
    if (next.rows !== expr.rows) continue;
    if (kindOf(next) === kind) return true;
    if (plan.nodeOf.has(next)) open.push(...next.inputs);
  }
  return false;
}

/** Work of a blocked value and all that is computed with it in a pass, as far as the next kept one. @units flops */
function chainFlops(node: PlanNode, plan: Plan, known: Map<Expr, number>): number {
  let total = 0;
  const { expr } = node;
  total += expr.op.flops(expr.inputs, expr.attrs, expr);
  for (const input of new Set(expr.inputs)) {
    const below = plan.nodeOf.get(input);
    if (below?.blocked && !below.persist) total += known.get(input) ?? 0;
  }
  known.set(expr, total);
  return total;
}

/** Candidates that something else than a candidate reads; the others are made again from nothing later plans would read. */
function lastOfChains(candidates: ReadonlySet<PlanNode>, plan: Plan): ReadonlySet<PlanNode> {
  const last = new Set<PlanNode>();
  for (const node of plan.nodes) {
    if (candidates.has(node)) continue;
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below !== undefined && candidates.has(below)) last.add(below);
    }
  }
  return last;
}
