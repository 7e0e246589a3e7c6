/**
 * What every physical plan keeps, whichever pass made it: each node once and after its inputs, each input there or in the
 * plan, each node on a backend that has it, and each blocked value that is needed elsewhere written out.
 */
import { InternalError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import { frame } from '../operators/frame.js';
import { isInside, type Plan, type PlanNode } from './plan.js';

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
      const isThere = plan.available.has(input) || plan.pending.has(input) || input.op === frame;
      if (below === undefined ? !isThere : !seen.has(input)) fail(node, 'inputs before consumers');
      if (below === undefined || !below.blocked || isInside(node, below)) continue;
      const isKept = below.materialise || below.persist;
      if (!isKept) fail(below, 'a blocked value needed elsewhere to be kept');
      if (below.wave >= node.wave && node.sink) fail(node, 'a later wave than what it waits for');
    }
    seen.add(expr);
  }
  if (seen.size !== plan.nodeOf.size) {
    throw new InternalError(`${pass}: expected ${plan.nodeOf.size} nodes, got ${seen.size}`, {
      pass,
    });
  }
}
