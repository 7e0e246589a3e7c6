/**
 * Values a node can have at run time. A dense matrix is row-major with no padding; a handle names a
 * value that lives in a backend (an RDD, a GPU pointer) and is released through that backend only.
 */
import type { DType } from './dtype.js';

/** The cells of a dense matrix; which array it is says their dtype. */
export type Cells = Float64Array | Float32Array;

/** Dense, row-major; `data.length === rows * cols`. Treated as immutable once it is a value. */
export interface DenseMatrix<C extends Cells = Cells> {
  readonly kind: 'dense';
  readonly rows: number;
  readonly cols: number;
  /** That of `data`. */
  readonly dtype: DType;
  readonly data: C;
  /** There where the cells are made when `data` is asked for, since most of them are zeros. */
  readonly sparse?: SparseForm;
}

/** What is held of a matrix in place of its cells. */
export interface SparseForm {
  /** @units bytes */
  readonly bytes: number;
  /** Rows [from, to), which are not copied. */
  rowsView(from: number, to: number): DenseMatrix;
  /** The same in cells of that dtype, where the form has them; absent: it is made dense. */
  converted?(dtype: DType): DenseMatrix;
}

export type Float64Matrix = DenseMatrix<Float64Array>;

/** A value held by a backend. */
export interface Handle {
  readonly kind: 'handle';
  readonly backend: string;
  readonly id: string;
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  /** Estimated bytes held there. */
  readonly bytes: number;
}

export type Value = DenseMatrix | Handle;

/** A dense matrix over `data`, not copied. @throws RangeError if the length does not fit */
export function dense(rows: number, cols: number): Float64Matrix;
export function dense<C extends Cells>(rows: number, cols: number, data: C): DenseMatrix<C>;
export function dense(
  rows: number,
  cols: number,
  data: Cells = new Float64Array(rows * cols),
): DenseMatrix {
  if (data.length !== rows * cols) {
    throw new RangeError(
      `dense: expected ${rows * cols} cells for ${rows}x${cols}, got ${data.length}`,
    );
  }
  return { kind: 'dense', rows, cols, dtype: dtypeOf(data), data };
}

export function dtypeOf(data: Cells): DType {
  return data instanceof Float32Array ? 'float32' : 'float64';
}

/** Cells of that dtype: zeros, or the beginning of `memory`. */
export function cellsOf(dtype: DType, count: number, memory?: ArrayBuffer): Cells {
  const Kind = dtype === 'float32' ? Float32Array : Float64Array;
  return memory === undefined ? new Kind(count) : new Kind(memory, 0, count);
}

type MakeCells = (count: number, dtype: DType) => Cells;

/** The same matrix with cells of that dtype, rounded to the nearest; itself if it has them. */
export function converted(value: DenseMatrix, dtype: 'float64', make?: MakeCells): Float64Matrix;
export function converted(value: DenseMatrix, dtype: DType, make?: MakeCells): DenseMatrix;
export function converted(
  value: DenseMatrix,
  dtype: DType,
  make: MakeCells = (count) => cellsOf(dtype, count),
): DenseMatrix {
  if (value.dtype === dtype) return value;
  const own = value.sparse?.converted?.(dtype);
  if (own !== undefined) return own;
  const cells = make(value.data.length, dtype);
  cells.set(value.data);
  return dense(value.rows, value.cols, cells);
}

/** The cells that a value holds on the host; none where they would have to be made. */
export function heldCells(value: Value | undefined): Cells | undefined {
  return value?.kind === 'dense' && value.sparse === undefined ? value.data : undefined;
}

/** What a matrix takes in memory. @units bytes */
export function bytesOf(value: DenseMatrix): number {
  return value.sparse?.bytes ?? value.data.byteLength;
}

/** Rows [from, to) of a matrix, which are not copied. */
export function rowsView(value: DenseMatrix, from: number, to: number): DenseMatrix {
  if (value.sparse !== undefined) return value.sparse.rowsView(from, to);
  const { cols, data } = value;
  return dense(to - from, cols, data.subarray(from * cols, to * cols));
}

/** From so many cells on one call copies faster than a loop, though it makes a view. */
const LONG_RUN = 32;

/** Copies that many cells from one place to another; they may not overlap. */
export function copyRun(to: Cells, at: number, data: Cells, from: number, count: number): void {
  if (count >= LONG_RUN) to.set(data.subarray(from, from + count), at);
  else for (let i = 0; i < count; i++) to[at + i] = data[from + i]!;
}
