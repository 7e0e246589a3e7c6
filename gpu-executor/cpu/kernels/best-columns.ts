/**
 * `bestColumns` and `regroupSums`. Decisions are products in float32 on the thread pool, of columns
 * less their model's first, and the greatest is chosen on lanes; where the two best are nearer than
 * float32 can tell, they are computed again in float64, so that places are those of float64. Rows are about the mean of a few of them,
 * and scaled, so that nothing is lost to large means or to the range of float32.
 *
 * |fl(x v) - x v| <= (d + 4) 2^-24 |x| |v| (Higham, Accuracy and Stability, 3.1; casts included).
 */
import { type Cells, dense } from '../../../driver/ir/value.js';
import { bestColumns } from '../../../driver/operators/best-columns.js';
import { addMoves, regroupSums } from '../../../driver/operators/regroup-sums.js';
import { type Routines, routinesOf } from '../native/blas.js';
import { chooseModule } from '../simd/choose-code.js';
import { LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import type { Kernel, KernelCall, KernelContext } from './kernel.js';

const PIECE_ROWS = 512;
const ROW_BYTES = PIECE_ROWS * 4;
/** Rows whose mean is taken off all. */
const SAMPLE_ROWS = 64;
/** Below it float32 has no full precision: far above what products of a few such cells lose. */
const UNDERFLOW = 1e-35;
/** Rows so many times longer than those have products that float32 may not hold. */
const LARGEST = 1e15;

/** The models as differences from the first column of each. */
interface Differences {
  /** Columns of each model, less the first. */
  readonly widths: Int32Array;
  readonly count: number;
  /** By difference a row of d weights, and their constant for rows about `shift`. */
  readonly weights: Float64Array;
  readonly constants: Float64Array;
  /** 1 over the longest difference of its model, which scales it, by difference. */
  readonly scales: Float64Array;
  /** Scaled weights, a row by difference. */
  readonly single: Float32Array;
  /** The mean of the first rows, and 1 over the longest of them about it: for all rows. */
  readonly shift: Float64Array;
  readonly scale: number;
}

class BestColumns {
  readonly #call: KernelCall<Cells>;
  readonly #out: Cells;
  readonly #models: Differences;
  readonly #gemm: Routines['gemm'];

  constructor(call: KernelCall<Cells>, context: KernelContext, parallel: boolean) {
    this.#call = call;
    this.#out = context.allocate(call.out.rows * call.out.cols, call.out.dtype);
    this.#models = differences(call);
    this.#gemm = routinesOf(context.blas, parallel).gemm;
  }

  get value() {
    return dense(this.#call.out.rows, this.#call.out.cols, this.#out);
  }

  run() {
    const piece = new Piece(this.#models);
    for (let from = 0; from < this.#call.out.rows; from += PIECE_ROWS) {
      const rows = this.#load(piece, from);
      void this.#multiply(piece, rows);
      this.#choose(piece, from, rows);
    }
    piece.free();
    return this.value;
  }

  /** Lanes take pieces in turn: while some multiply on the pool, one is loaded or read here. */
  async runAsync(lanes: number) {
    let next = 0;
    const lane = async (): Promise<void> => {
      const piece = new Piece(this.#models);
      while (next < this.#call.out.rows) {
        const from = next;
        next += PIECE_ROWS;
        const rows = this.#load(piece, from);
        await this.#multiply(piece, rows);
        this.#choose(piece, from, rows);
      }
      piece.free();
    };
    await Promise.all(Array.from({ length: lanes + 1 }, lane));
    return this.value;
  }

  #load(piece: Piece, from: number): number {
    const [{ rows: all, cols: d, data }] = this.#call.inputs as [KernelCall<Cells>['inputs'][0]];
    const { shift, scale } = this.#models;
    const { x, norms } = piece;
    const rows = Math.min(PIECE_ROWS, all - from);
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      const start = (from + i) * d;
      for (let j = 0; j < d; j++) {
        const cell = (data[start + j]! - shift[j]!) * scale;
        x[i * d + j] = cell;
        sum += cell * cell;
      }
      // Rows that may be out of the range of float32 are decided by float64.
      norms[i] = sum < LARGEST ** 2 ? Math.sqrt(sum) : Number.POSITIVE_INFINITY;
    }
    return rows;
  }

  #multiply({ x, decisions }: Piece, rows: number): void | Promise<void> {
    const { count, single, shift } = this.#models;
    const d = shift.length;
    if (count === 0) return undefined;
    return this.#gemm(
      ...([false, true, count, rows, d, 1, single, d, x, d, 0, decisions, PIECE_ROWS] as const),
    );
  }

  #choose(piece: Piece, from: number, rows: number): void {
    const { widths, count, constants, scales, scale, shift } = this.#models;
    const { norms, constants: own, places, gaps } = piece;
    for (let c = 0; c < count; c++) own[c] = constants[c]! * scales[c]! * scale;
    const error = 2 * (shift.length + 4) * 2 ** -24;
    const models = widths.length;
    const out = this.#out;
    let first = 0;
    for (let m = 0; m < models; m++) {
      const end = first + widths[m]!;
      let largest = 0;
      for (let c = first; c < end; c++) largest = Math.max(largest, Math.abs(own[c]!));
      piece.choose(first, widths[m]!, rows);
      const slack = largest * 2 ** -22 + UNDERFLOW;
      for (let i = 0; i < rows; i++) {
        const isCertain = gaps[i]! > error * norms[i]! + slack || first === end;
        out[(from + i) * models + m] = isCertain ? places[i]! : this.#exact(from + i, first, end);
      }
      first = end;
    }
  }

  /** The place by float64. */
  #exact(row: number, first: number, end: number): number {
    const { weights, constants, shift } = this.#models;
    const { data } = this.#call.inputs[0]!;
    const d = shift.length;
    let best = 0;
    let place = 0;
    for (let c = first; c < end; c++) {
      let decision = constants[c]!;
      for (let j = 0; j < d; j++)
        decision += (data[row * d + j]! - shift[j]!) * weights[c * d + j]!;
      if (decision > best) {
        best = decision;
        place = c - first + 1;
      }
    }
    return place;
  }
}

