/**
 * `groupQuantile` without sorting: a column's cells are counted by bin and group, in one pass, and
 * only those in bins that hold a wanted rank are looked at again, where the rank is selected. Bins
 * are runs of the bits of a cell's distance from a sampled middle, so they are narrow where cells
 * lie close and there are few however far they reach. Columns are read a cache line at a time.
 */
import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import {
  between,
  groupQuantile,
  placeOf,
  type QuantilesAsked,
  quantilesAsked,
} from '../../../driver/operators/group-quantile.js';
import { runSteps, runStepsAsync, type Steps } from './coordinate-descent.js';
import type { Kernel, KernelCall } from './kernel.js';

/** Columns in a cache line. */
const LINE = 8;
/** Rows whose lines stay in the first cache while each of their columns is read. */
const BLOCK = 256;
/** Counters of all groups, at most. */
const MOST_COUNTERS = 1 << 22;

export const groupQuantileKernel: Kernel = {
  op: groupQuantile,
  run: (call) => runSteps(quantiles(call)),
  runAsync: (call) => runStepsAsync(quantiles(call)),
};

function* quantiles({ inputs, attrs, out }: KernelCall): Steps<Float64Matrix> {
  const [g, a, fill] = inputs;
  const asked = quantilesAsked(attrs);
  const rows = rowsOf(g!.data, asked);
  const group = Int32Array.from(rows, (i) => g!.data[i]!);
  const data = new Float64Array(out.rows * out.cols);
  const columns = Array.from({ length: LINE }, () => new Float64Array(rows.length));
  const work = new ColumnWork(group, asked);
  for (let first = 0; first < out.cols; first += LINE) {
    const width = Math.min(LINE, out.cols - first);
    for (let from = 0; from < rows.length; from += BLOCK) {
      const to = Math.min(from + BLOCK, rows.length);
      for (let j = 0; j < width; j++) {
        gather(a!.data, { rows, from, to, stride: out.cols, column: first + j }, columns[j]!);
      }
    }
    for (let j = 0; j < width; j++) {
      const fills = fill && asked.sets.map((_, s) => fill.data[s * out.cols + first + j]!);
      const found = work.quantiles(columns[j]!, fills);
      for (let r = 0; r < found.length; r++) data[r * out.cols + first + j] = found[r]!;
      yield;
    }
  }
  return dense(out.rows, out.cols, data);
}

interface Gathered {
  readonly rows: Int32Array;
  readonly from: number;
  readonly to: number;
  readonly stride: number;
  readonly column: number;
}

function gather(
  cells: Float64Array,
  { rows, from, to, stride, column }: Gathered,
  into: Float64Array,
): void {
  for (let k = from; k < to; k++) into[k] = cells[rows[k]! * stride + column]!;
}

/** Rows of a group that some set has. */
function rowsOf(g: Float64Array, { sets, groups }: QuantilesAsked): Int32Array {
  const isUsed = new Uint8Array(groups);
  for (const set of sets) for (const group of set) isUsed[group] = 1;
  const rows = new Int32Array(g.length);
  let count = 0;
  for (let i = 0; i < g.length; i++) {
    const own = g[i]!;
    if (own >= 0 && own < groups && isUsed[own] === 1) rows[count++] = i;
  }
  return rows.subarray(0, count);
}

/** Cells of a bin, in any order. */
interface Bin {
  readonly cells: Float64Array;
  readonly groups: Int32Array;
  held: number;
}

/** What is used again for every column. */
class ColumnWork {
  readonly #group: Int32Array;
  readonly #asked: QuantilesAsked;
  readonly #shift: number;
  readonly #bins: number;
  readonly #counts: Int32Array;
  readonly #totals: Int32Array;
  readonly #missing: Int32Array;
  readonly #binOf: Int32Array;
  readonly #distance: Float64Array;
  readonly #words: Uint32Array;
  readonly #isIn: readonly Uint8Array[];
  readonly #subset: Float64Array;

