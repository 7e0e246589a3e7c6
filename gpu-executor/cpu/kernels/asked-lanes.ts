/**
 * Cells of compressed rows that a factorisation is asked about, on lanes: some rows at a time, their
 * products u v', what is made of these, and the rows of a factor that this multiplies. Loops in
 * JavaScript take several times as long. Invariant: V lies where lanes compute as long as it is the
 * same matrix, so that one that is read block after block is copied once.
 */
import type { CsrMatrix } from '../../../driver/ir/csr.js';
import type { Cells, DenseMatrix } from '../../../driver/ir/value.js';
import type { Guard } from '../../../driver/operators/weighted.js';
import { addScaledRowsModule, dotRowsModule, quotientsModule } from '../simd/asked-rows-code.js';
import { aligned, LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import { chunksOf, copyStrided, MOST_ROWS, mostCells } from './csr-chunks.js';

/** Tables that are larger are not copied to where lanes compute. @units bytes */
const MOST_BYTES = 1 << 28;

interface Compiled {
  readonly dot: WasmModule;
  readonly toRow: WasmModule;
  readonly toTable: WasmModule;
  readonly quotients: WasmModule;
}
let compiled: Compiled | undefined;

/** What each cell asked about is multiplied with, in place of its product u v'. */
export type Weigh = (products: Float64Array, firstCell: number, fromRow: number) => void;
/** A function, or the cell over its guarded product. */
export type LaneWeigh = Weigh | Guard;

/** Where things lie. @units bytes */
interface Layout {
  /** Of a row of a factor. */
  readonly stride: number;
  readonly sums: number;
  readonly rows: number;
  readonly out: number;
  readonly ends: number;
  readonly columns: number;
  readonly numbers: number;
  readonly cells: number;
  readonly guard: number;
  readonly total: number;
}

function layoutOf(asked: CsrMatrix, { rows, cols }: DenseMatrix, hasSums: boolean): Layout {
  const most = mostCells(asked);
  const stride = 16 * Math.ceil(cols / 2);
  const sums = aligned(rows * stride);
  const own = aligned(MOST_ROWS * stride);
  const after = hasSums ? 2 * sums : sums;
  const ends = after + 2 * own;
  const columns = ends + aligned(4 * MOST_ROWS);
  const numbers = columns + aligned(4 * most);
  const cells = numbers + aligned(8 * most);
  const guard = cells + aligned(8 * most);
  const total = guard + 16;
  const found = { ends, columns, numbers, cells, guard, total };
  return { stride, sums, rows: after, out: after + own, ...found };
}

export class AskedLanes {
  readonly #memory = new LaneMemory();
  #held: WeakRef<DenseMatrix> | undefined;
  #isSummed = false;

  /** Of the memory it computes in. */
  get bytes(): number {
    return this.#memory.bytes;
  }

  /** Calls `weigh` for all products u v' of compressed rows. False: it is too much to copy. */
  weigh(asked: CsrMatrix, u: DenseMatrix, v: DenseMatrix, weigh: LaneWeigh): boolean {
    return this.#eachChunk(asked, u, v, weigh, false);
  }

  /** The products with V, in `out`. */
  right(asked: CsrMatrix, u: DenseMatrix, v: DenseMatrix, weigh: LaneWeigh, out: Cells): boolean {
    const { cols } = v;
    return this.#eachChunk(asked, u, v, weigh, false, ({ layout, from, rows, args }) => {
      const cells = this.#cells(layout.out, (rows * layout.stride) / 8).fill(0);
      this.#run(compiled!.toRow, args, layout.out, 0, layout.stride);
      copyStrided(cells, 0, layout.stride / 8, out, from * cols, cols, rows, cols);
    });
  }

  /** Adds the products with U to sums of their own, which `takeSums` takes. */
  left(asked: CsrMatrix, u: DenseMatrix, v: DenseMatrix, weigh: LaneWeigh): boolean {
    return this.#eachChunk(asked, u, v, weigh, true, ({ layout, args }) => {
      this.#run(compiled!.toTable, args, layout.rows, layout.sums, layout.stride);
    });
  }

  /** The sums, as a matrix of that shape; none where `left` was not done. */
  takeSums(rows: number, cols: number): Float64Array | undefined {
    if (!this.#isSummed) return undefined;
    this.#isSummed = false;
    const stride = 2 * Math.ceil(cols / 2);
    const sums = this.#cells(aligned(rows * stride * 8), rows * stride);
    if (stride === cols) return sums.slice();
    const own = new Float64Array(rows * cols);
    copyStrided(sums, 0, stride, own, 0, cols, rows, cols);
    return own;
  }

  #eachChunk(
    asked: CsrMatrix,
    u: DenseMatrix,
    v: DenseMatrix,
    weigh: LaneWeigh,
    hasSums: boolean,
    after?: (chunk: Chunk) => void,
  ): boolean {
    const layout = layoutOf(asked, v, hasSums);
    if (layout.total > MOST_BYTES) return false;
    compiled ??= {
      dot: new engine.Module(dotRowsModule()),
      toRow: new engine.Module(addScaledRowsModule(true)),
      toTable: new engine.Module(addScaledRowsModule(false)),
      quotients: new engine.Module(quotientsModule()),
    };
    this.#memory.reserve(layout.total);
    this.#hold(v, layout);
    if (hasSums && !this.#isSummed) {
      this.#cells(layout.sums, (v.rows * layout.stride) / 8).fill(0);
      this.#isSummed = true;
    }
    const { rowStarts } = asked;
    for (const [from, to] of chunksOf(asked)) {
      const first = rowStarts[from]!;
      const args = this.#place(asked, u, layout, from, to);
      this.#run(compiled.dot, args, layout.rows, 0, layout.stride);
      if (typeof weigh === 'function') {
        weigh(this.#cells(layout.numbers, rowStarts[to]! - first), first, from);
      } else this.#divide(asked.values.subarray(first, rowStarts[to]), layout, weigh);
      after?.({ layout, from, rows: to - from, args });
    }
    return true;
  }

  #hold(v: DenseMatrix, { stride }: Layout): void {
    if (this.#held?.deref() === v) return;
    const table = this.#cells(0, (v.rows * stride) / 8);
    copyStrided(v.data, 0, v.cols, table, 0, stride / 8, v.rows, v.cols);
    this.#held = new WeakRef(v);
  }

  /** Copies the rows [from, to) of U, and the columns asked about in them. */
  #place(
    { rowStarts, columns }: CsrMatrix,
    u: DenseMatrix,
    layout: Layout,
    from: number,
    to: number,
  ): RowsPlaced {
    const first = rowStarts[from]!;
    const count = to - from;
    const rows = this.#cells(layout.rows, (count * layout.stride) / 8);
    copyStrided(u.data, from * u.cols, u.cols, rows, 0, layout.stride / 8, count, u.cols);
    const ends = this.#memory.integers(layout.ends, count);
    for (let i = 0; i < count; i++) {
      ends[i] = layout.columns + 4 * (rowStarts[from + i + 1]! - first);
    }
    const end = rowStarts[to]!;
    this.#memory.integers(layout.columns, end - first).set(columns.subarray(first, end));
    return [layout.ends, layout.ends + 4 * count, layout.columns, layout.numbers];
  }

  #divide(cells: Cells, layout: Layout, { plus, least }: Guard): void {
    this.#cells(layout.cells, cells.length).set(cells);
    this.#cells(layout.guard, 2).set([plus, least]);
    const last = layout.numbers + 8 * cells.length;
    this.#memory.function(compiled!.quotients)(layout.numbers, last, layout.cells, layout.guard);
  }

  #run(module: WasmModule, placed: RowsPlaced, row: number, table: number, stride: number): void {
    this.#memory.function(module)(...placed, row, table, stride);
  }

  #cells(address: number, count: number): Float64Array {
    return this.#memory.cells('float64', address, count) as Float64Array;
  }
}

type RowsPlaced = readonly [ends: number, last: number, columns: number, numbers: number];

interface Chunk {
  readonly layout: Layout;
  readonly from: number;
  readonly rows: number;
  readonly args: RowsPlaced;
}