const memories: LaneMemory[] = [];
let compiled: WasmModule | undefined;

/** What one lane works in: some rows, their decisions by column, and what was chosen of a model. */
class Piece {
  readonly x: Float32Array;
  readonly norms = new Float64Array(PIECE_ROWS);
  /** [count, rows] */
  readonly decisions: Cells;
  readonly constants: Cells;
  readonly places: Cells;
  readonly gaps: Cells;
  readonly #memory: LaneMemory;

  constructor({ count, shift }: Differences) {
    this.x = new Float32Array(PIECE_ROWS * shift.length);
    this.#memory = memories.pop() ?? new LaneMemory();
    this.#memory.reserve((count + 2) * ROW_BYTES + count * 4);
    const at = (row: number, cells: number): Cells =>
      this.#memory.cells('float32', row * ROW_BYTES, cells);
    this.places = at(0, PIECE_ROWS);
    this.gaps = at(1, PIECE_ROWS);
    this.decisions = at(2, count * PIECE_ROWS);
    this.constants = at(2 + count, count);
  }

  /** Puts the places and gaps of the model with the differences from `first`. */
  choose(first: number, columns: number, rows: number): void {
    compiled ??= new engine.Module(chooseModule());
    const bytes = Math.ceil(rows / 4) * 16;
    const cells = (2 + first) * ROW_BYTES;
    const { byteOffset } = this.constants;
    this.#memory.function(compiled)(
      ...[cells, byteOffset + first * 4, bytes, columns, ROW_BYTES, 0, ROW_BYTES],
    );
  }

  /** Another call may use its memory. */
  free(): void {
    memories.push(this.#memory);
  }
}

function differences({ inputs, attrs }: KernelCall<Cells>): Differences {
  const [x, w] = inputs as [KernelCall<Cells>['inputs'][0], KernelCall<Cells>['inputs'][0]];
  const d = x.cols;
  const widths = Int32Array.from(attrs.widths as readonly number[], (width) => width - 1);
  const count = w.cols - widths.length;
  const shift = new Float64Array(d);
  const sampled = Math.min(SAMPLE_ROWS, x.rows);
  for (let i = 0; i < sampled; i++) {
    for (let j = 0; j < d; j++) shift[j]! += x.data[i * d + j]! / sampled;
  }
  let longest = 0;
  for (let i = 0; i < sampled; i++) {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (x.data[i * d + j]! - shift[j]!) ** 2;
    longest = Math.max(longest, Math.sqrt(sum));
  }
  const scale = longest > 0 && longest < Number.POSITIVE_INFINITY ? 1 / longest : 1;
  const weights = new Float64Array(count * d);
  const constants = new Float64Array(count);
  const scales = new Float64Array(count);
  const single = new Float32Array(count * d);
  let column = 0;
  let c = 0;
  for (const width of widths) {
    const start = c;
    let longest = 0;
    for (const end = c + width; c < end; c++) {
      const other = column + 1 + c - start;
      let sum = 0;
      constants[c] = w.data[d * w.cols + other]! - w.data[d * w.cols + column]!;
      for (let j = 0; j < d; j++) {
        const weight = w.data[j * w.cols + other]! - w.data[j * w.cols + column]!;
        weights[c * d + j] = weight;
        constants[c]! += shift[j]! * weight;
        sum += weight * weight;
      }
      longest = Math.max(longest, Math.sqrt(sum));
    }
    scales.fill(longest > 0 ? 1 / longest : 1, start, c);
    column += width + 1;
  }
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < d; j++) single[k * d + j] = weights[k * d + j]! * scales[k]!;
  }
  return { widths, count, weights, constants, scales, single, shift, scale };
}

const bestColumnsKernel: Kernel<Cells> = {
  op: bestColumns,
  run: (call, context) => new BestColumns(call, context, false).run(),
  runAsync: (call, context) => new BestColumns(call, context, true).runAsync(context.blas.lanes),
};

/** Rows summed by themselves before they are added, which keeps sums over many rows accurate. */
const PART_ROWS = 4096;

const regroupSumsKernel: Kernel<Cells> = {
  op: regroupSums,
  reducer: ({ out, attrs }) => {
    const widths = attrs.widths as readonly number[];
    const totals = new Float64Array(out.rows * out.cols);
    const part = new Float64Array(totals.length);
    return {
      add: (inputs) => {
        const { rows } = inputs[0]!;
        for (let from = 0; from < rows; from += PART_ROWS) {
          part.fill(0);
          addMoves(part, inputs, widths, from, Math.min(from + PART_ROWS, rows));
          for (let i = 0; i < totals.length; i++) totals[i]! += part[i]!;
        }
      },
      result: () => dense(out.rows, out.cols, totals),
    };
  },
};

export const groupingKernels: readonly Kernel<Cells>[] = [bestColumnsKernel, regroupSumsKernel];
