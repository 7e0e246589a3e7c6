/**
 * What every physical plan keeps, whichever pass made it: each node once and after its inputs, each
 * input there or in the plan, each node on a backend that has it, and each blocked value that is
 * needed elsewhere written out.
 */
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import {
  isInside,
  isOverRows,
  isWhole,
  operandsOf,
  type Plan,
  type PlanNode,
  segmentNodes,
  stepsOf,
} from './plan.js';

/** @throws InternalError naming the pass and the node */
export function verifyPlan(pass: string, plan: Plan): void {
  const seen = new Set<Expr>();
  const fail = failing(pass);
  for (const node of plan.nodes) {
    const { expr } = node;
    if (seen.has(expr)) fail(expr, 'each node once');
    if (plan.nodeOf.get(expr) !== node) fail(expr, 'the node its expression stands for');
    if (!node.backend.capabilities.ops.has(expr.op.name)) fail(expr, 'a backend with a kernel');
    for (const input of expr.inputs) {
      const below = plan.nodeOf.get(input);
      const isThere =
        plan.available.has(input) || plan.pending.has(input) || input.op.source === 'files';
      if (below === undefined ? !isThere : !seen.has(input)) fail(expr, 'inputs before consumers');
      if (below?.how.kind !== 'rows' || isInside(node, below)) continue;
      if (below.stays.at === 'nowhere') fail(input, 'row blocks needed elsewhere to be a value');
      if (below.wave >= node.wave && node.how.kind === 'reduce') {
        fail(expr, 'a later wave than what it waits for');
      }
    }
    for (const step of stepsOf(node)) {
      const inner = plan.nodeOf.get(step);
      if (inner !== node && inner?.how.kind !== 'fused') fail(expr, 'a chain of its own');
    }
    seen.add(expr);
  }
  verifyChains(pass, plan);
  if (pass === 'lifetimes') verifyLifetimes(pass, plan);
  if (seen.size !== plan.nodeOf.size) {
    throw new InternalError(`${pass}: expected ${plan.nodeOf.size} nodes, got ${seen.size}`, {
      pass,
    });
  }
}

function failing(pass: string) {
  return ({ op }: Expr, expected: string): never => {
    throw new InternalError(`${pass}: expected ${expected} at ${op.name}`, { pass, op: op.name });
  };
}

/** A fused value is read by its own chain and by nothing else, and nobody is promised it. */
function verifyChains(pass: string, plan: Plan): void {
  const chainOf = new Map<Expr, PlanNode>();
  for (const node of plan.nodes) {
    if (node.how.kind === 'chain') for (const step of node.how.nodes) chainOf.set(step, node);
  }
  const fail = failing(pass);
  for (const node of plan.nodes) {
    const { expr } = node;
    if (node.how.kind === 'fused') {
      if (node.stays.at !== 'nowhere' || plan.roots.includes(expr))
        fail(expr, 'a fused value to be none');
      if (!chainOf.has(expr)) fail(expr, 'a chain that a fused value is part of');
    }
    for (const input of expr.inputs) {
      const isInner = plan.nodeOf.get(input)?.how.kind === 'fused';
      if (isInner && chainOf.get(input) !== chainOf.get(expr)) fail(input, 'one chain to read it');
    }
  }
}

/** Runs each pass on paper: values must be there when read, and at the end only those asked for. */
function verifyLifetimes(pass: string, plan: Plan): void {
  const left = new Map<Expr, number>();
  const fail = failing(pass);
  const isThere = (expr: Expr): boolean => !plan.nodeOf.has(expr) || left.has(expr);
  const read = (exprs: readonly Expr[]): void => {
    for (const expr of exprs) {
      const reads = left.get(expr);
      if (reads !== undefined && reads <= 0) fail(expr, 'a read before its last');
      if (reads !== undefined) left.set(expr, reads - 1);
    }
  };
  let open = unitsOf(plan);
  for (let before = 0; before !== open.length; ) {
    before = open.length;
    open = open.filter(({ nodes, operands, kept }) => {
      if (![...operands, ...kept].every(isThere)) return true;
      const isPass = isOverRows(nodes[0]!);
      const run = isPass ? segmentNodes(plan, nodes, (expr) => left.has(expr)) : nodes;
      const made = new Set(run.flatMap((node) => stepsOf(node)));
      const foreseen = new Set([...operands, ...kept]);
      for (const input of run.flatMap((node) => operandsOf(node))) {
        if (made.has(input) || foreseen.has(input) || input.op.source === 'files') continue;
        fail(input, 'a read that is foreseen');
      }
      read(operands);
      for (const { expr, reads, stays } of nodes) if (stays.at !== 'nowhere') left.set(expr, reads);
      read(kept);
      return false;
    });
  }
  if (open.length > 0) fail(open[0]!.nodes[0]!.expr, 'operands that come');
  read(plan.roots);
  for (const [expr, reads] of left) if (reads !== 0) fail(expr, 'an end with the last read');
}

/** What runs at once, and what it needs. */
function unitsOf({ nodes, targets, segments = [] }: Plan): readonly {
  readonly nodes: readonly PlanNode[];
  readonly operands: readonly Expr[];
  readonly kept: readonly Expr[];
}[] {
  const onDevices = new Set(segments.flatMap((segment) => segment.nodes));
  const here = nodes.filter((node) => isWhole(node) && !onDevices.has(node));
  return [
    ...here.map((node) => ({ nodes: [node], operands: operandsOf(node), kept: [] })),
    ...targets.map(({ node, operands, kept }) => ({ nodes: [node], operands, kept })),
    ...segments.map((segment) => ({ nodes: segment.nodes, operands: segment.inputs, kept: [] })),
  ];
}
