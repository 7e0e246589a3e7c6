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
  /** How often the plan reads its value; the last read drops it. Written by `lifetimes`. */
  reads: number;
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
export const FREED_THERE: Stay = { at: 'there', isKept: false };
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
  /** `shared`: by this plan's passes. `repeated`: by other plans. `lineage`: ends a long chain. */
  readonly reason: 'shared' | 'repeated' | 'lineage';
  /** Passes expected to read it, in this plan and later ones. */
  readonly reads: number;
  /** Time saved by not making it again for each of them. @units seconds */
  readonly savedSeconds: number;
}

/** What a pass over data runs for: a reduction, or row blocks that become a value. */
export interface Target {
  readonly node: PlanNode;
  /** The wave in which its row blocks are first evaluated. */
  readonly wave: number;
  /** Values its pass may read from outside. */
  readonly operands: readonly Expr[];
  /** Row blocks below it that become values of their own: read, or made in the same pass. */
  readonly kept: readonly Expr[];
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
  /** What passes over data run for, in order. Written by `lifetimes`. */
  targets: readonly Target[];
  /** Host operators that work elsewhere awaits, even indirectly: run first so it starts early. */
  awaited: ReadonlySet<PlanNode>;
  /** Values held by a backend that host operators read: fetched from the execution's start. */
  readonly prefetch?: readonly Expr[];
  /** Host values that programs read whole; they go to remote backends as soon as they are there. */
  readonly broadcast?: ReadonlySet<Expr>;
  /** Roots that are left on the device that made them, if one did, for who asked. */
  readonly resident?: ReadonlySet<Expr>;
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

/** Whether a pass over data runs for it. */
export function isTarget({ how, stays }: PlanNode): boolean {
  return how.kind === 'reduce' || (how.kind === 'rows' && stays.at !== 'nowhere');
}

/** A value that the plan lets go once it has read it. */
export function isFreed(node: PlanNode | undefined): boolean {
  return node !== undefined && node.stays.at !== 'nowhere' && !node.stays.isKept;
}

/** What evaluating a node reads. */
export function operandsOf({ expr, how }: PlanNode): readonly Expr[] {
  return how.kind === 'chain' ? how.inputs : expr.inputs;
}

/** What is evaluated with a node, itself last. */
export function stepsOf({ expr, how }: PlanNode): readonly Expr[] {
  return how.kind === 'chain' ? how.nodes : [expr];
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

/** Whether `node` reads `below` by row blocks in one segment; otherwise `below` must be kept. */
export function isInside(node: PlanNode, below: PlanNode): boolean {
  return isOverRows(node) && below.how.kind === 'rows' && below.backend === node.backend;
}

/** Nodes over row blocks that `targets` need, inputs first, from values there before them. */
export function segmentNodes(
  plan: Plan,
  targets: readonly PlanNode[],
  isDone: (expr: Expr) => boolean,
): PlanNode[] {
  const order: PlanNode[] = [];
  const seen = new Set<Expr>();
  const visit = (node: PlanNode): void => {
    if (seen.has(node.expr)) return;
    seen.add(node.expr);
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below !== undefined && isInside(node, below) && !isDone(input)) visit(below);
    }
    order.push(node);
  };
  for (const target of targets) visit(target);
  return order;
}
