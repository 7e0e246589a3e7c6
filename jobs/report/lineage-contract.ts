/**
 * Draws short steps of a lineage within what reads them. A group joins its reader when it has no
 * other and as many results, so the joined box is a fanout-free cone (Cong and Ding, FlowMap, 1994)
 * with one kind of output. Invariant: no cycle arises, since every path out of a joined group led
 * through its reader already. The cheapest go first, so that what took the time keeps a box of its
 * own.
 */
import type { LineageEdge, NodeState } from './lineage-summary.js';

/** A group of nodes while it is being put together. */
export interface Draft {
  readonly id: number;
  /** Its operators in the order they are computed, each once. */
  ops: { readonly op: string; count: number; seconds: number }[];
  readonly labels: Set<string>;
  readonly backends: Set<string>;
  readonly states: Record<NodeState, number>;
  /** Least and most rows and columns of its outputs. */
  readonly rows: [number, number];
  readonly cols: [number, number];
  count: number;
  /** Results that other groups may read. */
  outputs: number;
  hits: number;
  seconds: number;
  repeats: boolean;
  /** Groups it reads, with the edges between nodes that stand behind. */
  readonly inputs: Map<Draft, number>;
  readonly readers: Set<Draft>;
  /** The reader it is drawn within. */
  mergedInto: Draft | undefined;
}

/** Joins groups with readers until `wanted` are left or none can be; returns how many it joined. */
export function contract(drafts: readonly Draft[], wanted: number): number {
  let merged = 0;
  while (drafts.length - merged > wanted) {
    const next = cheapest(drafts);
    if (next === undefined) break;
    join(next.group, next.reader);
    merged++;
  }
  return merged;
}

/** The edges between groups, numbered by their places in `kept`. */
export function draftEdges(kept: readonly Draft[]): LineageEdge[] {
  const place = new Map(kept.map((group, i) => [group, i]));
  return kept.flatMap((group, to) =>
    [...group.inputs].map(([input, count]) => ({ from: place.get(input) ?? -1, to, count })),
  );
}

interface Candidate {
  readonly group: Draft;
  readonly reader: Draft;
}

function cheapest(drafts: readonly Draft[]): Candidate | undefined {
  let best: Candidate | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const group of drafts) {
    if (group.mergedInto !== undefined || group.readers.size !== 1) continue;
    const [reader] = group.readers;
    if (reader === undefined || !belongTogether(group, reader)) continue;
    const cost = Math.min(group.seconds, reader.seconds);
    if (cost < least) {
      least = cost;
      best = { group, reader };
    }
  }
  return best;
}

/** Leaves keep their boxes, and so does what was reused or ran elsewhere. */
function belongTogether(group: Draft, reader: Draft): boolean {
  if (group.inputs.size === 0 || group.outputs !== reader.outputs) return false;
  if (group.states.reused > 0 !== reader.states.reused > 0) return false;
  if (group.backends.size === 0 || reader.backends.size === 0) return true;
  return (
    group.backends.size === reader.backends.size &&
    [...group.backends].every((backend) => reader.backends.has(backend))
  );
}

function join(group: Draft, reader: Draft): void {
  const ops = new Map(group.ops.map((entry) => [entry.op, entry]));
  for (const entry of reader.ops) {
    const same = ops.get(entry.op);
    if (same === undefined) ops.set(entry.op, entry);
    else {
      same.count += entry.count;
      same.seconds += entry.seconds;
    }
  }
  reader.ops = [...ops.values()];
  for (const label of group.labels) reader.labels.add(label);
  for (const backend of group.backends) reader.backends.add(backend);
  for (const [state, count] of Object.entries(group.states)) {
    reader.states[state as NodeState] += count;
  }
  reader.count += group.count;
  reader.hits += group.hits;
  reader.seconds += group.seconds;
  reader.repeats ||= group.repeats;
  reader.inputs.delete(group);
  for (const [input, count] of group.inputs) {
    reader.inputs.set(input, (reader.inputs.get(input) ?? 0) + count);
    input.readers.delete(group);
    input.readers.add(reader);
  }
  group.mergedInto = reader;
}
