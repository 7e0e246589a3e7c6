/**
 * Lifetimes: how often each value of the plan is read before it may go, and what each pass over
 * data needs. Written once the order stands, so that running the plan is a loop that counts down.
 * Invariant: whatever row blocks are there when a pass starts, it reads no more than is written
 * here.
 */
import type { Expr } from '../ir/expr.js';
import type { Pass } from './pass.js';
import {
  isInside,
  isOverRows,
  isTarget,
  isWhole,
  operandsOf,
  type Plan,
  type PlanNode,
  segmentNodes,
  type Target,
} from './plan.js';

export const lifetimes: Pass = {
  name: 'lifetimes',
  summary: 'how often each value is read before it goes, and what passes over data wait for',
  run: (state) => {
    if (state.plan !== undefined) writeLifetimes(state.plan);
    return state;
  },
};

/** Written again when something else is to be kept. */
export function writeLifetimes(plan: Plan): void {
  const { nodes, nodeOf, roots } = plan;
  const segments = plan.segments ?? [];
  const onDevices = new Set(segments.flatMap((segment) => segment.nodes));
  let hasPasses = false;
  for (const node of nodes) {
    node.reads = 0;
    hasPasses ||= isOverRows(node);
  }
  const count = (exprs: readonly Expr[]): void => {
    for (const expr of exprs) {
      const node = nodeOf.get(expr);
      if (node !== undefined) node.reads++;
    }
  };
  for (const node of nodes) if (isWhole(node) && !onDevices.has(node)) count(operandsOf(node));
  for (const { inputs } of segments) count(inputs);
  // Whoever asked for the plan reads these after its end.
  count(roots);
  if (hasPasses) plan.targets = targetsOf(plan);
  if (hasPasses || segments.length > 0) plan.awaited = awaitedNodes(plan, onDevices);
  for (const { operands, kept } of plan.targets) {
    count(operands);
    count(kept);
  }
}

function targetsOf(plan: Plan): Target[] {
  const waves = new Map<Expr, number>();
  const targets: Target[] = [];
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!isTarget(node)) continue;
    const operands = new Set<Expr>();
    const kept = new Set<Expr>();
    for (const inner of segmentNodes(plan, [node], () => false)) {
      for (const input of inner.expr.inputs) {
        if (input.op.source === 'files') continue;
        const below = plan.nodeOf.get(input);
        if (below === undefined || !isInside(inner, below)) operands.add(input);
        else if (isTarget(below)) kept.add(input);
      }
    }
    const wave = waves.get(node.expr) ?? node.wave;
    for (const expr of kept) waves.set(expr, Math.min(wave, waves.get(expr) ?? wave));
    targets.push({ node, wave, operands: [...operands], kept: [...kept] });
  }
  return targets.reverse();
}

/** Host operators that work elsewhere waits for, directly or through others. */
function awaitedNodes(plan: Plan, onDevices: ReadonlySet<PlanNode>): ReadonlySet<PlanNode> {
  const awaited = new Set<PlanNode>();
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
