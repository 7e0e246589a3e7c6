/**
 * The nodes of a lineage as records, where a stretch of nodes that repeats an earlier one is a single record. A loop
 * traced a million times is its first iterations and one record. Invariant: decoding gives back exactly the table that
 * was encoded. Source: LIMA's deduplicated loop bodies (SIGMOD 2021), found here in the finished trace by matching
 * stretches as LZ77 does, so that neither loops nor their bodies have to be marked while tracing.
 */
import { PlanError } from '../errors.js';

/** Nodes by number, inputs before consumers; node i reads `inputs[start[i]] .. inputs[start[i + 1] - 1]`. */
export interface NodeTable {
  readonly count: number;
  /** Places in the tables of operators and attributes. */
  readonly op: Int32Array;
  readonly attrs: Int32Array;
  readonly start: Int32Array;
  readonly inputs: Int32Array;
}

/**
 * One node (operator, attributes, then for each input how many nodes back it stands), or `count` nodes that repeat
 * those `back` nodes earlier. The inputs of a repeated node move along with it, but for those listed in `fixed`
 * (counted through the inputs of the repeated body), which stay: what a loop reads and never writes.
 */
export type NodeRecord =
  | readonly number[]
  | { readonly back: number; readonly count: number; readonly fixed: readonly number[] };

const MAX_PERIOD = 1 << 16;
/** Nodes looked ahead to find where a stretch may have stood before; the longer one sees past alike neighbours. */
const LOOK_AHEAD = [4, 32] as const;
const HASH_BITS = 18;
const MIN_REPEAT = 6;

/** The table as records. Linear in the nodes. */
export function encodeNodes(table: NodeTable): NodeRecord[] {
  const records: NodeRecord[] = [];
  const symbols = symbolHashes(table);
  const seen = LOOK_AHEAD.map(() => new Int32Array(1 << HASH_BITS).fill(-1));
  for (let i = 0; i < table.count; ) {
    let best: Repeat | undefined;
    for (const [k, window] of LOOK_AHEAD.entries()) {
      const slot = windowHash(symbols, i, window);
      const before = seen[k]![slot]!;
      seen[k]![slot] = i;
      if (before < 0 || i - before > MAX_PERIOD || best?.back === i - before) continue;
      const repeat = extend(table, i, i - before);
      if (repeat !== undefined && repeat.count > (best?.count ?? 0)) best = repeat;
    }
    if (best !== undefined) {
      records.push(best);
      i += best.count;
    } else {
      const record = [table.op[i]!, table.attrs[i]!];
      for (let at = table.start[i]!; at < table.start[i + 1]!; at++) {
        record.push(i - table.inputs[at]!);
      }
      records.push(record);
      i++;
    }
  }
  return records;
}

/** @throws PlanError when a record is damaged or the records are not exactly `count` nodes */
export function decodeNodes(records: readonly unknown[], count: number): NodeTable {
  const op = new Int32Array(count);
  const attrs = new Int32Array(count);
  const start = new Int32Array(count + 1);
  let inputs = new Int32Array(Math.max(16, count * 2));
  let i = 0;
  let end = 0;
  const add = (ref: number): void => {
    if (!(ref >= 0 && ref < i)) throw damaged(`an input before node ${i}`, ref);
    if (end === inputs.length) {
      const grown = new Int32Array(inputs.length * 2);
      grown.set(inputs);
      inputs = grown;
    }
    inputs[end++] = ref;
  };
  for (const record of records) {
    if (Array.isArray(record)) {
      if (i >= count) throw damaged(`${count} nodes`, 'more');
      if (record.length < 2 || !record.every(isIndex)) {
        throw damaged('a node as whole numbers', JSON.stringify(record)?.slice(0, 80));
      }
      op[i] = record[0]!;
      attrs[i] = record[1]!;
      for (let k = 2; k < record.length; k++) add(i - record[k]!);
      start[++i] = end;
      continue;
    }
    const { back, nodes, fixed } = checkRepeat(record, i, count);
    const first = start[i - back]!;
    for (let t = 0; t < nodes; t++) {
      const from = i - back;
      op[i] = op[from]!;
      attrs[i] = attrs[from]!;
      const slot = start[i - t - back + (t % back)]! - first;
      for (let at = start[from]!, k = 0; at < start[from + 1]!; at++, k++) {
        add(fixed.has(slot + k) ? inputs[at]! : inputs[at]! + back);
      }
      start[++i] = end;
    }
  }
  if (i !== count) throw damaged(`${count} nodes`, i);
  return { count, op, attrs, start, inputs };
}

