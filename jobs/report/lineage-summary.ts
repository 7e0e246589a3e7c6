/**
 * Folds a lineage of up to hundreds of thousands of nodes into a few dozen groups of nodes that
 * play the same part, so that 400 `solve` nodes of a search are one box. Invariant: every node is
 * in exactly one group, counts, seconds and hits add up to those of the nodes, and the same lineage
 * gives the same groups whatever the order of its nodes.
 *
 * Two nodes play the same part when they have the same operator and inputs that play the same
 * parts: colour refinement from the leaves up (Paige and Tarjan 1987 give the general problem; on a
 * DAG one topological pass is enough). What counts as "the same" is coarsened step by step until
 * few enough groups are left, counting those that `lineage-contract.ts` can draw within their only
 * reader.
 */
import { formatCount } from '../format.js';
import type { LineageNode } from '../runs/record.js';
import { contract, type Draft, draftEdges } from './lineage-contract.js';

export type NodeState = LineageNode['state'];

/** In legend order. */
export const nodeStates: readonly NodeState[] = ['source', 'computed', 'fused', 'reused'];

export interface LineageGroup {
  readonly id: number;
  /** The operator that took the most time; the last one where that is not known. */
  readonly op: string;
  /** Results of `op`. */
  readonly opCount: number;
  /** Operators drawn within this group besides `op`, in the order they are computed. */
  readonly with: readonly string[];
  /** Results in all. */
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
  /** How many steps up its inputs are looked at. Groups of a finite depth may form cycles. */
  readonly depth: number;
}

/** Groups a level may have, as a multiple of those wanted, for contraction to be tried. */
const CONTRACTIBLE = 12;
/** Where steps must be drawn within others at all, a few more make a better picture. */
const CONTRACTED = 0.75;

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

/** The lineage in at most `maxGroups` groups, or one per operator where that is more. */
export function summarizeLineage(
  nodes: readonly LineageNode[],
  options: { readonly maxGroups?: number } = {},
): LineageSummary {
  const maxGroups = options.maxGroups ?? 32;
  const ordered = inputsFirst(nodes);
  for (const level of levels) {
    const isCoarsest = level === levels[levels.length - 1];
    const isAcyclic = level.own !== undefined && level.depth === Number.POSITIVE_INFINITY;
    const limit = isCoarsest
      ? Number.POSITIVE_INFINITY
      : maxGroups * (isAcyclic ? CONTRACTIBLE : 1);
    const colours = colour(ordered, level, limit);
    if (colours === undefined) continue;
    const drafts = collect(ordered, colours);
    const merged =
      isAcyclic && drafts.length > maxGroups
        ? contract(drafts, Math.ceil(maxGroups * CONTRACTED))
        : 0;
    if (drafts.length - merged > maxGroups && !isCoarsest) continue;
    const within = merged > 0 ? '; short steps with one reader are drawn within it' : '';
    return finish(ordered, drafts, level.text + within);
  }
  return finish(ordered, [], '');
}

interface NodeOrder {
  readonly nodes: readonly LineageNode[];
  /** Positions of the inputs of each node; ids that are not in the lineage are left out. */
  readonly inputs: readonly (readonly number[])[];
}

/** Nodes with inputs first, ties by id; nodes that a damaged file leaves in a cycle come last. */
function inputsFirst(nodes: readonly LineageNode[]): NodeOrder {
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

/** Each node's group at a level, numbered by first appearance; undefined for over `limit`. */
function colour(ordered: NodeOrder, level: Level, limit: number): Int32Array | undefined {
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

/** Colours nodes by `own` and the set of input colours in `from`; false if `limit` is passed. */
function refine(
  { nodes, inputs }: NodeOrder,
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

function collect(ordered: NodeOrder, colours: Int32Array): Draft[] {
  const drafts: Draft[] = [];
  const numbers = new Map<number, number>();
  const groupOf = ordered.nodes.map((node, i) => {
    const colourOf = colours[i] ?? -1;
    let id = numbers.get(colourOf);
    if (id === undefined) {
      id = drafts.length;
      numbers.set(colourOf, id);
      drafts.push(draft(id, node));
    }
    add(drafts[id] as Draft, node);
    return id;
  });
  for (const [i, inputs] of ordered.inputs.entries()) {
    const to = drafts[groupOf[i] as number] as Draft;
    for (const input of inputs) {
      const from = drafts[groupOf[input] as number] as Draft;
      if (from === to) to.repeats = true;
      else {
        to.inputs.set(from, (to.inputs.get(from) ?? 0) + 1);
        from.readers.add(to);
      }
    }
  }
  return drafts;
}

function noStates(): Record<NodeState, number> {
  return { source: 0, computed: 0, fused: 0, reused: 0 };
}

function draft(id: number, node: LineageNode): Draft {
  return {
    id,
    ops: [{ op: node.op, count: 0, seconds: 0 }],
    labels: new Set(),
    backends: new Set(),
    states: noStates(),
    rows: [node.rows, node.rows],
    cols: [node.cols, node.cols],
    count: 0,
    outputs: 0,
    hits: 0,
    seconds: 0,
    repeats: false,
    inputs: new Map(),
    readers: new Set(),
    mergedInto: undefined,
  };
}

function add(group: Draft, node: LineageNode): void {
  const own = group.ops[0];
  if (own) {
    own.count++;
    own.seconds += node.seconds;
  }
  group.count++;
  group.outputs++;
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

function finish(ordered: NodeOrder, drafts: readonly Draft[], grouping: string): LineageSummary {
  const kept = drafts.filter((group) => group.mergedInto === undefined);
  const states = noStates();
  for (const node of ordered.nodes) states[node.state]++;
  return {
    groups: kept.map(describe),
    edges: draftEdges(kept),
    nodes: ordered.nodes.length,
    states,
    grouping,
  };
}

function describe(group: Draft, id: number): LineageGroup {
  const main = group.ops.reduce((most, op) => (op.seconds >= most.seconds ? op : most));
  const others = group.ops.map(({ op }) => op).filter((op) => op !== main.op);
  return {
    id,
    op: main.op,
    opCount: main.count,
    with: [...new Set(others)],
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

function range([low, high]: readonly [number, number]): string {
  return low === high ? formatCount(low) : `${formatCount(low)}..${formatCount(high)}`;
}
