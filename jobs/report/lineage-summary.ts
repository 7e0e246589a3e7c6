/**
 * Folds a lineage of up to hundreds of thousands of nodes into a few dozen groups of nodes that play the same part,
 * so that 400 `solve` nodes of a search are one box. Invariant: every node is in exactly one group, counts, seconds
 * and hits add up to those of the nodes, and the same lineage gives the same groups whatever the order of its nodes.
 *
 * Two nodes play the same part when they have the same operator and inputs that play the same parts: colour
 * refinement from the leaves up (Paige and Tarjan 1987 give the general problem; on a DAG one topological pass is
 * enough). What counts as "the same" is coarsened step by step until few enough groups are left.
 */
import type { LineageNode } from '../runs/record.js';

export type NodeState = LineageNode['state'];

/** In legend order. */
export const nodeStates: readonly NodeState[] = ['source', 'computed', 'fused', 'reused'];

export interface LineageGroup {
  readonly id: number;
  readonly op: string;
  readonly count: number;
  /** Labels of its nodes, distinct, at most three. */
  readonly labels: readonly string[];
  /** Distinct labels in all. */
  readonly labelCount: number;
  /** `rows x cols`, a range where the nodes differ. */
  readonly shape: string;
  /** Where its nodes ran, sorted; empty for leaves and reused nodes. */
  readonly backends: readonly string[];
  readonly states: Readonly<Record<NodeState, number>>;
  readonly hits: number;
  /** Summed over its nodes. @units seconds */
  readonly seconds: number;
  /** True when some of its nodes read others of it, as the steps of a loop do. */
  readonly repeats: boolean;
}

export interface LineageEdge {
  readonly from: number;
  readonly to: number;
  /** Edges between nodes that it stands for. */
  readonly count: number;
}

export interface LineageSummary {
  readonly groups: readonly LineageGroup[];
  readonly edges: readonly LineageEdge[];
  readonly nodes: number;
  readonly states: Readonly<Record<NodeState, number>>;
  /** How nodes were grouped, in words. */
  readonly grouping: string;
}

interface Level {
  readonly text: string;
  /** What a node is apart from its inputs; undefined keeps every node apart. */
  readonly own?: (node: LineageNode) => string;
  /** How many steps up its inputs are looked at. */
  readonly depth: number;
}

const opOnly = (node: LineageNode): string => node.op;
const opAndShape = (node: LineageNode): string => `${node.op}\n${node.rows}x${node.cols}`;

/** From finest to coarsest. */
const levels: readonly Level[] = [
  { text: 'one box a result', depth: 0 },
  {
    text: 'results of the same operator, attributes, shape and ancestry share a box',
    own: (node) => `${opAndShape(node)}\n${node.label}`,
    depth: Number.POSITIVE_INFINITY,
  },
  {
    text: 'results of the same operator, shape and ancestry share a box',
    own: opAndShape,
    depth: Number.POSITIVE_INFINITY,
  },
  {
    text: 'results of the same operator and ancestry share a box',
    own: opOnly,
    depth: Number.POSITIVE_INFINITY,
  },
  { text: 'results of the same operator and near ancestry share a box', own: opOnly, depth: 3 },
  { text: 'results of the same operator and inputs share a box', own: opOnly, depth: 1 },
  { text: 'results of the same operator share a box', own: opOnly, depth: 0 },
];

/** The lineage in at most `maxGroups` groups, or in one per operator where there are more operators than that. */
export function summarizeLineage(
  nodes: readonly LineageNode[],
  options: { readonly maxGroups?: number } = {},
): LineageSummary {
  const maxGroups = options.maxGroups ?? 40;
  const ordered = inputsFirst(nodes);
  let chosen = levels[levels.length - 1] as Level;
  let colours: Int32Array | undefined;
  for (const level of levels) {
    const tried = colour(ordered, level, maxGroups);
    if (tried === undefined) continue;
    chosen = level;
    colours = tried;
    break;
  }
  colours ??= colour(ordered, chosen, Number.POSITIVE_INFINITY) ?? new Int32Array(0);
  return collect(ordered, colours, chosen.text);
}

interface Ordered {
  readonly nodes: readonly LineageNode[];
  /** Positions of the inputs of each node; ids that are not in the lineage are left out. */
  readonly inputs: readonly (readonly number[])[];
}

/** Nodes with inputs before consumers, ties by id; what a damaged file leaves in a cycle comes last. */
function inputsFirst(nodes: readonly LineageNode[]): Ordered {
  const sorted = [...new Map(nodes.map((node) => [node.id, node])).values()];
  sorted.sort((a, b) => a.id - b.id);
  const index = new Map(sorted.map((node, i) => [node.id, i]));
  const known = sorted.map((node) => {
    const found = node.inputs.map((id) => index.get(id)).filter((i) => i !== undefined);
    return [...new Set(found)];
  });
  const waiting = known.map((inputs) => inputs.length);
  const consumers: number[][] = sorted.map(() => []);
  for (const [i, inputs] of known.entries()) for (const input of inputs) consumers[input]?.push(i);
  const order: number[] = [];
  for (const [i, count] of waiting.entries()) if (count === 0) order.push(i);
  for (let next = 0; next < order.length; next++) {
    for (const consumer of consumers[order[next] as number] ?? []) {
      const left = (waiting[consumer] as number) - 1;
      waiting[consumer] = left;
      if (left === 0) order.push(consumer);
    }
  }
  for (const [i, count] of waiting.entries()) if (count > 0) order.push(i);
  const position = new Map(order.map((i, at) => [i, at]));
  return {
    nodes: order.map((i) => sorted[i] as LineageNode),
    inputs: order.map((i) => (known[i] ?? []).map((input) => position.get(input) as number)),
  };
}