  constructor(group: Int32Array, asked: QuantilesAsked) {
    const { groups, sets } = asked;
    let bits = 16;
    while (bits > 8 && groups * 2 ** bits > MOST_COUNTERS) bits--;
    this.#group = group;
    this.#asked = asked;
    this.#shift = 16 - bits;
    this.#bins = 2 ** bits;
    this.#counts = new Int32Array(groups * this.#bins);
    this.#totals = new Int32Array(this.#bins);
    this.#missing = new Int32Array(groups);
    this.#binOf = new Int32Array(group.length);
    this.#distance = new Float64Array(group.length);
    this.#words = new Uint32Array(this.#distance.buffer);
    this.#isIn = sets.map((set) => {
      const isIn = new Uint8Array(groups);
      for (const own of set) isIn[own] = 1;
      return isIn;
    });
    this.#subset = new Float64Array(group.length);
  }

  /** By set, then quantile. */
  quantiles(cells: Float64Array, fills: readonly number[] | undefined): Float64Array {
    const bins = this.#count(cells);
    const { sets, at, present } = this.#asked;
    const found = new Float64Array(sets.length * at.length).fill(Number.NaN);
    const plans = sets.flatMap((set, s) => {
      const missing = set.reduce((sum, own) => sum + this.#missing[own]!, 0);
      const fill = fills?.[s] ?? Number.NaN;
      if (missing > 0 && !present) return [];
      return [this.#plan(s, bins, Number.isNaN(fill) ? 0 : missing, fill)];
    });
    const held = this.#collect(
      cells,
      plans.flatMap(({ wanted }) => wanted),
    );
    for (const plan of plans) this.#select(plan, bins, held, found);
    for (const bin of bins) {
      this.#totals[bin] = 0;
      for (let own = 0; own < this.#asked.groups; own++) this.#counts[own * this.#bins + bin] = 0;
    }
    return found;
  }

  /** Counts cells by bin and group. @returns bins with cells, ascending */
  #count(cells: Float64Array): Int32Array {
    const [group, totals, counts, missing] = [
      this.#group,
      this.#totals,
      this.#counts,
      this.#missing,
    ];
    const [distance, words, binOf] = [this.#distance, this.#words, this.#binOf];
    const [shift, width, middle] = [this.#shift, this.#bins, middleOf(cells)];
    missing.fill(0);
    const touched: number[] = [];
    for (let i = 0; i < cells.length; i++) distance[i] = cells[i]! - middle;
    for (let i = 0; i < cells.length; i++) {
      if (Number.isNaN(cells[i])) {
        missing[group[i]!]!++;
        binOf[i] = -1;
        continue;
      }
      // The first 16 bits of a number, so that they ascend as numbers do.
      const top = words[2 * i + 1]! >>> 16;
      const bin = (top ^ ((-(top >>> 15) & 0xffff) | 0x8000)) >>> shift;
      binOf[i] = bin;
      if (totals[bin]!++ === 0) touched.push(bin);
      counts[group[i]! * width + bin]!++;
    }
    return Int32Array.from(touched).sort();
  }

  #countOf(set: readonly number[], bin: number): number {
    let sum = 0;
    for (const own of set) sum += this.#counts[own * this.#bins + bin]!;
    return sum;
  }

  /** Which bins the ranks of a set lie in; where missing cells count, before or after these. */
  #plan(s: number, bins: Int32Array, missing: number, fill: number): SetPlan {
    const { sets, at } = this.#asked;
    const set = sets[s]!;
    let count = 0;
    const below = Int32Array.from(bins, (bin) => {
      const before = count;
      count += this.#countOf(set, bin);
      return before;
    });
    const ranks = new Set<number>();
    for (const share of at) {
      const { low, high } = placeOf(share, count + missing);
      for (const rank of [low, high]) for (const own of [rank, rank - missing]) if (own >= 0 && own < count) ranks.add(own); // biome-ignore format: nested
    }
    const wanted = [...ranks].map((rank) => bins[lastAtMost(below, rank)]!);
    return { s, count, missing, fill, below, wanted };
  }

  #collect(cells: Float64Array, wanted: readonly number[]): ReadonlyMap<number, Bin> {
    const held = new Map<number, Bin>();
    for (const bin of wanted) {
      const size = this.#totals[bin]!;
      if (!held.has(bin)) {
        held.set(bin, { cells: new Float64Array(size), groups: new Int32Array(size), held: 0 });
      }
    }
    const slot = new Int32Array(this.#bins).fill(-1);
    const list = [...held.values()];
    for (const [k, bin] of [...held.keys()].entries()) slot[bin] = k;
    const [group, binOf] = [this.#group, this.#binOf];
    for (let i = 0; i < cells.length; i++) {
      const place = binOf[i]! < 0 ? -1 : slot[binOf[i]!]!;
      if (place < 0) continue;
      const own = list[place]!;
      own.cells[own.held] = cells[i]!;
      own.groups[own.held++] = group[i]!;
    }
    return held;
  }

  #select(plan: SetPlan, bins: Int32Array, held: ReadonlyMap<number, Bin>, found: Float64Array) {
    const { s, count, missing, fill, below } = plan;
    const { at } = this.#asked;
    if (count + missing === 0) return;
    const ranked = (rank: number): number => {
      const place = lastAtMost(below, rank);
      return this.#rankedIn(held.get(bins[place]!)!, s, rank - below[place]!);
    };
    const cellAt = (rank: number): number => {
      if (missing === 0) return ranked(rank);
      // The missing stand together: the cells before them are those less than their value.
      const before = rank < count ? ranked(rank) : Number.POSITIVE_INFINITY;
      if (before < fill) return before;
      const after = rank - missing >= 0 ? ranked(rank - missing) : Number.NEGATIVE_INFINITY;
      return after > fill ? after : fill;
    };
    for (const [k, share] of at.entries()) {
      const { low, high, share: part } = placeOf(share, count + missing);
      const least = cellAt(low);
      const greatest = high === low ? least : cellAt(high);
      found[s * at.length + k] = between(least, greatest, part);
    }
  }

  /** A rank among the cells of a bin that are in a set. */
  #rankedIn({ cells, groups }: Bin, s: number, rank: number): number {
    const isIn = this.#isIn[s]!;
    const subset = this.#subset;
    let n = 0;
    for (let i = 0; i < cells.length; i++) if (isIn[groups[i]!] === 1) subset[n++] = cells[i]!;
    return selectRank(subset, n, rank);
  }
}

