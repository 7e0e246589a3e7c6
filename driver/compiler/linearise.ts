/**
 * Linearise: the order in which nodes are started. What remote work waits for comes first, the
 * longest remote chain before the others, so that this machine works while the cluster does; the
 * rest is depth-first, and where operands are large the one that needs most memory on the way goes
 * first (Sethi and Ullman, 1970), so that few values are alive at once. Source: MEMPHIS (EDBT 2025)
 * algorithm 2, ordered by expected time rather than by number of operators.
 */
import { denseBytes, type Expr } from '../ir/expr.js';
import { isDistributed } from './asynchrony.js';
import type { Pass, PassContext } from './pass.js';
import { isOverRows, isTarget, type Plan, type PlanNode } from './plan.js';

/** Plans whose host values are all smaller need no order for memory's sake. @units bytes */
const LARGE_BYTES = 1024 * 1024;

export const linearise: Pass = {
  name: 'linearise',
  summary: 'starts long remote work first and keeps few large values alive',
  run: (state, context) => {
    const { plan } = state;
    if (plan === undefined || plan.nodes.length < 2) return state;
    const isLarge = plan.nodes.some(
      ({ how, expr }) => how.kind !== 'rows' && denseBytes(expr) >= LARGE_BYTES,
    );
    const distributed = isDistributed(plan, context);
    if (!isLarge && !distributed) return state;
    const nodes = new Linearisation(plan, context).order(distributed);
    if (nodes.every((node, i) => node === plan.nodes[i])) return state;
    return { ...state, plan: { ...plan, nodes } };
  },
};

class Linearisation {
  readonly #plan: Plan;
  readonly #context: PassContext;
  /** Most bytes alive while the node is made, and its own. */
  readonly #peak = new Map<Expr, number>();
  readonly #inputs = new Map<PlanNode, readonly PlanNode[]>();
  readonly #order: PlanNode[] = [];
  readonly #seen = new Set<PlanNode>();

  constructor(plan: Plan, context: PassContext) {
    this.#plan = plan;
    this.#context = context;
  }

  order(distributed: boolean): PlanNode[] {
    for (const node of this.#plan.nodes) this.#measure(node);
    if (distributed) for (const target of this.#remoteTargets()) this.#visit(target);
    for (const root of this.#plan.roots) {
      const node = this.#plan.nodeOf.get(root);
      if (node !== undefined) this.#visit(node);
    }
    return this.#order;
  }

  #measure(node: PlanNode): void {
    const inputs: PlanNode[] = [];
    for (const input of new Set(node.expr.inputs)) {
      const below = this.#plan.nodeOf.get(input);
      if (below !== undefined) inputs.push(below);
    }
    const hold = (below: PlanNode): number => held(below);
    const peak = (below: PlanNode): number => this.#peak.get(below.expr)!;
    inputs.sort((a, b) => peak(b) - hold(b) - (peak(a) - hold(a)));
    this.#inputs.set(node, inputs);
    let alive = 0;
    let most = 0;
    for (const below of inputs) {
      most = Math.max(most, alive + peak(below));
      alive += hold(below);
    }
    this.#peak.set(node.expr, Math.max(most, alive + held(node)));
  }

  /** Remote nodes that yield a value, the one with most expected remote time below it first. */
  #remoteTargets(): PlanNode[] {
    const { local, costs } = this.#context;
    const below = new Map<PlanNode, number>();
    const targets: PlanNode[] = [];
    for (const node of this.#plan.nodes) {
      let seconds = 0;
      for (const input of this.#inputs.get(node)!) seconds = Math.max(seconds, below.get(input)!);
      if (node.backend !== local) seconds += costs.work(node.backend, node.expr).seconds;
      below.set(node, seconds);
      if (node.backend !== local && (!isOverRows(node) || isTarget(node))) targets.push(node);
    }
    // Stable: of equally long chains the one written first stays first.
    return targets.sort((a, b) => below.get(b)! - below.get(a)!);
  }

  /** Depth-first, inputs before consumers; iterative, so depth is no limit. */
  #visit(start: PlanNode): void {
    if (this.#seen.has(start)) return;
    this.#seen.add(start);
    const stack: { readonly node: PlanNode; next: number }[] = [{ node: start, next: 0 }];
    while (stack.length > 0) {
      const frame = stack[stack.length - 1]!;
      const inputs = this.#inputs.get(frame.node)!;
      if (frame.next === inputs.length) {
        this.#order.push(frame.node);
        stack.pop();
        continue;
      }
      const input = inputs[frame.next++]!;
      if (this.#seen.has(input)) continue;
      this.#seen.add(input);
      stack.push({ node: input, next: 0 });
    }
  }
}

/** Bytes on the host while the value is alive; row blocks pass through. */
function held(node: PlanNode): number {
  return node.how.kind === 'rows' && node.stays.at !== 'host' ? 0 : denseBytes(node.expr);
}
