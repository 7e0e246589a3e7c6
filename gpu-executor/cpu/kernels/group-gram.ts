/**
 * `groupGram` by rank-k updates. Each group has an accumulator [n s'; . M], the moments of its rows
 * about a shift, upper triangle only. Rows come in by the cheapest of three ways: - in place: long
 * runs of one group, with shift 0, are handed to BLAS where they lie; - sparse: rows that are
 * mostly zero (one-hot columns) add the products of their few cells; - gathered: other rows are
 * copied group by group as [1, z - shift] into a buffer that one `syrk` a group takes in,
 *    while the next rows are copied into a second buffer. Weighted rows are never in place: they are
 *    copied times sqrt(w), the leading 1 too, or their products are added w times.
 *
 * The shift of a group is chosen from its first rows: any is exact in real arithmetic, and these
 * keep M / C below about 65 * (rows / first rows), so that means a million times the spread cost no
 * digits. At the end mean = shift + s / n and C = M - s s' / n (Chan, Golub and LeVeque 1979,
 * shifted one-pass).
 */

import type { Attrs } from '../../../driver/ir/attrs.js';
import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { gramOperands, groupGram } from '../../../driver/operators/group-gram.js';
import { type Routines, routinesOf } from '../native/blas.js';
import { addCodedRows, type CodedOperands, codedOperands, codedShift } from './gram-coded.js';
import { chooseShift, isMostlyZero, type RowSample } from './gram-shift.js';
import { addSparseRows, foldTriangles } from './gram-sparse.js';
import { gather, longRuns, type Piece } from './grouping.js';
import type { Kernel, KernelContext, Reducer, ReducerCall } from './kernel.js';

/** Cells of a gathered buffer, 8 MB: two and a block stay within a few tens of megabytes. */
const GATHERED_CELLS = 1 << 20;
/** From this many columns on, sums per lane take too much memory; lanes share out columns. */
const WIDE = 1024;
/** Rows of one library call where rows are used in place. */
const PIECE_ROWS = 8192;

/** Rows of a block, with their groups and, where they have any, weights. */
interface GramRows {
  readonly g: Float64Matrix;
  readonly parts: readonly Float64Matrix[];
  readonly weights: Float64Array | undefined;
}

class GramReducer implements Reducer {
  readonly #attrs: Attrs;
  readonly #groups: number;
  readonly #side: number;
  readonly #center: boolean;
  readonly #parallel: boolean;
  readonly #lanes: number;
  /** Bands of columns that one update is cut into, each a call of its own. */
  readonly #tiles: number;
  readonly #blas: Routines;
  /** Accumulators of every group, one set a lane. */
  readonly #sums: Float64Array[];
  /** Per group, the shift of [1, z]; the first cell stays 0. */
  readonly #shifts: Float64Array;
  /** 0: no row seen. 1: the shift is 0. 2: it is not. */
  readonly #shiftState: Uint8Array;
  /** Decided at the first rows that do not stay in place. */
  #isSparse: boolean | undefined;
  readonly #gathered: Float64Array[] = [];
  #turn = 0;
  #running: Promise<unknown> | undefined;

  constructor(call: ReducerCall, context: KernelContext) {
    this.#attrs = call.attrs;
    this.#groups = call.attrs.groups as number;
    this.#side = call.out.cols;
    this.#center = call.attrs.center as boolean;
    this.#parallel = call.parallel;
    const lanes = call.parallel ? context.blas.lanes : 1;
    this.#lanes = this.#side > WIDE ? 1 : lanes;
    this.#tiles = this.#side > WIDE ? lanes : 1;
    this.#blas = routinesOf(context.blas, call.parallel);
    const cells = this.#groups * this.#side * this.#side;
    this.#sums = Array.from({ length: this.#lanes }, () => new Float64Array(cells));
    this.#shifts = new Float64Array(this.#groups * this.#side);
    this.#shiftState = new Uint8Array(this.#groups);
  }

