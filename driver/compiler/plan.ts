/**
 * The physical plan: what is computed, where, in which wave, and what is kept. Built by the passes
 * of `pipeline.ts`, executed by `runtime/execution.ts`, printed by `explain.ts`.
 */

import type { Backend } from '../backend/backend.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { FilePart } from './file-parts.js';
import type { PartialReuse } from './run-plan-rules.js';

export interface PlanNode {
  readonly expr: Expr;
  backend: Backend;
  /** Evaluated by row blocks inside a segment; has a whole value only if `materialise` or `persist`. */
  blocked: boolean;
  /** A reduction over row blocks: the reason a pass over the data runs. */
  sink: boolean;
  /** Passes over data that must have ended before this value can exist. */
  wave: number;
  /** A blocked node that is written out whole on the host. */
  materialise: boolean;
  /** A blocked node that is kept in its backend (an RDD). */
  persist: boolean;
  /** A host result that is let go as soon as the plan has read it, not kept for later ones. */
  transient?: boolean;
  /** The steps evaluated with this one in one loop, which it ends. */
  chain?: CellChain;
  /** Evaluated in the chain of a later node, and never a value of its own. */
  isFused?: boolean;
  /** A whole value that its device keeps, since something there reads it; the host brings it only if it is read here too. */
  staysThere?: boolean;
  /** Why a blocked value is worth keeping where it is made; the tier of its backend decides when and how. */
  checkpoint?: Checkpoint;
  /**
   * How the value travels before it is asked for. `prefetch`: to the host as soon as it is there,
   * since only host operators read it. `broadcast`: to the remote backend as soon as it is there,
   * since programs read it whole.
   */
  transfer?: 'prefetch' | 'broadcast';
  /** Its results over some of the files each, which are kept as well. */
  parts?: readonly FilePart[];
}

/** Cell-by-cell steps evaluated together. */
export interface CellChain {
  /** Inputs before consumers; the last one is the value. */
  readonly nodes: readonly Expr[];
  /** What they read from outside, each once. */
  readonly inputs: readonly Expr[];
}

/** A blocked value that pays for its storage. */
export interface Checkpoint {
  /** `shared`: several passes of this plan read it. `repeated`: other plans are expected to. `lineage`: it ends a long chain. */
  readonly reason: 'shared' | 'repeated' | 'lineage';
  /** Passes expected to read it, in this plan and later ones. */
  readonly reads: number;
  /** Time saved by not making it again for each of them. @units seconds */
  readonly savedSeconds: number;
}

export interface Plan {
  readonly roots: readonly Expr[];
  /** Inputs before consumers. */
  readonly nodes: readonly PlanNode[];
  readonly nodeOf: ReadonlyMap<Expr, PlanNode>;
  /** Values that are there already: literals and cache hits. */
  readonly available: ReadonlyMap<Expr, Value>;
  /** Nodes another execution is computing right now. */
  readonly pending: ReadonlySet<Expr>;
  /** Values held by a backend that host operators read: brought from the start of the execution on. */
  readonly prefetch?: readonly Expr[];
  /** What is answered from cached parts; the plan is over the nodes that answer. */
  readonly partial?: PartialReuse;
}

/** Whether `node` reads `below` by row blocks within one segment; otherwise `below` must be kept to be read. */
export function isInside(node: PlanNode, below: PlanNode): boolean {
  return (node.blocked || node.sink) && below.blocked && below.backend === node.backend;
}

/** The wave in which each node over row blocks is first evaluated: a sink's own, and for what it reads the first reader's. */
export function firstWaves(plan: Plan): ReadonlyMap<PlanNode, number> {
  const waves = new Map<PlanNode, number>();
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!node.blocked && !node.sink) continue;
    const wave = node.sink ? node.wave : (waves.get(node) ?? node.wave);
    waves.set(node, wave);
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below === undefined || !isInside(node, below)) continue;
      waves.set(below, Math.min(wave, waves.get(below) ?? wave));
    }
  }
  return waves;
}

/** Host operators that work over row blocks waits for, directly or through others: run first, that work starts soonest. */
export function awaitedNodes(plan: Plan): ReadonlySet<PlanNode> {
  const awaited = new Set<PlanNode>();
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    const isElsewhere = node.blocked || node.sink;
    if (!isElsewhere && !awaited.has(node)) continue;
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below !== undefined && !below.blocked && !below.sink) awaited.add(below);
    }
  }
  return awaited;
}

/** Blocked nodes needed to evaluate `targets`, inputs first, ending at values that exist before the segment. */
export function segmentNodes(
  plan: Plan,
  targets: readonly PlanNode[],
  done: ReadonlySet<Expr>,
): PlanNode[] {
  const order: PlanNode[] = [];
  const seen = new Set<Expr>();
  const visit = (node: PlanNode): void => {
    if (seen.has(node.expr)) return;
    seen.add(node.expr);
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below !== undefined && isInside(node, below) && !done.has(input)) visit(below);
    }
    order.push(node);
  };
  for (const target of targets) visit(target);
  return order;
}