/** The group of each node at a level, numbered by first appearance; undefined when there are over `limit`. */
function colour(ordered: Ordered, level: Level, limit: number): Int32Array | undefined {
  const { nodes, inputs } = ordered;
  const { own } = level;
  if (own === undefined) {
    return nodes.length <= limit ? Int32Array.from(nodes, (_, i) => i) : undefined;
  }
  if (level.depth === Number.POSITIVE_INFINITY) {
    const colours = new Int32Array(nodes.length).fill(-1);
    return refine(ordered, own, colours, colours, limit) ? colours : undefined;
  }
  const names = new Map<string, number>();
  let colours = Int32Array.from(nodes, (node) => nameOf(names, own(node)));
  for (let step = 0; step < level.depth; step++) {
    const next = new Int32Array(inputs.length);
    refine(ordered, own, colours, next, Number.POSITIVE_INFINITY);
    colours = next;
  }
  return new Set(colours).size <= limit ? colours : undefined;
}

/** Colours each node by `own` and the set of its inputs' colours in `from`; false as soon as `limit` is passed. */
function refine(
  { nodes, inputs }: Ordered,
  own: (node: LineageNode) => string,
  from: Int32Array,
  into: Int32Array,
  limit: number,
): boolean {
  const names = new Map<string, number>();
  for (const [i, node] of nodes.entries()) {
    const above = [...new Set((inputs[i] ?? []).map((input) => from[input] ?? -1))];
    above.sort((a, b) => a - b);
    into[i] = nameOf(names, `${own(node)}\n${above.join(',')}`);
    if (names.size > limit) return false;
  }
  return true;
}

function nameOf(names: Map<string, number>, text: string): number {
  const found = names.get(text);
  if (found !== undefined) return found;
  names.set(text, names.size);
  return names.size - 1;
}

interface Draft {
  readonly op: string;
  readonly labels: Set<string>;
  readonly backends: Set<string>;
  readonly states: Record<NodeState, number>;
  readonly rows: [number, number];
  readonly cols: [number, number];
  count: number;
  hits: number;
  seconds: number;
  repeats: boolean;
}

function collect(ordered: Ordered, colours: Int32Array, grouping: string): LineageSummary {
  const drafts: Draft[] = [];
  const numbers = new Map<number, number>();
  const totals = noStates();
  const groupOf = ordered.nodes.map((node, i) => {
    const colourOf = colours[i] ?? -1;
    let id = numbers.get(colourOf);
    if (id === undefined) {
      id = drafts.length;
      numbers.set(colourOf, id);
      drafts.push(draft(node));
    }
    add(drafts[id] as Draft, node);
    totals[node.state]++;
    return id;
  });
  const edges = new Map<string, { from: number; to: number; count: number }>();
  for (const [i, inputs] of ordered.inputs.entries()) {
    const to = groupOf[i] as number;
    for (const input of inputs) {
      const from = groupOf[input] as number;
      if (from === to) {
        (drafts[to] as Draft).repeats = true;
        continue;
      }
      const name = `${from} ${to}`;
      const edge = edges.get(name);
      if (edge) edge.count++;
      else edges.set(name, { from, to, count: 1 });
    }
  }
  return {
    groups: drafts.map(finish),
    edges: [...edges.values()],
    nodes: ordered.nodes.length,
    states: totals,
    grouping,
  };
}

function noStates(): Record<NodeState, number> {
  return { source: 0, computed: 0, fused: 0, reused: 0 };
}

function draft(node: LineageNode): Draft {
  return {
    op: node.op,
    labels: new Set(),
    backends: new Set(),
    states: noStates(),
    rows: [node.rows, node.rows],
    cols: [node.cols, node.cols],
    count: 0,
    hits: 0,
    seconds: 0,
    repeats: false,
  };
}

function add(group: Draft, node: LineageNode): void {
  group.count++;
  group.hits += node.hits;
  group.seconds += node.seconds;
  group.states[node.state]++;
  if (node.label !== '') group.labels.add(node.label);
  if (node.backend !== null) group.backends.add(node.backend);
  group.rows[0] = Math.min(group.rows[0], node.rows);
  group.rows[1] = Math.max(group.rows[1], node.rows);
  group.cols[0] = Math.min(group.cols[0], node.cols);
  group.cols[1] = Math.max(group.cols[1], node.cols);
}

function finish(group: Draft, id: number): LineageGroup {
  const range = ([low, high]: readonly [number, number]): string =>
    low === high
      ? low.toLocaleString('en-GB')
      : `${low.toLocaleString('en-GB')}..${high.toLocaleString('en-GB')}`;
  return {
    id,
    op: group.op,
    count: group.count,
    labels: [...group.labels].slice(0, 3),
    labelCount: group.labels.size,
    shape: `${range(group.rows)} x ${range(group.cols)}`,
    backends: [...group.backends].sort(),
    states: group.states,
    hits: group.hits,
    seconds: group.seconds,
    repeats: group.repeats,
  };
}
