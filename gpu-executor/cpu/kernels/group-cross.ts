/**
 * `groupCross` as one product of A, where it lies, with a thin matrix W that holds [1, b - shift]
 * of each row in the columns of its group and zeros in the others, so that rows need not be
 * gathered; long runs of one group take its columns of W only. Where means of A are large beside
 * the spread, blocks of a - shift are copied first. The shifts are chosen from a group's first
 * rows, as in `group-gram.ts`; at the end mean = shift + s / n and C = M - s_a s_b' / n.
 */

import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { groupCross } from '../../../driver/operators/group-cross.js';
import { type Routines, routinesOf } from '../native/blas.js';
import { numbersOf } from './gram-columns.js';
import { chooseShift } from './gram-shift.js';
import { gather, longRuns, type Piece } from './grouping.js';
import type { Kernel, KernelContext, Reducer, ReducerCall } from './kernel.js';

/** Rows of one product, and cells of A copied at once: both stay in the processor's cache. */
const STEP_ROWS = 8192;
const STEP_CELLS = 1 << 17;

class CrossReducer implements Reducer {
  readonly #groups: number;
  readonly #center: boolean;
  readonly #lanes: number;
  readonly #parallel: boolean;
  readonly #blas: Routines;
  /** Columns of A; of [1 B]; of W. */
  readonly #left: number;
  readonly #right: number;
  readonly #wide: number;
  /** A' W: [columns of A, groups * right]. */
  readonly #products: Float64Array;
  /** Sums of the columns of W. */
  readonly #sums: Float64Array;
  /** Of every group, the shift of [1, a] and of [1, b]. */
  readonly #leftShifts: Float64Array;
  readonly #rightShifts: Float64Array;
  readonly #isShifted: Uint8Array;
  #needsCopy = false;
  #w = new Float64Array(0);
  #copy = new Float64Array(0);

  constructor(call: ReducerCall, context: KernelContext) {
    this.#groups = call.attrs.groups as number;
    this.#center = call.attrs.center as boolean;
    this.#parallel = call.parallel;
    this.#lanes = call.parallel ? context.blas.lanes : 1;
    this.#blas = routinesOf(context.blas, call.parallel);
    this.#left = call.out.rows / this.#groups - 1;
    this.#right = call.out.cols;
    this.#wide = this.#groups * this.#right;
    this.#products = new Float64Array(this.#left * this.#wide);
    this.#sums = new Float64Array(this.#wide);
    this.#leftShifts = new Float64Array(this.#groups * (this.#left + 1));
    this.#rightShifts = new Float64Array(this.#wide);
    this.#isShifted = new Uint8Array(this.#groups);
  }

