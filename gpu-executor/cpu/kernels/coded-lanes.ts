/**
 * The ones of coded rows on lanes: each adds a row of another matrix to its row's result, or its
 * row of another matrix to a sum. Loops in JavaScript take five to ten times as long. Invariant:
 * additions are those of the loops in `coded-products.ts`, in their order, so cells have their bits.
 */
import type { Cells, DenseMatrix } from '../../../driver/ir/value.js';
import { ADD_BYTES, addRowsModule } from '../simd/add-rows-code.js';
import { LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import type { CodedRows } from './coded-rows.js';

/** Rows whose additions are listed at a time; they stay in the cache of a core. */
const NEAR_ROWS = 128;
/** Larger matrices are not copied to where lanes compute. @units bytes */
const MOST_BYTES = 1 << 26;
/** A matrix with more rows for each row it is multiplied with is copied when it comes again. */
const ROWS_PER_ROW = 4;

let compiled: WasmModule | undefined;

/** A matrix of so many cells, then some rows, then the list of their additions. */
class Additions {
  readonly #memory = new LaneMemory();
  #rowsAt = 0;
  #listAt = 0;
  #bytes = 0;
  #list = new Int32Array(0);
  #count = 0;
  cells: Float64Array = new Float64Array(0);
  rows: Float64Array = new Float64Array(0);

  /** What `cells` holds stays, where there are as many. */
  reserve(cells: number, cols: number, indicators: number): void {
    this.#rowsAt = Math.ceil(cells / 2) * 16;
    this.#listAt = this.#rowsAt + Math.ceil((NEAR_ROWS * cols) / 2) * 16;
    this.#bytes = 8 * cols;
    this.#memory.reserve(this.#listAt + NEAR_ROWS * indicators * ADD_BYTES);
    const view = (address: number, count: number): Float64Array =>
      this.#memory.cells('float64', address, count) as Float64Array;
    this.cells = view(0, cells);
    this.rows = view(this.#rowsAt, NEAR_ROWS * cols);
    const list = view(this.#listAt, (NEAR_ROWS * indicators * ADD_BYTES) / 8);
    this.#list = new Int32Array(list.buffer as ArrayBuffer, list.byteOffset, 2 * list.length);
  }

  /** Of the cells from `cell` on to the row, or of the row to them. */
  add(row: number, cell: number, isToRow: boolean): void {
    const ofRow = this.#rowsAt + row * this.#bytes;
    this.#list[this.#count++] = isToRow ? 8 * cell : ofRow;
    this.#list[this.#count++] = isToRow ? ofRow : 8 * cell;
  }

  /** Makes the additions. */
  run(): void {
    compiled ??= new engine.Module(addRowsModule());
    const run = this.#memory.function(compiled);
    run(this.#listAt, this.#listAt + 4 * this.#count, this.#bytes);
    this.#count = 0;
  }
}

const gathering = new Additions();
/** The matrix that `gathering` holds, and the one that came last. */
let held: WeakRef<DenseMatrix> | undefined;
let last: WeakRef<DenseMatrix> | undefined;

/** Whether a matrix is worth copying for so many rows, and has been. */
function holds(W: DenseMatrix, n: number, { rows, indicators }: CodedRows): boolean {
  const isKnown = held?.deref() === W;
  const isAgain = last?.deref() === W;
  last = new WeakRef(W);
  if (!isKnown) {
    if (W.data.byteLength > MOST_BYTES || W.dtype !== 'float64') return false;
    if (!isAgain && W.rows > rows * ROWS_PER_ROW) return false;
  }
  gathering.reserve(W.data.length, n, indicators);
  if (!isKnown) gathering.cells.set(W.data);
  held = new WeakRef(W);
  return true;
}

/**
 * out (rows x n) += the rows of W at the ones of X, from column `offsets[i]` on where there are such;
 * -1: none. False: nothing is done, since loops are as fast.
 */
export function gatherOnes(
  X: CodedRows,
  W: DenseMatrix,
  n: number,
  offsets: Int32Array | undefined,
  out: Cells,
): boolean {
  const { codes, indicators, rows } = X;
  if (indicators === 0 || !holds(W, n, X)) return false;
  for (let start = 0; start < rows; start += NEAR_ROWS) {
    const end = Math.min(rows, start + NEAR_ROWS);
    const own = out.subarray(start * n, end * n);
    gathering.rows.set(own);
    for (let i = start, at = start * indicators; i < end; i++) {
      const offset = offsets === undefined ? 0 : offsets[i]!;
      for (let c = 0; c < indicators; c++, at++) {
        const code = codes[at]!;
        if (code >= 0 && offset >= 0) gathering.add(i - start, code * W.cols + offset, true);
      }
    }
    gathering.run();
    own.set(gathering.rows.subarray(0, own.length));
  }
  return true;
}

const resting: Additions[] = [];
const sumsIn = new WeakMap<ArrayBufferLike, Additions>();

/** Sums of zeros for `scatterOnes`, of X.cols rows of n; in memory of this thread. */
export function onesSums({ cols, indicators }: CodedRows, n: number): Float64Array {
  const cells = cols * n;
  if (indicators === 0 || 8 * cells > MOST_BYTES) return new Float64Array(cells);
  const additions = resting.pop() ?? new Additions();
  additions.reserve(cells, n, indicators);
  sumsIn.set(additions.cells.buffer, additions);
  return additions.cells.fill(0);
}

/** The sums, which nobody adds to any more, as cells of their own. */
export function ownSums(sums: Float64Array): Float64Array {
  const additions = sumsIn.get(sums.buffer);
  if (additions === undefined) return sums;
  const own = sums.slice();
  sumsIn.delete(sums.buffer);
  resting.push(additions);
  return own;
}

/** sums (X.cols x n) += rows of r (X.rows x n) at the ones of X. False: the sums are no `onesSums`. */
export function scatterOnes(X: CodedRows, r: Cells, n: number, sums: Cells): boolean {
  const additions = sumsIn.get(sums.buffer);
  if (additions === undefined) return false;
  const { codes, indicators, rows } = X;
  for (let start = 0; start < rows; start += NEAR_ROWS) {
    const end = Math.min(rows, start + NEAR_ROWS);
    additions.rows.set(r.subarray(start * n, end * n));
    for (let i = start, at = start * indicators; i < end; i++) {
      for (let c = 0; c < indicators; c++, at++) {
        if (codes[at]! >= 0) additions.add(i - start, codes[at]! * n, false);
      }
    }
    additions.run();
  }
  return true;
}
