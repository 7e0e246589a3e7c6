/**
 * `groupGram` by rank-k updates. Each group has moments [n s'; . M] of its rows about a shift, upper
 * triangle only, added up by blocks of rows (`gram-sums.ts`). Rows come in by the first of these ways
 * that they allow:
 * - coded: of encoded rows the products of numbers and category codes are added (`gram-coded.ts`);
 * - in place: long runs of one group, with shift 0, are handed to BLAS where they lie, row by row or
 *   column by column;
 * - sparse: rows that are mostly zero (one-hot columns) add the products of their few cells;
 * - gathered: other rows are copied group by group as [1, z - shift] into a buffer that one `syrk` a
 *   group takes in, while the next rows are copied into a second buffer; rows that came as columns
 *   stay columns.
 * Weighted rows are never in place: they are copied times sqrt(w), the leading 1 too, or their
 * products are added w times.
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
import {
  addCodedRows,
  CODED_FEATURES,
  CODED_MOMENTS,
  type CodedOperands,
  codedOperands,
} from './gram-coded.js';
import {
  areColumns,
  type ColumnMatrix,
  type Numbers,
  numbersOf,
  packColumns,
  sideBySide,
} from './gram-columns.js';
import { chooseShift, isMostlyZero, type RowSample } from './gram-shift.js';
import { addSparseRows } from './gram-sparse.js';
import { type BlasCall, GramSums, type Update } from './gram-sums.js';
import { divided, type GroupedRows, gather, longRuns, type Piece } from './grouping.js';
import type { Kernel, KernelContext, Reducer, ReducerCall } from './kernel.js';

/** Cells of a gathered buffer, 8 MB: two and a block stay within a few tens of megabytes. */
const GATHERED_CELLS = 1 << 20;
/** From this many columns on, lanes share out columns instead of rows. */
const WIDE = 1024;
/** Products of wider rows of numbers are cut into bands, which takes rows. */
const MAX_NUMBERS = 1000;
/** Rows of one library call, half of `SUM_ROWS` at most. */
const PIECE_ROWS = 8192;