interface Repeat {
  readonly back: number;
  readonly count: number;
  readonly fixed: readonly number[];
}

/** How far the nodes from `i` on repeat those `back` nodes earlier; undefined when it is not worth a record. */
function extend(table: NodeTable, i: number, back: number): Repeat | undefined {
  const { op, attrs, start, inputs } = table;
  const body = start[i - back]!;
  /** By slot of the body: whether the input stays (true) or moves along (false); undefined until seen. */
  const stays: (boolean | undefined)[] = [];
  let count = 0;
  for (let at = i; at < table.count; at++, count++) {
    const from = at - back;
    const arity = start[at + 1]! - start[at]!;
    if (op[at] !== op[from] || attrs[at] !== attrs[from]) break;
    if (start[from + 1]! - start[from]! !== arity) break;
    const slot = start[i - back + (count % back)]! - body;
    let same = true;
    for (let k = 0; k < arity && same; k++) {
      const here = inputs[start[at]! + k]!;
      const there = inputs[start[from]! + k]!;
      const stay = here === there;
      if (!stay && here - there !== back) same = false;
      else if (stays[slot + k] !== undefined && stays[slot + k] !== stay) same = false;
    }
    if (!same) break;
    for (let k = 0; k < arity; k++) {
      stays[slot + k] = inputs[start[at]! + k] === inputs[start[from]! + k];
    }
  }
  const fixed = stays.flatMap((stay, slot) => (stay === true ? [slot] : []));
  // A record of its own costs about as much text as three nodes and one for every two fixed inputs.
  const pays = count >= MIN_REPEAT && count > 3 + fixed.length / 2;
  return pays ? { back, count, fixed } : undefined;
}

function symbolHashes(table: NodeTable): Int32Array {
  const symbols = new Int32Array(table.count);
  for (let i = 0; i < table.count; i++) {
    const arity = table.start[i + 1]! - table.start[i]!;
    const mixed = Math.imul(table.op[i]! * 31 + arity, 0x85ebca6b) ^ table.attrs[i]!;
    symbols[i] = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  }
  return symbols;
}

function windowHash(symbols: Int32Array, from: number, window: number): number {
  const to = Math.min(from + window, symbols.length);
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ symbols[i]!, 0x01000193);
  return (hash ^ (hash >>> 15)) & ((1 << HASH_BITS) - 1);
}

function checkRepeat(
  record: unknown,
  at: number,
  count: number,
): { readonly back: number; readonly nodes: number; readonly fixed: ReadonlySet<number> } {
  const { back, count: nodes, fixed } = (record ?? {}) as Record<string, unknown>;
  const isSound =
    isIndex(back) &&
    isIndex(nodes) &&
    back >= 1 &&
    back <= at &&
    nodes <= count - at &&
    Array.isArray(fixed) &&
    fixed.every(isIndex);
  if (!isSound) {
    throw damaged(
      `a node or a repeat that fits at node ${at} of ${count}`,
      JSON.stringify(record)?.slice(0, 80),
    );
  }
  return { back, nodes, fixed: new Set(fixed as number[]) };
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function damaged(expected: string, got: unknown): PlanError {
  return new PlanError(
    `lineage: expected ${expected}, got ${String(got)}; the stored lineage is damaged, run the job again`,
    { got },
  );
}
