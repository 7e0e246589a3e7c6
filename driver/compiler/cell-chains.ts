/**
 * Cell chains: cell-by-cell steps whose values nobody keeps are evaluated together with the step
 * that reads them, in one loop over the cells. Invariants: only transients are fused, each with all
 * of its readers, so no value is missed; nodes, keys and counts of the plan stay as they are, since
 * fusing changes how a value is made and not what it is. Source: cell templates of SystemDS's code
 * generator (Boehm et al., PVLDB 2018, "On Optimizing Operator Fusion Plans").
 */
import type { Expr } from '../ir/expr.js';
import type { Pass, PassContext } from './pass.js';
import { FUSED, isFreed, isWhole, NOWHERE, type Plan, type PlanNode } from './plan.js';

/**
 * Steps of a chain at most. Values between steps are held in registers, of which there are sixteen;
 * beyond, loops measured slower again. A long chain of repeating steps is cut into equal pieces,
 * which share one compiled loop.
 */
const MAX_STEPS = 16;

export const cellChains: Pass = {
  name: 'cell chains',
  summary: 'evaluates cell-by-cell steps that are let go together with what reads them',
  run: (state, context) => {
    const { plan } = state;
    if (plan === undefined || context.local.runChain === undefined) return state;
    new Chains(plan, context).fuse();
    return { ...state };
  },
};

/** Nodes of a chain, and transients outside with several readers, once for each reader inside. */
interface Chain {
  readonly nodes: PlanNode[];
  /** Of several chains, so that its nodes are out of order. */
  isJoined: boolean;
  readonly shared: Expr[];
}

class Chains {
  readonly #plan: Plan;
  readonly #context: PassContext;
  /** Operators that read a transient. */
  readonly #readers = new Map<Expr, number>();
  /** Chains by their last node. */
  readonly #chains = new Map<Expr, Chain>();

  constructor(plan: Plan, context: PassContext) {
    this.#plan = plan;
    this.#context = context;
  }

  fuse(): void {
    const candidates = this.#plan.nodes.filter((node) => this.#isCellwise(node));
    if (!candidates.some(isFreed)) return;
    this.#countReaders();
    for (const node of candidates) this.#chains.set(node.expr, this.#chainOf(node));
    for (const [tip, { nodes, isJoined }] of this.#chains) {
      if (nodes.length === 1) continue;
      // Inputs are older than what reads them.
      if (isJoined) nodes.sort((a, b) => a.expr.id - b.expr.id);
      const inside = new Set(nodes.map((node) => node.expr));
      const inputs = new Set<Expr>();
      for (const expr of inside) {
        for (const input of expr.inputs) if (!inside.has(input)) inputs.add(input);
      }
      for (const node of nodes) {
        if (node.expr === tip) continue;
        node.how = FUSED;
        node.stays = NOWHERE;
      }
      const how = { kind: 'chain', nodes: [...inside], inputs: [...inputs] } as const;
      this.#plan.nodeOf.get(tip)!.how = how;
    }
  }

  #isCellwise(node: PlanNode): boolean {
    const { expr, backend } = node;
    return expr.op.cell !== undefined && backend === this.#context.local && isWhole(node);
  }

  #countReaders(): void {
    for (const { expr } of this.#plan.nodes) {
      const { inputs } = expr;
      for (let i = 0; i < inputs.length; i++) {
        const input = inputs[i]!;
        if (inputs.indexOf(input) < i || !isFreed(this.#plan.nodeOf.get(input))) continue;
        this.#readers.set(input, (this.#readers.get(input) ?? 0) + 1);
      }
    }
  }

  /** The chain that ends in this node: takes in those that end in values nobody else reads. */
  #chainOf(node: PlanNode): Chain {
    let chain: Chain = { nodes: [node], isJoined: false, shared: [] };
    const { inputs } = node.expr;
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i]!;
      if (inputs.indexOf(input) < i) continue;
      const readers = this.#readers.get(input);
      if (readers === 1) chain = this.#join(chain, input, node.expr);
      else if (readers !== undefined) chain.shared.push(input);
    }
    // What all its readers have come together for can be taken in as well.
    for (let i = 0; i < chain.shared.length; i++) {
      const input = chain.shared[i]!;
      const inside = chain.shared.filter((other) => other === input).length;
      if (inside !== this.#readers.get(input) || !this.#chains.has(input)) continue;
      const before = chain.nodes.length;
      chain = this.#join(chain, input, node.expr);
      if (chain.nodes.length > before) i = -1;
    }
    return chain;
  }

  /** `chain` with the one that ends in `input` before it, where shape and length allow. */
  #join(chain: Chain, input: Expr, into: Expr): Chain {
    const below = this.#chains.get(input);
    if (below === undefined || input.rows !== into.rows || input.cols !== into.cols) return chain;
    if (below.nodes.length + chain.nodes.length > MAX_STEPS) return chain;
    this.#chains.delete(input);
    below.isJoined ||= chain.nodes.length > 1;
    // A long chain grows at its end.
    below.nodes.push(...chain.nodes);
    for (const other of chain.shared) if (other !== input) below.shared.push(other);
    return below;
  }
}
