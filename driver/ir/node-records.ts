/**
 * The nodes of a lineage as records, where a stretch of nodes that repeats an earlier one is a single record. A loop
 * traced a million times is its first iterations and one record. Invariant: decoding gives back exactly the table that
 * was encoded. Source: LIMA's deduplicated loop bodies (SIGMOD 2021), found here in the finished trace by matching
 * stretches as LZ77 does, so that neither loops nor their bodies have to be marked while tracing.
 */
import { seriesReader } from './number-series.js';
import {
  damagedNodes as damaged,
  lengthOf,
  OwnNumbers,
  type Varying,
  VaryingNumbers,
  type VaryList,
} from './varying-numbers.js';

/**
 * Nodes by number, inputs before consumers; node i reads `inputs[start[i]] .. inputs[start[i + 1] - 1]`, and the numbers in
 * its attributes are `numbers[numberStart[i]] .. numbers[numberStart[i + 1] - 1]`.
 */
export interface NodeTable {
  readonly count: number;
  /** Place in the table of operators. */
  readonly op: Int32Array;
  /** Attributes but for their numbers: equal ones have equal numbers here. */
  readonly shape: Int32Array;
  readonly numberStart: Int32Array;
  readonly numbers: Float64Array;
  readonly start: Int32Array;
  readonly inputs: Int32Array;
}

/** Nodes as they are read back. */
export interface DecodedNodes {
  readonly count: number;
  readonly op: Int32Array;
  /** Place in the table of attributes; its numbers are replaced where the node has any of its own. */
  readonly attrs: Int32Array;
  readonly numberStart: Int32Array;
  readonly numbers: Float64Array;
  readonly start: Int32Array;
  readonly inputs: Int32Array;
}

/**
 * One node (operator, attributes, then for each input how many nodes back it stands), or `count` nodes that repeat
 * those `back` nodes earlier. The inputs of a repeated node move along with it, but for those listed in `fixed`
 * (counted through the inputs of the repeated body), which stay: what a loop reads and never writes. `vary` has the numbers
 * in attributes that change from one iteration to the next: node of the body, number of the node, and how.
 */
export type NodeRecord = readonly number[] | RepeatRecord;

export interface RepeatRecord {
  readonly back: number;
  readonly count: number;
  readonly fixed: readonly number[];
  readonly vary?: VaryList;
}

const MAX_PERIOD = 1 << 16;
/** Nodes looked ahead to find where a stretch may have stood before; the longer one sees past alike neighbours. */
const LOOK_AHEAD = [4, 32] as const;
const HASH_BITS = 18;
const MIN_REPEAT = 6;
/** From what cost of a repeat on another is looked for, and how far on. */
const DEAR = 16;
const LATER_PERIODS = 3;
const MAX_LATER = 256;

/**
 * The table as records. Linear in the nodes.
 * @param attrsPlace place of a node's attributes in their table, asked for nodes with a record of their own
 */
export function encodeNodes(table: NodeTable, attrsPlace: (node: number) => number): NodeRecord[] {
  const records: NodeRecord[] = [];
  // By all attributes, which tells alike neighbours apart, and without their numbers, which finds those that vary.
  const ways = [true, false].flatMap((withNumbers) => {
    const symbols = symbolHashes(table, withNumbers);
    return LOOK_AHEAD.map((window) => {
      const seen = new Int32Array(1 << HASH_BITS).fill(-1);
      return { symbols, window, seen };
    });
  });
  let period = 0;
  /** Nodes before it get records of their own. */
  let resume = 0;
  for (let i = 0; i < table.count; ) {
    let best: Repeat | undefined;
    for (const { symbols, window, seen } of ways) {
      const slot = windowHash(symbols, i, window);
      const before = seen[slot]!;
      seen[slot] = i;
      if (before < 0 || i - before > MAX_PERIOD || best?.record.back === i - before) continue;
      const repeat = extend(table, i, i - before);
      if (repeat !== undefined && repeat.saved > (best?.saved ?? 0)) best = repeat;
    }
    if (best !== undefined && i >= resume) resume = betterStart(table, i, best, period);
    if (best !== undefined && i >= resume) {
      records.push(best.record);
      period = best.record.back;
      i += best.record.count;
    } else {
      const record = [table.op[i]!, attrsPlace(i)];
      for (let at = table.start[i]!; at < table.start[i + 1]!; at++) {
        record.push(i - table.inputs[at]!);
      }
      records.push(record);
      i++;
    }
  }
  return records;
}

/**
 * Where to begin instead with a repeat as far back as the last one, if that is denser: a loop that goes on after something in
 * it changed also repeats what stands as far back as that change, with very many numbers that vary.
 */
function betterStart(table: NodeTable, i: number, best: Repeat, period: number): number {
  if (period === 0 || period >= best.record.back || best.cost < DEAR) return i;
  const end = Math.min(i + LATER_PERIODS * period, i + MAX_LATER, table.count);
  for (let later = i + 1; later < end; later++) {
    const repeat = later >= period ? extend(table, later, period) : undefined;
    if (repeat !== undefined && density(repeat) > density(best)) return later;
  }
  return i;
}