  add(inputs: readonly Float64Matrix[]): void | Promise<void> {
    const [g, a, b] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix];
    if (this.#center && this.#isShifted.includes(0)) this.#chooseShifts(g, a, b);
    if (this.#parallel) return this.#addParallel(g, a, b);
    for (const [from, to] of this.#steps(g.rows)) {
      for (const product of this.#multiply(g, a, b, from, to)) void product();
    }
    return undefined;
  }

  async #addParallel(g: Float64Matrix, a: Float64Matrix, b: Float64Matrix): Promise<void> {
    for (const [from, to] of this.#steps(g.rows)) {
      await Promise.all(this.#multiply(g, a, b, from, to).map((product) => product()));
    }
  }

  *#steps(rows: number): Generator<readonly [number, number]> {
    const most = this.#needsCopy ? Math.floor(STEP_CELLS / this.#left) : STEP_ROWS;
    const step = Math.max(64, Math.min(STEP_ROWS, most));
    for (let from = 0; from < rows; from += step) yield [from, Math.min(rows, from + step)];
  }

  #chooseShifts(g: Float64Matrix, a: Float64Matrix, b: Float64Matrix): void {
    const { order, pieces } = gather(g.data, this.#groups, 0, g.rows);
    const [ofA, ofB] = [numbersOf([a]), numbersOf([b])];
    for (const { group, start, rows } of pieces) {
      if (this.#isShifted[group] === 1) continue;
      this.#isShifted[group] = 1;
      const rowOf = (k: number): number => order[start + k]!;
      const width = this.#left + 1;
      const left = this.#leftShifts.subarray(group * width, (group + 1) * width);
      const isShifted = chooseShift(left, ofA, { rows, rowOf, zeroIf: 'small' });
      this.#needsCopy ||= isShifted;
      const right = this.#rightShifts.subarray(group * this.#right, (group + 1) * this.#right);
      chooseShift(right, ofB, { rows, rowOf, zeroIf: 'never' });
    }
  }

  /** The products of rows `from .. to-1`, each for columns of A of its own. */
  #multiply(
    g: Float64Matrix,
    a: Float64Matrix,
    b: Float64Matrix,
    from: number,
    to: number,
  ): (() => void | Promise<void>)[] {
    const runs = longRuns(g.data.subarray(from, to), this.#groups, to - from);
    const width = runs === undefined ? this.#wide : this.#right;
    this.#fill(g, b, from, to, width);
    const cells = this.#needsCopy
      ? this.#shifted(g, a, from, to)
      : a.data.subarray(from * this.#left);
    const whole: Piece = { group: 0, start: 0, rows: to - from };
    return (runs ?? [whole]).flatMap((piece) => this.#calls(piece, cells, width));
  }

  #calls(piece: Piece, cells: Float64Array, width: number): (() => void | Promise<void>)[] {
    const [left, wide] = [this.#left, this.#wide];
    const w = this.#w.subarray(piece.start * width);
    return Array.from({ length: this.#lanes }, (_, lane) => {
      const first = Math.floor((left * lane) / this.#lanes);
      const count = Math.floor((left * (lane + 1)) / this.#lanes) - first;
      if (count === 0) return () => undefined;
      const a = cells.subarray(piece.start * left + first);
      const target = this.#products.subarray(first * wide + piece.group * this.#right);
      return () =>
        this.#blas.gemm(
          ...([true, false, count, width, piece.rows, 1, a, left] as const),
          ...([w, width, 1, target, wide] as const),
        );
    });
  }

  /** W or, with one group's `width`, the columns of each row's group; and the column sums. */
  #fill(g: Float64Matrix, b: Float64Matrix, from: number, to: number, width: number): void {
    const right = this.#right;
    const size = (to - from) * width;
    if (this.#w.length < size) this.#w = new Float64Array(size);
    const w = this.#w.fill(0, 0, size);
    for (let row = from; row < to; row++) {
      const group = g.data[row]!;
      if (!(group >= 0 && group < this.#groups)) continue;
      const base = group * right;
      const at = (row - from) * width + (width === right ? 0 : base);
      w[at] = 1;
      this.#sums[base]! += 1;
      for (let j = 1; j < right; j++) {
        const cell = b.data[row * b.cols + j - 1]! - this.#rightShifts[base + j]!;
        w[at + j] = cell;
        this.#sums[base + j]! += cell;
      }
    }
  }

  /** Rows of A less their groups' shifts; rows of no group meet zeros in W: keep them finite. */
  #shifted(g: Float64Matrix, a: Float64Matrix, from: number, to: number): Float64Array {
    const left = this.#left;
    const size = (to - from) * left;
    if (this.#copy.length < size) this.#copy = new Float64Array(size);
    const copy = this.#copy;
    for (let row = from; row < to; row++) {
      const group = g.data[row]!;
      const isTaken = group >= 0 && group < this.#groups;
      const shift = isTaken ? group * (left + 1) + 1 : 0;
      const [source, target] = [row * left, (row - from) * left];
      for (let j = 0; j < left; j++) {
        copy[target + j] = isTaken ? a.data[source + j]! - this.#leftShifts[shift + j]! : 0;
      }
    }
    return copy;
  }

  result(): Float64Matrix {
    const [left, right, wide] = [this.#left + 1, this.#right, this.#wide];
    const out = new Float64Array(this.#groups * left * right);
    for (let group = 0; group < this.#groups; group++) {
      const block = out.subarray(group * left * right, (group + 1) * left * right);
      const first = group * right;
      block.set(this.#sums.subarray(first, first + right));
      for (let i = 1; i < left; i++) {
        const at = (i - 1) * wide + first;
        block.set(this.#products.subarray(at, at + right), i * right);
      }
      if (!this.#center) continue;
      const shifts = this.#leftShifts.subarray(group * left);
      toCentered(block, right, shifts, this.#rightShifts.subarray(first));
    }
    return dense(this.#groups * left, right, out);
  }
}

/** Turns moments about the shifts into means and centred moments. */
function toCentered(
  block: Float64Array,
  width: number,
  left: Float64Array,
  right: Float64Array,
): void {
  const n = block[0]!;
  if (n === 0) return;
  for (let i = width; i < block.length; i += width) {
    const scaled = block[i]! / n;
    for (let j = 1; j < width; j++) block[i + j]! -= scaled * block[j]!;
    block[i] = left[i / width]! + scaled;
  }
  for (let j = 1; j < width; j++) block[j] = right[j]! + block[j]! / n;
}

export const groupCrossKernel: Kernel = {
  op: groupCross,
  reducer: (call, context) => new CrossReducer(call, context),
};