interface SetPlan {
  readonly s: number;
  /** Cells of the set, and missing ones that count as `fill`. */
  readonly count: number;
  readonly missing: number;
  readonly fill: number;
  /** Cells of the set before each bin. */
  readonly below: Int32Array;
  readonly wanted: readonly number[];
}

/** The last place whose number is at most `most`: of equal ones that which holds the rank. */
function lastAtMost(ascending: Int32Array, most: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ascending[middle]! <= most) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A value near the middle, of a sample. */
function middleOf(cells: Float64Array): number {
  const step = Math.max(1, Math.floor(cells.length / 128));
  const some: number[] = [];
  for (let i = 0; i < cells.length; i += step) if (Number.isFinite(cells[i]!)) some.push(cells[i]!);
  some.sort((a, b) => a - b);
  return some[some.length >> 1] ?? 0;
}

/** The cell of a rank among the first `n`, which are put in another order (Hoare 1961). */
function selectRank(cells: Float64Array, n: number, rank: number): number {
  let [low, high] = [0, n - 1];
  while (low < high) {
    const pivot = cells[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (cells[i]! < pivot) i++;
      while (cells[j]! > pivot) j--;
      if (i > j) break;
      const cell = cells[i]!;
      cells[i++] = cells[j]!;
      cells[j--] = cell;
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else return cells[rank]!;
  }
  return cells[low]!;
}
