/**
 * The physical plan: what is computed, where, in which wave, and what is kept. Built by the passes
 * of `pipeline.ts`, executed by `runtime/execution.ts`, printed by `explain.ts`.
 */

import type { Backend } from '../backend/backend.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { DeviceSegment } from './device-segments.js';
import type { FilePart } from './file-parts.js';
import type { PartialReuse } from './run-plan-rules.js';

export interface PlanNode {
  readonly expr: Expr;
  backend: Backend;
  /** Passes over data that must have ended before this value can exist. */
  wave: number;
  how: Evaluation;
  stays: Stay;
}

/**
 * How a node is evaluated. `whole`: by one kernel over whole values. `rows`: row block by row block
 * inside a pass over data. `reduce`: over the row blocks of a pass, and the reason why it runs.
 * `chain`: with earlier steps in one loop, which it ends. `fused`: in the chain of a later node.
 */
export type Evaluation =
  | { readonly kind: 'whole' }
  | RowBlocks
  | { readonly kind: 'reduce' }
  | CellChain
  | { readonly kind: 'fused' };

export interface RowBlocks {
  readonly kind: 'rows';
  /** Why the blocks are worth keeping; the tier of their backend decides when and how. */
  readonly checkpoint?: Checkpoint;
}

/**
 * Where a result lies once it is made. `nowhere`: it is never a whole value. `there`: in the
 * backend that made it, as a handle. Kept ones outlive the plan, others go once the plan has read
 * them.
 */
export type Stay =
  | { readonly at: 'nowhere' }
  | {
      readonly at: 'host';
      readonly isKept: boolean;
      /** Its results over some of the files each, which are kept as well. */
      readonly parts?: readonly FilePart[];
    }
  | { readonly at: 'there'; readonly isKept: boolean };

// One object each, since a plan has thousands of nodes.
export const WHOLE: Evaluation = { kind: 'whole' };
export const ROWS: Evaluation = { kind: 'rows' };
export const REDUCE: Evaluation = { kind: 'reduce' };
export const FUSED: Evaluation = { kind: 'fused' };
export const NOWHERE: Stay = { at: 'nowhere' };
export const KEPT_HERE: Stay = { at: 'host', isKept: true };
export const FREED_HERE: Stay = { at: 'host', isKept: false };
export const KEPT_THERE: Stay = { at: 'there', isKept: true };

/** Cell-by-cell steps evaluated together. */
export interface CellChain {
  readonly kind: 'chain';
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
  /** Host values that travel to remote backends as soon as they are there, since programs read them whole. */
  readonly broadcast?: ReadonlySet<Expr>;
  /** What each device is given together; every node of a device is in one. */
  readonly segments?: readonly DeviceSegment[];
  /** What is answered from cached parts; the plan is over the nodes that answer. */
  readonly partial?: PartialReuse;
}

/** Evaluated in a pass over data. */
export function isOverRows({ how }: PlanNode): boolean {
  return how.kind === 'rows' || how.kind === 'reduce';
}

/** Evaluated by one call over whole values, alone or as a chain. */
export function isWhole({ how }: PlanNode): boolean {
  return how.kind === 'whole' || how.kind === 'chain';
}

/** What a pass over data runs for: reductions, and row blocks that become a value. */
export function isTarget({ how, stays }: PlanNode): boolean {
  return how.kind === 'reduce' || (how.kind === 'rows' && stays.at !== 'nowhere');
}

/** A value that the plan lets go once it has read it. */
export function isFreed(node: PlanNode | undefined): boolean {
  return node !== undefined && node.stays.at !== 'nowhere' && !node.stays.isKept;
}

/** The nodes that read each value, each once. */
export function readersOf(plan: Plan): Map<Expr, PlanNode[]> {
  const readers = new Map<Expr, PlanNode[]>();
  for (const node of plan.nodes) {
    for (const input of new Set(node.expr.inputs)) {
      const known = readers.get(input);
      if (known === undefined) readers.set(input, [node]);
      else known.push(node);
    }
  }
  return readers;
}

/** Whether `node` reads `below` by row blocks within one segment; otherwise `below` must be kept to be read. */
export function isInside(node: PlanNode, below: PlanNode): boolean {
  return isOverRows(node) && below.how.kind === 'rows' && below.backend === node.backend;
}

/** The wave in which each node over row blocks is first evaluated: a sink's own, and for what it reads the first reader's. */
export function firstWaves(plan: Plan): ReadonlyMap<PlanNode, number> {
  const waves = new Map<PlanNode, number>();
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!isOverRows(node)) continue;
    const wave = node.how.kind === 'reduce' ? node.wave : (waves.get(node) ?? node.wave);
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
  const onDevices = new Set(plan.segments?.flatMap(({ nodes }) => nodes));
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!isOverRows(node) && !onDevices.has(node) && !awaited.has(node)) continue;
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below !== undefined && !isOverRows(below)) awaited.add(below);
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