/** Nodes for the room of one record. */
function density({ record, saved }: Repeat): number {
  return record.count / (record.count - saved);
}

/**
 * @param numbersOf the numbers in the attributes of a place
 * @throws PlanError when a record is damaged or the records are not exactly `count` nodes
 */
export function decodeNodes(
  records: readonly unknown[],
  count: number,
  numbersOf: (place: number) => readonly number[],
): DecodedNodes {
  const op = new Int32Array(count);
  const attrs = new Int32Array(count);
  const start = new Int32Array(count + 1);
  let inputs = new Int32Array(Math.max(16, count * 2));
  const own = new OwnNumbers(count, attrs, numbersOf);
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
      own.none(i);
      start[++i] = end;
      continue;
    }
    const { back, nodes, fixed, vary } = checkRepeat(record, i, count);
    const first = start[i - back]!;
    for (let t = 0; t < nodes; t++) {
      const from = i - back;
      op[i] = op[from]!;
      attrs[i] = attrs[from]!;
      const slot = start[i - t - back + (t % back)]! - first;
      for (let at = start[from]!, k = 0; at < start[from + 1]!; at++, k++) {
        add(fixed.has(slot + k) ? inputs[at]! : inputs[at]! + back);
      }
      own.repeat(i, from, vary.get(t % back), Math.floor(t / back) + 1);
      start[++i] = end;
    }
  }
  if (i !== count) throw damaged(`${count} nodes`, i);
  return { count, op, attrs, start, inputs, ...own.table() };
}

interface Repeat {
  readonly record: RepeatRecord;
  /** About how many records fewer. */
  readonly saved: number;
  /** What the numbers that vary take, in records. */
  readonly cost: number;
}

/** How far the nodes from `i` on repeat those `back` nodes earlier; undefined when it is not worth a record. */
function extend(table: NodeTable, i: number, back: number): Repeat | undefined {
  const { op, shape, start, inputs } = table;
  const body = start[i - back]!;
  /** By slot of the body: whether the input stays (true) or moves along (false); undefined until seen. */
  const stays: (boolean | undefined)[] = [];
  const varying = new VaryingNumbers(table, i, back);
  let count = 0;
  for (let at = i; at < table.count; at++, count++) {
    const from = at - back;
    const arity = start[at + 1]! - start[at]!;
    if (op[at] !== op[from] || shape[at] !== shape[from]) break;
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
    if (!same || !varying.takes(at, count)) break;
    for (let k = 0; k < arity; k++) {
      stays[slot + k] = inputs[start[at]! + k] === inputs[start[from]! + k];
    }
  }
  const fixed = stays.flatMap((stay, slot) => (stay === true ? [slot] : []));
  const { vary, cost } = varying.result(count);
  // A record of its own costs about as much text as three nodes and one for every two fixed inputs.
  const saved = count - 3 - fixed.length / 2 - cost;
  if (count < MIN_REPEAT || saved <= 0) return undefined;
  return { record: { back, count, fixed, ...(vary.length > 0 ? { vary } : {}) }, saved, cost };
}

function symbolHashes(table: NodeTable, withNumbers: boolean): Int32Array {
  const symbols = new Int32Array(table.count);
  const { numberStart, numbers } = table;
  const bits = new Float64Array(1);
  const words = new Int32Array(bits.buffer);
  for (let i = 0; i < table.count; i++) {
    const arity = table.start[i + 1]! - table.start[i]!;
    let mixed = Math.imul(table.op[i]! * 31 + arity, 0x85ebca6b) ^ table.shape[i]!;
    if (withNumbers) {
      for (let n = numberStart[i]!; n < numberStart[i + 1]!; n++) {
        bits[0] = numbers[n]!;
        mixed = Math.imul(mixed ^ words[0]!, 0x01000193) ^ Math.imul(words[1]!, 0x85ebca6b);
      }
    }
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
): {
  readonly back: number;
  readonly nodes: number;
  readonly fixed: ReadonlySet<number>;
  readonly vary: ReadonlyMap<number, readonly Varying[]>;
} {
  const { back, count: nodes, fixed, vary = [] } = (record ?? {}) as Record<string, unknown>;
  const isSound =
    isIndex(back) &&
    isIndex(nodes) &&
    back >= 1 &&
    back <= at &&
    nodes <= count - at &&
    Array.isArray(fixed) &&
    fixed.every(isIndex) &&
    Array.isArray(vary);
  const byNode = new Map<number, Varying[]>();
  try {
    if (!isSound) throw new TypeError('not a repeat');
    for (const entry of vary) {
      const [node, number, series] = entry as readonly unknown[];
      if (!isIndex(node) || !isIndex(number) || node >= back)
        throw new TypeError('not in the body');
      const read = seriesReader(series, lengthOf(nodes, node, back));
      byNode.set(node, [...(byNode.get(node) ?? []), { number, read }]);
    }
  } catch {
    throw damaged(
      `a node or a repeat that fits at node ${at} of ${count}`,
      JSON.stringify(record)?.slice(0, 80),
    );
  }
  return { back, nodes, fixed: new Set(fixed as number[]), vary: byNode } as ReturnType<
    typeof checkRepeat
  >;
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
