/**
 * `bestColumns`. Decisions are products in float32, of columns less their model's first, and the
 * greatest is chosen on lanes; where the two best are nearer than float32 can tell, they are
 * computed again in float64, so that places are those of float64. Rows are about the mean of a few
 * of them, and scaled, so that nothing is lost to large means or to the range of float32.
 *
 * |fl(x v) - x v| <= (d + 4) 2^-24 |x| |v| (Higham, Accuracy and Stability, 3.1; casts included).
 */
import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { bestColumns } from '../../../driver/operators/best-columns.js';
import type { Blas } from '../native/blas.js';
import { chooseModule } from '../simd/choose-code.js';
import { LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import type { Kernel } from './kernel.js';

const PIECE_ROWS = 512;
/** Of a column of a piece: no power of two, or columns would share few places of the cache. */
const PITCH = PIECE_ROWS + 16;
const COLUMN_BYTES = PITCH * 4;
/** Rows whose mean is taken off all. */
const SAMPLE_ROWS = 16;
/** Below it float32 has no full precision: far above what products of a few such cells lose. */
const UNDERFLOW = 1e-35;
/** Rows so many times longer than those have products that float32 may not hold. */
const LARGEST = 1e15;
/** Above what adding bounds in float32 rounds off. */
const BOUND_MARGIN = 1 + 2 ** -20;

/** The models as differences from the first column of each. */
interface Differences {
  /** Columns of each model. */
  readonly of: readonly number[];
  /** Columns of each model, less the first. */
  readonly widths: Int32Array;
  readonly count: number;
  /** By difference a row of d weights, and their constant. */
  readonly weights: Float64Array;
  readonly constants: Float64Array;
  /** 1 over the longest difference of its model, which scales it, by difference. */
  readonly scales: Float64Array;
  /** Scaled weights, a row by difference. */
  readonly single: Float32Array;
}

class BestColumns {
  readonly #x: DenseMatrix<Cells>;
  readonly #models: Differences;
  readonly #out: Cells;
  readonly #blas: Blas;
  /** The mean of the first rows, and 1 over the longest of them about it: for all rows. */
  readonly #shift: Float64Array;
  readonly #scale: number;
  /** By difference, for rows about the mean. */
  readonly #constants: Float64Array;

  constructor(x: DenseMatrix<Cells>, models: Differences, out: Cells, blas: Blas) {
    this.#x = x;
    this.#models = models;
    this.#out = out;
    this.#blas = blas;
    const d = x.cols;
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
    this.#shift = shift;
    this.#scale = longest > 0 && longest < Number.POSITIVE_INFINITY ? 1 / longest : 1;
    const { count, weights, constants } = models;
    this.#constants = constants.slice();
    if (count > 0 && d > 0) {
      blas.gemv(false, count, d, 1, weights, d, shift, 1, this.#constants, 1);
    }
  }

  run(): void {
    const { rows: all, cols } = this.#x;
    const piece = new Piece(this.#models.count, this.#models.widths.length, all, cols);
    for (let from = 0; from < all; from += PIECE_ROWS) {
      const rows = this.#load(piece, from);
      this.#multiply(piece, rows);
      this.#choose(piece, from, rows);
    }
    piece.free();
  }

  #load({ x, bounds }: Piece, from: number): number {
    const { rows: all, cols: d, data } = this.#x;
    const shift = this.#shift;
    const scale = this.#scale;
    const error = 2 * (d + 4) * 2 ** -24 * BOUND_MARGIN;
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
      bounds[i] = sum < LARGEST ** 2 ? error * Math.sqrt(sum) : Number.POSITIVE_INFINITY;
    }
    return rows;
  }

  #multiply({ x, decisions }: Piece, rows: number): void {
    const { count, single } = this.#models;
    const d = this.#x.cols;
    if (count === 0) return;
    this.#blas.gemm(false, true, count, rows, d, 1, single, d, x, d, 0, decisions, PITCH);
  }

  #choose(piece: Piece, from: number, rows: number): void {
    const { widths, count, scales } = this.#models;
    const { places, constants: own } = piece;
    for (let c = 0; c < count; c++) own[c] = this.#constants[c]! * scales[c]! * this.#scale;
    let first = 0;
    for (const [m, width] of widths.entries()) {
      let largest = 0;
      for (let c = first; c < first + width; c++) largest = Math.max(largest, Math.abs(own[c]!));
      piece.choose(m, first, width, rows, (largest * 2 ** -22 + UNDERFLOW) * BOUND_MARGIN);
      first += width;
    }
    const models = widths.length;
    const out = this.#out;
    for (let i = 0; i < rows; i++) {
      const at = (from + i) * models;
      for (let m = 0; m < models; m++) {
        const place = places[m * PITCH + i]!;
        out[at + m] = place >= 0 ? place : this.#exact(from + i, m);
      }
    }
  }

  /** The place by float64. */
  #exact(row: number, model: number): number {
    const { weights, widths } = this.#models;
    const { cols: d, data } = this.#x;
    let first = 0;
    for (let m = 0; m < model; m++) first += widths[m]!;
    let best = 0;
    let place = 0;
    for (let c = first; c < first + widths[model]!; c++) {
      let decision = this.#constants[c]!;
      for (let j = 0; j < d; j++) {
        decision += (data[row * d + j]! - this.#shift[j]!) * weights[c * d + j]!;
      }
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

/** Some rows, their decisions by column, and what was chosen. */
class Piece {
  readonly x: Cells;
  /** How far above the others a row's decision has to be, without the part that all rows share. */
  readonly bounds: Cells;
  /** [count, rows] */
  readonly decisions: Cells;
  /** [models, rows] */
  readonly places: Cells;
  readonly constants: Cells;
  readonly #slack: Cells;
  readonly #memory: LaneMemory;

  constructor(count: number, models: number, rows: number, d: number) {
    const cells = Math.min(PIECE_ROWS, rows) * d;
    this.#memory = memories.pop() ?? new LaneMemory();
    this.#memory.reserve((1 + count + models) * COLUMN_BYTES + (count + 1 + cells) * 4);
    const at = (column: number, cells: number): Cells =>
      this.#memory.cells('float32', column * COLUMN_BYTES, cells);
    this.bounds = at(0, PIECE_ROWS);
    this.decisions = at(1, count * PITCH);
    this.places = at(1 + count, models * PITCH);
    const rest = at(1 + count + models, count + 1 + cells);
    this.#slack = rest.subarray(0, 1);
    this.constants = rest.subarray(1, 1 + count);
    this.x = rest.subarray(1 + count);
  }

  /** Puts the places of a model, which has the differences from `first`. */
  choose(model: number, first: number, columns: number, rows: number, slack: number): void {
    compiled ??= new engine.Module(chooseModule());
    this.#slack[0] = slack;
    const { bounds, decisions, constants, places } = this;
    this.#memory.function(compiled)(
      decisions.byteOffset + first * COLUMN_BYTES,
      constants.byteOffset + first * 4,
      Math.ceil(rows / 4) * 16,
      columns,
      COLUMN_BYTES,
      places.byteOffset + model * COLUMN_BYTES,
      bounds.byteOffset,
      this.#slack.byteOffset,
    );
  }

  /** Another call may use its memory. */
  free(): void {
    memories.push(this.#memory);
  }
}

function differences(w: DenseMatrix<Cells>, all: readonly number[]): Differences {
  const d = w.rows - 1;
  const widths = Int32Array.from(all, (width) => width - 1);
  const count = w.cols - widths.length;
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
  return { of: all, widths, count, weights, constants, scales, single };
}

/**
 * By operand, of the last widths it was taken by: all blocks of a pass, and so all calls but the
 * first, have it from here.
 */
const known = new WeakMap<DenseMatrix<Cells>, Differences>();

export const bestColumnsKernel: Kernel<Cells> = {
  op: bestColumns,
  run: (call, { allocate, blas }) => {
    const { inputs, attrs, out } = call;
    const [x, w] = inputs as [DenseMatrix<Cells>, DenseMatrix<Cells>];
    const widths = attrs.widths as readonly number[];
    let models = known.get(w);
    if (models?.of !== widths) {
      models = differences(w, widths);
      known.set(w, models);
    }
    const cells = allocate(out.rows * out.cols, out.dtype);
    new BestColumns(x, models, cells, blas).run();
    return dense(out.rows, out.cols, cells);
  },
};
