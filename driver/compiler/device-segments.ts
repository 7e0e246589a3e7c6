/**
 * Device segments: which nodes of a device are given to it together, so that it is never waited for
 * between two kernels. A segment is connected, and no value goes from one of its nodes to another
 * through another backend. Source: the stages of a pipeline, here counted in changes of backend.
 */
import type { Backend } from '../backend/backend.js';
import type { Expr } from '../ir/expr.js';
import type { Pass } from './pass.js';
import type { Plan, PlanNode } from './plan.js';

export interface DeviceSegment {
  readonly backend: Backend;
  /** Inputs before consumers. */
  readonly nodes: readonly PlanNode[];
  /** What they read that another segment or backend makes, or that is there; each once. */
  readonly inputs: readonly Expr[];
  /** Nodes whose values are read once it has run. */
  readonly results: ReadonlySet<Expr>;
}

export const deviceSegments: Pass = {
  name: 'device segments',
  summary: 'gives each device together what it can run without being waited for',
  run: (state, { devices }) => {
    const { plan } = state;
    if (plan === undefined || devices.length === 0) return state;
    const segments = segmentsOf(plan, devices);
    return segments.length === 0 ? state : { ...state, plan: { ...plan, segments } };
  },
};

function segmentsOf(plan: Plan, devices: readonly Backend[]): DeviceSegment[] {
  /** Changes of backend on the longest way to a value. */
  const stages = new Map<PlanNode, number>();
  const groupOf = new Map<PlanNode, Set<PlanNode>>();
  for (const node of plan.nodes) {
    const { backend, expr } = node;
    const below = expr.inputs.flatMap((input) => plan.nodeOf.get(input) ?? []);
    const after = (one: PlanNode): number => stages.get(one)! + (one.backend === backend ? 0 : 1);
    const stage = Math.max(0, ...below.map(after));
    stages.set(node, stage);
    if (!devices.includes(backend)) continue;
    let group = new Set<PlanNode>();
    for (const input of below) {
      const joined = groupOf.get(input);
      if (!joined || input.backend !== backend || stages.get(input) !== stage) continue;
      group = united(group, joined, groupOf);
    }
    groupOf.set(node, group.add(node));
  }
  const readOutside = new Set(plan.roots);
  for (const node of plan.nodes) {
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below && groupOf.get(below) !== groupOf.get(node)) readOutside.add(input);
    }
  }
  return [...new Set(groupOf.values())].map((group) => {
    const nodes = plan.nodes.filter((node) => group.has(node));
    const inside = new Set(nodes.map(({ expr }) => expr));
    const inputs = new Set(nodes.flatMap(({ expr }) => expr.inputs));
    return {
      backend: nodes[0]!.backend,
      nodes,
      inputs: [...inputs].filter((input) => !inside.has(input)),
      results: new Set([...inside].filter((expr) => readOutside.has(expr))),
    };
  });
}

/** The larger one, with what the smaller one has. */
function united(
  a: Set<PlanNode>,
  b: Set<PlanNode>,
  groupOf: Map<PlanNode, Set<PlanNode>>,
): Set<PlanNode> {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  if (small === large) return large;
  for (const node of small) groupOf.set(node, large.add(node));
  return large;
}
