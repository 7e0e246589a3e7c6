/**
 * `regroupSums`: rows that changed groups are listed, and moved from sum to sum on lanes. Invariant:
 * some rows are summed by themselves before they are added to the rest, which keeps sums over many
 * rows accurate.
 */
import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { regroupSums } from '../../../driver/operators/regroup-sums.js';
import { LaneMemory } from '../simd/lane-memory.js';
import { MOVE_BYTES, MOVE_STEP, moveRowsModule } from '../simd/move-rows-code.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import type { Kernel, Reducer } from './kernel.js';

/** Rows whose moves are listed at a time. */
const NEAR_ROWS = 16;
/** Rows that are summed by themselves. */
const PART_ROWS = 4096;

type Three = [DenseMatrix<Cells>, DenseMatrix<Cells>, DenseMatrix<Cells>];

const memories: LaneMemory[] = [];
let compiled: WasmModule | undefined;

class Moves implements Reducer<Cells> {
  readonly #widths: readonly number[];
  /** The first group of each model, among those of all. */
  readonly #firsts: Int32Array;
  readonly #groups: number;
  readonly #cols: number;
  readonly #totals: Float64Array;
  readonly #memory = memories.pop() ?? new LaneMemory();
  /** Of a row, [x, 1, 0 ..], in lane memory. @units cells */
  readonly #stride: number;
  /** Sums of all groups, then of what is in none, then the rows. */
  readonly #lanes: Float64Array;
  readonly #rowsAt: number;
  readonly #places: Int32Array;
  readonly #weights: Float64Array;
  #summed = 0;

  constructor(groups: number, cols: number, widths: readonly number[]) {
    this.#widths = widths;
    this.#firsts = new Int32Array(widths.length);
    for (let m = 1; m < widths.length; m++) this.#firsts[m] = this.#firsts[m - 1]! + widths[m - 1]!;
    this.#groups = groups;
    this.#cols = cols;
    this.#totals = new Float64Array(groups * cols);
    const stride = Math.ceil(cols / MOVE_STEP) * MOVE_STEP;
    this.#stride = stride;
    this.#rowsAt = (groups + 1) * stride;
    const cells = this.#rowsAt + NEAR_ROWS * stride;
    const moveBytes = NEAR_ROWS * widths.length * MOVE_BYTES;
    this.#memory.reserve(8 * cells + moveBytes);
    this.#lanes = this.#memory.cells('float64', 0, cells) as Float64Array;
    this.#lanes.fill(0);
    const moves = this.#memory.cells('float64', 8 * cells, moveBytes / 8);
    this.#weights = moves as Float64Array;
    this.#places = new Int32Array(moves.buffer as ArrayBuffer, moves.byteOffset, 2 * moves.length);
  }

  add(inputs: readonly DenseMatrix<Cells>[]): void {
    const [x] = inputs as [DenseMatrix<Cells>];
    for (let start = 0; start < x.rows; start += NEAR_ROWS) {
      const rows = Math.min(NEAR_ROWS, x.rows - start);
      if (this.#summed + rows > PART_ROWS) this.#addUp();
      this.#summed += rows;
      this.#load(x, start, rows);
      this.#move(inputs, start, rows);
    }
  }

  result(): DenseMatrix<Cells> {
    this.#addUp();
    memories.push(this.#memory);
    return dense(this.#groups, this.#cols, this.#totals);
  }

  #load({ cols, data }: DenseMatrix<Cells>, start: number, rows: number): void {
    const lanes = this.#lanes;
    for (let i = 0; i < rows; i++) {
      const from = (start + i) * cols;
      const to = this.#rowsAt + i * this.#stride;
      for (let j = 0; j < cols; j++) lanes[to + j] = data[from + j]!;
      lanes[to + cols] = 1;
    }
  }

  /** Row by row, since groups lie so; the sums of all groupings stay in the cache of a core. */
  #move(inputs: readonly DenseMatrix<Cells>[], start: number, rows: number): void {
    const [, { data: from }, { data: to }, w] = inputs as [...Three, DenseMatrix<Cells>?];
    const models = this.#widths.length;
    const places = this.#places;
    const weights = this.#weights;
    let at = 0;
    for (let i = 0; i < rows; i++) {
      const row = (this.#rowsAt + i * this.#stride) * 8;
      for (let m = 0; m < models; m++) {
        const cell = (start + i) * models + m;
        const before = from[cell]!;
        const after = to[cell]!;
        if (before === after) continue;
        const weight = w === undefined ? 1 : w.data[w.cols === 1 ? start + i : cell]!;
        if (weight === 0) continue;
        places[2 * at] = row;
        places[2 * at + 1] = this.#sumOf(m, before);
        places[2 * at + 2] = this.#sumOf(m, after);
        weights[at + 2] = weight;
        at += MOVE_BYTES / 8;
      }
    }
    compiled ??= new engine.Module(moveRowsModule());
    const { byteOffset } = places;
    this.#memory.function(compiled)(byteOffset, byteOffset + 8 * at, 8 * this.#stride);
  }

  /** Where the sum of a model's group lies; one that nobody reads for no group. @units bytes */
  #sumOf(model: number, group: number): number {
    const isGroup = group >= 0 && group < this.#widths[model]!;
    return (isGroup ? this.#firsts[model]! + group : this.#groups) * this.#stride * 8;
  }

  #addUp(): void {
    const [cols, stride, lanes, totals] = [this.#cols, this.#stride, this.#lanes, this.#totals];
    for (let group = 0; group < this.#groups; group++) {
      for (let j = 0; j < cols; j++) totals[group * cols + j]! += lanes[group * stride + j]!;
    }
    lanes.fill(0, 0, this.#rowsAt);
    this.#summed = 0;
  }
}

export const regroupSumsKernel: Kernel<Cells> = {
  op: regroupSums,
  reducer: ({ out, attrs }) => new Moves(out.rows, out.cols, attrs.widths as readonly number[]),
};