/** Rows of a block, with their groups and, where they have any, weights. */
interface GramRows {
  readonly g: Float64Matrix;
  readonly parts: readonly Float64Matrix[];
  readonly numbers: Numbers;
  readonly weights: Float64Array | undefined;
  /** They came as columns, see `areColumns`. */
  readonly isColumns: boolean;
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
  readonly #sums: GramSums;
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
    this.#sums = new GramSums(this.#groups, this.#side, this.#lanes);
    this.#shifts = new Float64Array(this.#groups * this.#side);
    this.#shiftState = new Uint8Array(this.#groups);
  }

  add(inputs: readonly Float64Matrix[]): void | Promise<void> {
    const g = inputs[0]!;
    const { columns: given, weights } = gramOperands(inputs, this.#attrs);
    const coded = codedOperands(given);
    if (coded !== undefined) return this.#addCoded(g, coded, weights?.data);
    const isColumns = areColumns(given);
    // The cells of coded rows beside wide ones are made here.
    const parts = isColumns ? given : given.map(({ rows, cols, data }) => dense(rows, cols, data));
    const numbers = numbersOf(parts);
    const rows = { g, parts, numbers, weights: weights?.data, isColumns };
    const runs = weights === undefined ? longRuns(g.data, this.#groups, PIECE_ROWS) : undefined;
    const columns = isColumns ? sideBySide(numbers, g.rows) : undefined;
    const isInPlace = !isColumns || columns !== undefined;
    if (runs !== undefined && isInPlace && this.#mayStayInPlace(runs, numbers)) {
      return this.#addInPlace(runs, parts, columns);
    }
    this.#isSparse ??= isMostlyZero(numbers, g.rows);
    return this.#isSparse ? this.#addSparse(rows) : this.#addGathered(rows);
  }

  /** Rows in place can't be shifted, so they must not need it. */
  #mayStayInPlace(runs: readonly Piece[], numbers: Numbers): boolean {
    if (!this.#center) return true;
    for (const { group, start, rows } of runs) {
      this.#setShift(group, numbers, { rows, rowOf: (k) => start + k, zeroIf: 'small' });
    }
    return runs.every(({ group }) => this.#shiftState[group] === 1);
  }

  /** Chooses the shifts of groups that have rows for the first time. */
  #setShifts({ order, pieces }: GroupedRows, numbers: Numbers, zeroIf: RowSample['zeroIf']): void {
    for (const { group, start, rows } of pieces) {
      this.#setShift(group, numbers, { rows, rowOf: (k) => order[start + k]!, zeroIf });
    }
  }

  #setShift(group: number, numbers: Numbers, sample: RowSample): void {
    if (!this.#center || this.#shiftState[group] !== 0) return;
    const shift = this.#shifts.subarray(group * this.#side, (group + 1) * this.#side);
    this.#shiftState[group] = chooseShift(shift, numbers, sample) ? 2 : 1;
  }

  #addSparse({ g, parts, numbers, weights }: GramRows): void {
    if (this.#center && this.#shiftState.includes(0)) {
      this.#setShifts(gather(g.data, this.#groups, 0, g.rows), numbers, 'sparse');
    }
    addSparseRows(g.data, parts, weights, this.#shifts, this.#sums);
  }

  #addCoded(g: Float64Matrix, operands: CodedOperands, weights: Float64Array | undefined): void {
    const grouped = gather(g.data, this.#groups, 0, g.rows);
    this.#setShifts(grouped, operands.numbers, 'never');
    addCodedRows(grouped, operands, weights, this.#shifts, this.#sums);
  }

  #addInPlace(
    runs: readonly Piece[],
    parts: readonly Float64Matrix[],
    columns: ColumnMatrix | undefined,
  ): void | Promise<void> {
    const updates = runs.map((piece): Update => {
      const steps = (sums: Float64Array): Iterable<BlasCall> =>
        columns ? this.#ofColumns(piece, columns, sums) : this.#direct(piece, parts, sums);
      return { group: piece.group, steps };
    });
    if (!this.#parallel) return this.#sums.run(updates);
    return Promise.resolve(this.#running).then(() => this.#sums.runAsync(updates));
  }

  /** The moments of rows where they lie, as library calls. */
  *#direct(piece: Piece, parts: readonly Float64Matrix[], sums: Float64Array): Generator<BlasCall> {
    const { start, rows } = piece;
    const side = this.#side;
    const ones = onesOf(rows);
    sums[0]! += rows;
    let at = 1;
    for (const [i, part] of parts.entries()) {
      const cells = part.data.subarray(start * part.cols);
      const width = part.cols;
      const row = sums.subarray(at);
      yield () => this.#blas.gemv(true, rows, width, 1, cells, width, ones, 1, row, 1);
      yield* this.#products(width, rows, cells, width, sums.subarray(at * side + at));
      let across = at + width;
      for (const other of parts.slice(i + 1)) {
        const target = sums.subarray(at * side + across);
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

  /** The same of columns that lie side by side. */
  *#ofColumns(
    { start, rows }: Piece,
    { cells, stride }: ColumnMatrix,
    sums: Float64Array,
  ): Generator<BlasCall> {
    const width = this.#side - 1;
    const own = cells.subarray(start);
    const row = sums.subarray(1);
    const corner = sums.subarray(this.#side + 1);
    sums[0]! += rows;
    yield () => this.#blas.gemv(false, width, rows, 1, own, stride, onesOf(rows), 1, row, 1);
    yield () => this.#blas.syrk(width, rows, own, stride, 1, corner, this.#side, true);
  }

  /** Adds A'A to the upper triangle at `sums`; A is rows x width with `stride` cells a row. */
  *#products(
    width: number,
    rows: number,
    a: Float64Array,
    stride: number,
    sums: Float64Array,
  ): Generator<BlasCall> {
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
      this.#sums.run(this.#gather(rows, from, Math.min(from + step, g.rows)));
    }
    return undefined;
  }

  async #addGatheredParallel(rows: GramRows, step: number): Promise<void> {
    const { g } = rows;
    for (let from = 0; from < g.rows; from += step) {
      const updates = this.#gather(rows, from, Math.min(from + step, g.rows));
      await this.#running;
      this.#running = this.#sums.runAsync(updates);
      // A failure surfaces at the next await of it, not as an unhandled rejection before.
      this.#running.catch(() => undefined);
    }
  }

  /** Copies rows into the free buffer and returns their updates. */
  #gather({ g, parts, numbers, weights, isColumns }: GramRows, from: number, to: number): Update[] {
    const side = this.#side;
    const grouped = gather(g.data, this.#groups, from, to);
    const { order, pieces } = grouped;
    const z = this.#buffer(order.length * side);
    const columns = { cells: z, stride: order.length };
    const updates: Update[] = [];
    this.#setShifts(grouped, numbers, 'never');
    for (const piece of pieces) {
      const { group } = piece;
      const shift = this.#shifts.subarray(group * side);
      if (isColumns) packColumns(columns, grouped, piece, numbers, shift, weights);
      else {
        pack(z, side, order, piece, parts, shift);
        if (weights !== undefined) weigh(z, side, order, piece, weights);
      }
      const count = Math.max(this.#lanes / pieces.length, piece.rows / PIECE_ROWS);
      for (const { start, rows } of divided(piece, Math.ceil(count))) {
        const cells = z.subarray(isColumns ? start : start * side);
        const steps = (sums: Float64Array): Iterable<BlasCall> =>
          isColumns
            ? [() => this.#blas.syrk(side, rows, cells, order.length, 1, sums, side, true)]
            : this.#products(side, rows, cells, side, sums);
        updates.push({ group, steps });
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
    const total = (): Float64Matrix => this.#sums.total(this.#center ? this.#shifts : undefined);
    return this.#parallel ? Promise.resolve(this.#running).then(total) : total();
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

let ones = new Float64Array(0);

function onesOf(length: number): Float64Array {
  if (ones.length < length) ones = new Float64Array(Math.max(length, PIECE_ROWS)).fill(1);
  return ones;
}

export const groupGramKernel: Kernel = {
  op: groupGram,
  coded: { from: CODED_MOMENTS, most: CODED_FEATURES, numbers: MAX_NUMBERS, isLong: true },
  reducer: (call, context) => new GramReducer(call, context),
};