  add(inputs: readonly Float64Matrix[]): void | Promise<void> {
    const g = inputs[0]!;
    const { columns: parts, weights } = gramOperands(inputs, this.#attrs);
    const coded = codedOperands(parts);
    if (coded !== undefined) return this.#addCoded(g, coded, weights?.data);
    const runs = weights === undefined ? longRuns(g.data, this.#groups, PIECE_ROWS) : undefined;
    if (runs === undefined || !this.#mayStayInPlace(runs, parts)) {
      const rows = { g, parts, weights: weights?.data };
      return this.#isMostlyZero(parts) ? this.#addSparse(rows) : this.#addGathered(rows);
    }
    if (!this.#parallel) {
      for (const piece of runs) for (const step of this.#direct(piece, parts, 0)) void step();
      return undefined;
    }
    return this.#addInPlace(runs, parts);
  }

  /** Rows in place can't be shifted, so they must not need it. */
  #mayStayInPlace(runs: readonly Piece[], parts: readonly Float64Matrix[]): boolean {
    if (!this.#center) return true;
    for (const { group, start, rows } of runs) {
      this.#setShift(group, parts, { rows, rowOf: (k) => start + k, zeroIf: 'small' });
    }
    return runs.every(({ group }) => this.#shiftState[group] === 1);
  }

  #isMostlyZero(parts: readonly Float64Matrix[]): boolean {
    if (this.#isSparse === undefined) this.#isSparse = isMostlyZero(parts, this.#side);
    return this.#isSparse;
  }

  #addSparse({ g, parts, weights }: GramRows): void {
    if (this.#center && this.#shiftState.includes(0)) {
      const { order, pieces } = gather(g.data, this.#groups, 0, g.rows);
      for (const { group, start, rows } of pieces) {
        const sample: RowSample = { rows, rowOf: (k) => order[start + k]!, zeroIf: 'sparse' };
        this.#setShift(group, parts, sample);
      }
    }
    const group = { count: this.#groups, side: this.#side, shifts: this.#shifts };
    addSparseRows(g.data, parts, weights, group, this.#sums[0]!);
  }

  #addCoded(g: Float64Matrix, operands: CodedOperands, weights: Float64Array | undefined): void {
    this.#isSparse = true;
    const groups = { count: this.#groups, side: this.#side, shifts: this.#shifts };
    const grouped = gather(g.data, this.#groups, 0, g.rows);
    for (const { group, start, rows } of grouped.pieces) {
      if (!this.#center || this.#shiftState[group] !== 0) continue;
      this.#shiftState[group] = 2;
      const shift = this.#shifts.subarray(group * this.#side);
      codedShift(shift, operands.numbers, rows, (k) => grouped.order[start + k]!);
    }
    addCodedRows(grouped, operands, weights, groups, this.#sums[0]!);
  }

  #setShift(group: number, parts: readonly Float64Matrix[], sample: RowSample): void {
    if (!this.#center || this.#shiftState[group] !== 0) return;
    const shift = this.#shifts.subarray(group * this.#side, (group + 1) * this.#side);
    this.#shiftState[group] = chooseShift(shift, parts, sample) ? 2 : 1;
  }

  async #addInPlace(runs: readonly Piece[], parts: readonly Float64Matrix[]): Promise<void> {
    await this.#running;
    await Promise.all(
      this.#sums.map(async (_, lane) => {
        for (let p = lane; p < runs.length; p += this.#lanes) {
          // They write to cells of their own; side by side they hide the way of each through the
          // event loop.
          await Promise.all([...this.#direct(runs[p]!, parts, lane)].map((step) => step()));
        }
      }),
    );
  }

  /** The moments of rows where they lie, as library calls. */
  *#direct(
    piece: Piece,
    parts: readonly Float64Matrix[],
    lane: number,
  ): Generator<() => void | Promise<void>> {
    const { start, rows } = piece;
    const side = this.#side;
    const base = piece.group * side * side;
    const sums = this.#sums[lane]!;
    const ones = onesOf(rows);
    sums[base]! += rows;
    let at = 1;
    for (const [i, part] of parts.entries()) {
      const cells = part.data.subarray(start * part.cols);
      const width = part.cols;
      const row = sums.subarray(base + at);
      yield () => this.#blas.gemv(true, rows, width, 1, cells, width, ones, 1, row, 1);
      const corner = sums.subarray(base + at * side + at);
      yield* this.#products(width, rows, cells, width, corner);
      let across = at + width;
      for (const other of parts.slice(i + 1)) {
        const target = sums.subarray(base + at * side + across);
        const right = other.data.subarray(start * other.cols);
        const count = other.cols;
        yield count === 1
          ? () => this.#blas.gemv(true, rows, width, 1, cells, width, right, 1, target, side)
          : () =>
              this.#blas.gemm(
                ...([true, false, width, count, rows, 1, cells, width] as const),
                ...([right, count, 1, target, side] as const),
              );
        across += count;
      }
      at += width;
    }
  }

  /** Adds A'A to the upper triangle at `sums`; A is rows x width with `stride` cells a row. */
  *#products(
    width: number,
    rows: number,
    a: Float64Array,
    stride: number,
    sums: Float64Array,
  ): Generator<() => void | Promise<void>> {
    const side = this.#side;
    for (let tile = 0; tile < this.#tiles; tile++) {
      // Bands of equal area of the triangle, from the left.
      const from = Math.round(width * Math.sqrt(tile / this.#tiles));
      const to = Math.round(width * Math.sqrt((tile + 1) / this.#tiles));
      if (to === from) continue;
      const band = a.subarray(from);
      const corner = sums.subarray(from * side + from);
      yield () => this.#blas.syrk(to - from, rows, band, stride, 1, corner, side);
      if (from === 0) continue;
      const above = sums.subarray(from);
      yield () =>
        this.#blas.gemm(
          ...([true, false, from, to - from, rows, 1, a, stride, band, stride] as const),
          ...([1, above, side] as const),
        );
    }
  }

  #addGathered(rows: GramRows): void | Promise<void> {
    const { g } = rows;
    const step = Math.max(64, Math.floor(GATHERED_CELLS / this.#side));
    if (this.#parallel) return this.#addGatheredParallel(rows, step);
    for (let from = 0; from < g.rows; from += step) {
      for (const update of this.#gather(rows, from, Math.min(from + step, g.rows))) {
        void update();
      }
    }
    return undefined;
  }

  async #addGatheredParallel(rows: GramRows, step: number): Promise<void> {
    const { g } = rows;
    for (let from = 0; from < g.rows; from += step) {
      const updates = this.#gather(rows, from, Math.min(from + step, g.rows));
      await this.#running;
      this.#running = Promise.all(updates.map((update) => update()));
      // A failure surfaces at the next await of it, not as an unhandled rejection before.
      this.#running.catch(() => undefined);
    }
  }

  /** Copies rows into the free buffer and returns their updates, each to sums of its own. */
  #gather(
    { g, parts, weights }: GramRows,
    from: number,
    to: number,
  ): (() => void | Promise<void>)[] {
    const side = this.#side;
    const { order, pieces } = gather(g.data, this.#groups, from, to);
    const z = this.#buffer(order.length * side);
    const updates: (() => void | Promise<void>)[] = [];
    const split = pieces.length === 0 ? 1 : Math.ceil(this.#lanes / pieces.length);
    for (const piece of pieces) {
      const rowOf = (k: number): number => order[piece.start + k]!;
      this.#setShift(piece.group, parts, { rows: piece.rows, rowOf, zeroIf: 'never' });
      pack(z, side, order, piece, parts, this.#shifts.subarray(piece.group * side));
      if (weights !== undefined) weigh(z, side, order, piece, weights);
      const base = piece.group * side * side;
      for (let lane = 0; lane < split; lane++) {
        const first = Math.floor((piece.rows * lane) / split);
        const rows = Math.floor((piece.rows * (lane + 1)) / split) - first;
        if (rows === 0) continue;
        const cells = z.subarray((piece.start + first) * side);
        const sums = this.#sums[lane]!.subarray(base);
        updates.push(...this.#products(side, rows, cells, side, sums));
      }
    }
    return updates;
  }

  #buffer(cells: number): Float64Array {
    this.#turn = this.#parallel ? 1 - this.#turn : 0;
    const kept = this.#gathered[this.#turn];
    if (kept !== undefined && kept.length >= cells) return kept;
    const fresh = new Float64Array(cells);
    this.#gathered[this.#turn] = fresh;
    return fresh;
  }

  result(): Float64Matrix | Promise<Float64Matrix> {
    if (!this.#parallel) return this.#finish();
    return Promise.resolve(this.#running).then(() => this.#finish());
  }

  #finish(): Float64Matrix {
    const side = this.#side;
    const [out, ...others] = this.#sums as [Float64Array, ...Float64Array[]];
    for (const other of others) for (let i = 0; i < out.length; i++) out[i]! += other[i]!;
    if (this.#isSparse) foldTriangles(out, this.#groups, side);
    for (let group = 0; group < this.#groups; group++) {
      const base = group * side * side;
      if (this.#center) toCentered(out, base, side, this.#shifts.subarray(group * side));
      mirror(out, base, side);
    }
    return dense(this.#groups * side, side, out);
  }
}

/** Writes rows [1, z - shift] of one group. */
function pack(
  z: Float64Array,
  side: number,
  order: Int32Array,
  piece: Piece,
  parts: readonly Float64Matrix[],
  shift: Float64Array,
): void {
  const end = piece.start + piece.rows;
  for (let k = piece.start; k < end; k++) z[k * side] = 1;
  let offset = 1;
  for (const { data, cols } of parts) {
    for (let k = piece.start; k < end; k++) {
      const from = order[k]! * cols;
      const to = k * side + offset;
      for (let j = 0; j < cols; j++) z[to + j] = data[from + j]! - shift[offset + j]!;
    }
    offset += cols;
  }
}

/** Each packed row times the root of its weight, so that its products count as often. */
function weigh(
  z: Float64Array,
  side: number,
  order: Int32Array,
  { start, rows }: Piece,
  weights: Float64Array,
): void {
  for (let k = start; k < start + rows; k++) {
    const factor = Math.sqrt(weights[order[k]!]!);
    for (let at = k * side; at < (k + 1) * side; at++) z[at]! *= factor;
  }
}

/** Turns moments about the shift into mean and centred moments, in the upper triangle. */
function toCentered(out: Float64Array, base: number, side: number, shift: Float64Array): void {
  const n = out[base]!;
  if (n === 0) return;
  for (let i = 1; i < side; i++) {
    const scaled = out[base + i]! / n;
    const row = base + i * side;
    for (let j = i; j < side; j++) out[row + j]! -= scaled * out[base + j]!;
    // Rounding can leave a hair below zero for a constant column.
    if (out[row + i]! < 0) out[row + i] = 0;
  }
  for (let i = 1; i < side; i++) out[base + i] = shift[i]! + out[base + i]! / n;
}

/** Copies the upper triangle into the lower one, in squares that stay in the processor's cache. */
function mirror(out: Float64Array, base: number, side: number): void {
  for (let top = 0; top < side; top += 64) {
    for (let left = top; left < side; left += 64) {
      const [bottom, right] = [Math.min(top + 64, side), Math.min(left + 64, side)];
      for (let i = top; i < bottom; i++) {
        for (let j = Math.max(left, i + 1); j < right; j++) {
          out[base + j * side + i] = out[base + i * side + j]!;
        }
      }
    }
  }
}

let ones = new Float64Array(0);

function onesOf(length: number): Float64Array {
  if (ones.length < length) ones = new Float64Array(Math.max(length, PIECE_ROWS)).fill(1);
  return ones;
}

export const groupGramKernel: Kernel = {
  op: groupGram,
  readsCodedRows: true,
  reducer: (call, context) => new GramReducer(call, context),
};
