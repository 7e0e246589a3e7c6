/**
 * What every physical plan keeps, whichever pass made it: each node once and after its inputs, each
 * input there or in the plan, each node on a backend that has it, and each blocked value that is
 * needed elsewhere written out.
 */
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import { isFreed, isInside, type Plan, type PlanNode } from './plan.js';

/** @throws InternalError naming the pass and the node */
export function verifyPlan(pass: string, plan: Plan): void {
  const seen = new Set<Expr>();
  const fail = (node: PlanNode, expected: string): never => {
    const { op } = node.expr;
    throw new InternalError(`${pass}: expected ${expected} at ${op.name}`, { pass, op: op.name });
  };
  for (const node of plan.nodes) {
    const { expr } = node;
    if (seen.has(expr)) fail(node, 'each node once');
    if (plan.nodeOf.get(expr) !== node) fail(node, 'the node its expression stands for');
    if (!node.backend.capabilities.ops.has(expr.op.name)) fail(node, 'a backend with a kernel');
    for (const input of expr.inputs) {
      const below = plan.nodeOf.get(input);
      const isThere =
        plan.available.has(input) || plan.pending.has(input) || input.op.source === 'files';
      if (below === undefined ? !isThere : !seen.has(input)) fail(node, 'inputs before consumers');
      if (below?.how.kind !== 'rows' || isInside(node, below)) continue;
      if (below.stays.at === 'nowhere') fail(below, 'row blocks needed elsewhere to be a value');
      if (below.wave >= node.wave && node.how.kind === 'reduce') {
        fail(node, 'a later wave than what it waits for');
      }
    }
    for (const step of stepsOf(node)) {
      const inner = plan.nodeOf.get(step);
      if (inner !== node && inner?.how.kind !== 'fused') fail(node, 'a chain of its own');
    }
    seen.add(expr);
  }
  verifyChains(pass, plan);
  if (seen.size !== plan.nodeOf.size) {
    throw new InternalError(`${pass}: expected ${plan.nodeOf.size} nodes, got ${seen.size}`, {
      pass,
    });
  }
}

/** A fused value is read by its own chain and by nothing else, and nobody is promised it. */
function verifyChains(pass: string, plan: Plan): void {
  const chainOf = new Map<Expr, PlanNode>();
  for (const node of plan.nodes) {
    for (const step of stepsOf(node)) chainOf.set(step, node);
  }
  const fail = (expr: Expr, expected: string): never => {
    throw new InternalError(`${pass}: expected ${expected} at ${expr.op.name}`, {
      pass,
      op: expr.op.name,
    });
  };
  for (const node of plan.nodes) {
    const { expr } = node;
    if (node.how.kind === 'fused') {
      if (!isFreed(node) || plan.roots.includes(expr)) fail(expr, 'a fused value to be let go');
      if (!chainOf.has(expr)) fail(expr, 'a chain that a fused value is part of');
    }
    for (const input of expr.inputs) {
      const isInner = plan.nodeOf.get(input)?.how.kind === 'fused';
      if (isInner && chainOf.get(input) !== chainOf.get(expr)) fail(input, 'one chain to read it');
    }
  }
}

function stepsOf({ how }: PlanNode): readonly Expr[] {
  return how.kind === 'chain' ? how.nodes : [];
}
