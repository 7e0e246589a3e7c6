/**
 * Products of compressed rows with several columns, on lanes: some rows at a time add rows of a table
 * to their results, or theirs to sums, times their cells. Loops in JavaScript take twice as long.
 * Invariant: additions are those of the loops in `csr-products.ts`, in their order, so cells have
 * their bits; a table that is read block after block is copied once.
 */
import type { CsrMatrix } from '../../../driver/ir/csr.js';
import type { Cells, DenseMatrix } from '../../../driver/ir/value.js';
import { addScaledRowsModule } from '../simd/asked-rows-code.js';
import { LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import { chunksOf, copyStrided, MOST_ROWS, mostCells } from './csr-chunks.js';

/** Larger tables are not copied to where lanes compute. @units bytes */
const MOST_BYTES = 1 << 26;
/** Of fewer columns listing what is added takes as long as adding it. */
const LEAST_COLUMNS = 8;
/** A table with more rows for each cell it meets is copied when it comes again. */
const ROWS_PER_CELL = 1 / 4;

let toRow: WasmModule | undefined;
let toTable: WasmModule | undefined;

/** A table, then some rows, then which rows of the table meet them, and times what. */
class TableLanes {
  readonly #memory = new LaneMemory();
  /** Cells from a row to the next: an even number. */
  #stride = 0;
  #rowsAt = 0;
  #endsAt = 0;
  #columnsAt = 0;
  #numbersAt = 0;

  /** Of the memory it computes in. */
  get bytes(): number {
    return this.#memory.bytes;
  }

  /** What the table holds stays, where it has as many rows and columns. */
  reserve(tableRows: number, cols: number, x: CsrMatrix): void {
    const most = mostCells(x);
    this.#stride = 2 * Math.ceil(cols / 2);
    this.#rowsAt = 8 * tableRows * this.#stride;
    this.#endsAt = this.#rowsAt + 8 * MOST_ROWS * this.#stride;
    this.#columnsAt = this.#endsAt + 4 * MOST_ROWS;
    this.#numbersAt = this.#columnsAt + 8 * Math.ceil(most / 2);
    this.#memory.reserve(this.#numbersAt + 8 * most);
  }

  put(at: 'table' | 'rows', from: Cells, fromRow: number, rows: number, cols: number): void {
    const to = this.#cells(at === 'table' ? 0 : this.#rowsAt, rows * this.#stride);
    copyStrided(from, fromRow * cols, cols, to, 0, this.#stride, rows, cols);
  }

  take(at: 'table' | 'rows', to: Cells, toRow: number, rows: number, cols: number): void {
    const from = this.#cells(at === 'table' ? 0 : this.#rowsAt, rows * this.#stride);
    copyStrided(from, 0, this.#stride, to, toRow * cols, cols, rows, cols);
  }

  clear(at: 'table' | 'rows', rows: number): void {
    this.#cells(at === 'table' ? 0 : this.#rowsAt, rows * this.#stride).fill(0);
  }

  /** Adds for all cells of rows [from, to), which lie in `rows`. */
  run(
    module: WasmModule,
    { rowStarts, columns, values }: CsrMatrix,
    from: number,
    to: number,
  ): void {
    const [first, last] = [rowStarts[from]!, rowStarts[to]!];
    const ends = this.#memory.integers(this.#endsAt, to - from);
    for (let i = from; i < to; i++) {
      ends[i - from] = this.#columnsAt + 4 * (rowStarts[i + 1]! - first);
    }
    this.#memory.integers(this.#columnsAt, last - first).set(columns.subarray(first, last));
    this.#cells(this.#numbersAt, last - first).set(values.subarray(first, last));
    const end = this.#endsAt + 4 * (to - from);
    const places = [this.#endsAt, end, this.#columnsAt, this.#numbersAt] as const;
    this.#memory.function(module)(...places, this.#rowsAt, 0, 8 * this.#stride);
  }

  #cells(address: number, count: number): Cells {
    return this.#memory.cells('float64', address, count);
  }
}

const fits = (rows: number, cols: number): boolean =>
  cols >= LEAST_COLUMNS && 8 * rows * (cols + 1) <= MOST_BYTES;

const gathering = new TableLanes();
/** The matrix that `gathering` holds, and the one that came last. */
let held: WeakRef<DenseMatrix> | undefined;
let last: WeakRef<DenseMatrix> | undefined;

/** out (rows x n) = X W. False: nothing is done, since loops are as fast. */
export function gatherRows(X: CsrMatrix, W: DenseMatrix, out: Cells): boolean {
  const isKnown = held?.deref() === W;
  const isAgain = last?.deref() === W;
  last = new WeakRef(W);
  if (!fits(W.rows, W.cols) || W.dtype !== 'float64') return false;
  if (!isKnown && !isAgain && W.rows > ROWS_PER_CELL * X.nnz) return false;
  gathering.reserve(W.rows, W.cols, X);
  if (!isKnown) gathering.put('table', W.data, 0, W.rows, W.cols);
  held = new WeakRef(W);
  toRow ??= new engine.Module(addScaledRowsModule(true));
  for (const [from, to] of chunksOf(X)) {
    gathering.clear('rows', to - from);
    gathering.run(toRow, X, from, to);
    gathering.take('rows', out, from, to - from, W.cols);
  }
  return true;
}

/** Of this thread, that nothing uses; of so many bytes together that they may stay. */
const resting: TableLanes[] = [];
const RESTING_BYTES = 1 << 27;

function rest(lanes: TableLanes): void {
  const bytes = resting.reduce((sum, one) => sum + one.bytes, lanes.bytes);
  if (bytes <= RESTING_BYTES) resting.push(lanes);
}

/** Sums of a product t(X) R, block by block. */
export class ScatteredSums {
  #lanes: TableLanes | undefined;

  /** sums (X.cols x n) += t(X) R. False: nothing is done, since loops are as fast. */
  add(X: CsrMatrix, R: DenseMatrix): boolean {
    if (!fits(X.cols, R.cols) || R.dtype !== 'float64') return false;
    if (this.#lanes === undefined) {
      this.#lanes = resting.pop() ?? new TableLanes();
      this.#lanes.reserve(X.cols, R.cols, X);
      this.#lanes.clear('table', X.cols);
    } else this.#lanes.reserve(X.cols, R.cols, X);
    toTable ??= new engine.Module(addScaledRowsModule(false));
    for (const [from, to] of chunksOf(X)) {
      this.#lanes.put('rows', R.data, from, to - from, R.cols);
      this.#lanes.run(toTable, X, from, to);
    }
    return true;
  }

  /** Adds them to `sums`, rows x cols, once. */
  takeTo(sums: Float64Array, rows: number, cols: number): void {
    if (this.#lanes === undefined) return;
    const own = new Float64Array(sums.length);
    this.#lanes.take('table', own, 0, rows, cols);
    for (let i = 0; i < sums.length; i++) sums[i]! += own[i]!;
    rest(this.#lanes);
    this.#lanes = undefined;
  }
}
