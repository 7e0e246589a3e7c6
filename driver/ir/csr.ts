/**
 * Compressed sparse rows as a host value: a matrix of which only the cells that are not zero are
 * held. To whoever asks for `data` it is the dense matrix, whose cells are made then and forgotten
 * again, unless they would not fit. Invariants: columns of a row ascend, each at most once; nothing
 * is changed once it is a value. Cells that are held may be zero.
 */
import { DataError, ResourceError } from '../errors.js';
import { memoryShares } from '../support/memory.js';
import { formatBytes } from '../support/size.js';
import { cellBytes, type DType } from './dtype.js';
import { denseBytes } from './expr.js';
import {
  type Cells,
  cellsOf,
  type DenseMatrix,
  dense,
  dtypeOf,
  type SparseForm,
  type Value,
} from './value.js';

export class CsrMatrix<C extends Cells = Cells> implements DenseMatrix<C>, SparseForm {
  readonly kind = 'dense';
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  /** Cells of row i are those [rowStarts[i], rowStarts[i + 1]) of `columns` and `values`. */
  readonly rowStarts: Int32Array;
  readonly columns: Int32Array;
  readonly values: C;
  #isFinite: boolean | undefined;
  #cells: WeakRef<C> | undefined;

  constructor(rows: number, cols: number, rowStarts: Int32Array, columns: Int32Array, values: C) {
    this.rows = rows;
    this.cols = cols;
    this.dtype = dtypeOf(values);
    this.rowStarts = rowStarts;
    this.columns = columns;
    this.values = values;
  }

  /** Cells that are held. */
  get nnz(): number {
    return this.rowStarts[this.rows]! - this.rowStarts[0]!;
  }

  get sparse(): SparseForm {
    return this;
  }

  get bytes(): number {
    return csrBytes(this.rows, this.nnz, this.dtype);
  }

  /** Whether all cells are finite numbers. */
  get isFinite(): boolean {
    this.#isFinite ??= areFinite(this.values, this.rowStarts[0]!, this.rowStarts[this.rows]!);
    return this.#isFinite;
  }

  /** @throws ResourceError where the cells would not fit */
  get data(): C {
    let cells = this.#cells?.deref();
    if (cells === undefined) {
      cells = this.#expanded();
      this.#cells = new WeakRef(cells);
    }
    return cells;
  }

  rowsView(from: number, to: number): CsrMatrix<C> {
    if (from === 0 && to === this.rows) return this;
    const starts = this.rowStarts.subarray(from, to + 1);
    return new CsrMatrix(to - from, this.cols, starts, this.columns, this.values);
  }

  converted(dtype: DType): CsrMatrix {
    if (dtype === this.dtype) return this;
    const { rowStarts, columns, values } = this.compact();
    const cells = cellsOf(dtype, values.length);
    cells.set(values);
    return new CsrMatrix(this.rows, this.cols, rowStarts, columns, cells);
  }

  /** The same matrix in arrays that hold nothing else, counted from 0. */
  compact(): CsrMatrix<C> {
    const first = this.rowStarts[0]!;
    const end = this.rowStarts[this.rows]!;
    if (first === 0 && end === this.columns.length && end === this.values.length) return this;
    return new CsrMatrix(
      ...([this.rows, this.cols, this.rowStarts.map((start) => start - first)] as const),
      ...([this.columns.slice(first, end), this.values.slice(first, end) as C] as const),
    );
  }

  #expanded(): C {
    const { rows, cols, dtype, rowStarts, columns, values } = this;
    const bytes = denseBytes(this);
    const most = memoryShares().cacheBytes;
    if (bytes > most) {
      throw new ResourceError(
        `sparse matrix: expected an operator that reads compressed rows, or at most ${formatBytes(most)} of cells (half of the memory), got one that needs all ${rows}x${cols} cells (${formatBytes(bytes)}); take fewer rows or columns, or raise REPRISE_MEMORY`,
        { resource: 'memory', requestedBytes: bytes, availableBytes: most },
      );
    }
    const out = cellsOf(dtype, rows * cols) as C;
    for (let i = 0; i < rows; i++) {
      const at = i * cols;
      for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) out[at + columns[k]!] = values[k]!;
    }
    return out;
  }
}

/** What compressed rows take. @units bytes */
export function csrBytes(rows: number, nnz: number, dtype: DType): number {
  return 4 * (rows + 1) + nnz * (4 + cellBytes({ dtype }));
}

export function areFinite(cells: Cells, from = 0, to = cells.length): boolean {
  // 0 times what is not finite is NaN. Four sums, since each waits for its last addition.
  let [a, b, c, d] = [0, 0, 0, 0];
  let at = from;
  for (; at + 4 <= to; at += 4) {
    a += cells[at]! * 0;
    b += cells[at + 1]! * 0;
    c += cells[at + 2]! * 0;
    d += cells[at + 3]! * 0;
  }
  for (; at < to; at++) a += cells[at]! * 0;
  return a + b + c + d === 0;
}

/** Compressed rows written cell by cell: row by row, columns ascending. Zeros are left out. */
export class CsrBuilder {
  readonly #cols: number;
  readonly #dtype: DType;
  readonly #starts: Int32Array;
  #columns: Int32Array;
  #values: Cells;
  #row = 0;
  #count = 0;

  /** @param expected cells there may be; more are taken as they come */
  constructor(rows: number, cols: number, dtype: DType, expected: number) {
    this.#cols = cols;
    this.#dtype = dtype;
    this.#starts = new Int32Array(rows + 1);
    const room = Math.max(16, Math.min(Math.ceil(expected), rows * cols));
    this.#columns = new Int32Array(room);
    this.#values = cellsOf(dtype, room);
  }

  add(column: number, cell: number): void {
    if (cell === 0) return;
    if (this.#count === this.#columns.length) this.#grow(this.#count + 1);
    this.#columns[this.#count] = column;
    this.#values[this.#count++] = cell;
  }

  endRow(): void {
    this.#starts[++this.#row] = this.#count;
  }

  /** All rows of a matrix, as the next ones. */
  addRows(value: DenseMatrix): void {
    if (value instanceof CsrMatrix) {
      const { rowStarts, columns, values, rows } = value;
      const [first, end] = [rowStarts[0]!, rowStarts[rows]!];
      if (this.#count + end - first > this.#columns.length) this.#grow(this.#count + end - first);
      this.#columns.set(columns.subarray(first, end), this.#count);
      this.#values.set(values.subarray(first, end), this.#count);
      for (let i = 1; i <= rows; i++) {
        this.#starts[++this.#row] = this.#count + rowStarts[i]! - first;
      }
      this.#count += end - first;
      return;
    }
    const { rows, cols, data } = value;
    for (let i = 0; i < rows; i++) {
      for (let j = 0, at = i * cols; j < cols; j++, at++) this.add(j, data[at]!);
      this.endRow();
    }
  }

  /** The matrix, once every row has ended. */
  get value(): CsrMatrix {
    const [columns, values] = [this.#columns, this.#values].map((cells) =>
      cells.length > this.#count + (this.#count >> 3) ? cells.slice(0, this.#count) : cells,
    ) as [Int32Array, Cells];
    return new CsrMatrix(this.#starts.length - 1, this.#cols, this.#starts, columns, values);
  }

  #grow(least: number): void {
    const room = Math.max(least, this.#columns.length + (this.#columns.length >> 1));
    const columns = new Int32Array(room);
    const values = cellsOf(this.#dtype, room);
    columns.set(this.#columns.subarray(0, this.#count));
    values.set(this.#values.subarray(0, this.#count));
    this.#columns = columns;
    this.#values = values;
  }
}

/** The compressed rows of a matrix. */
export function csrOf(value: DenseMatrix): CsrMatrix {
  if (value instanceof CsrMatrix) return value;
  const builder = new CsrBuilder(value.rows, value.cols, value.dtype, value.data.length / 8);
  builder.addRows(value);
  return builder.value;
}

/** The compressed rows of the transposed matrix. */
export function csrTransposed(x: CsrMatrix): CsrMatrix {
  const { rows, cols, rowStarts, columns, values } = x.compact();
  const starts = new Int32Array(cols + 1);
  for (let k = 0; k < columns.length; k++) starts[columns[k]! + 1]!++;
  for (let j = 0; j < cols; j++) starts[j + 1]! += starts[j]!;
  const next = starts.slice(0, cols);
  const ownColumns = new Int32Array(columns.length);
  const ownValues = cellsOf(x.dtype, columns.length);
  for (let i = 0; i < rows; i++) {
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      const to = next[columns[k]!]!++;
      ownColumns[to] = i;
      ownValues[to] = values[k]!;
    }
  }
  return new CsrMatrix(cols, rows, starts, ownColumns, ownValues);
}

/** The bytes of a matrix for files and wires: values, then row starts, then columns. */
export function csrToBytes(value: CsrMatrix): Uint8Array {
  const { rows, nnz, dtype, rowStarts, columns, values } = value.compact();
  const out = new Uint8Array(csrBytes(rows, nnz, dtype));
  let at = 0;
  for (const { buffer, byteOffset, byteLength } of [values, rowStarts, columns]) {
    out.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return out;
}

/** What `csrToBytes` wrote. @throws DataError for bytes that are no such matrix */
export function csrFromBytes({ rows, cols, dtype, nnz }: CsrShape, bytes: Uint8Array): CsrMatrix {
  const isWhole = bytes.byteLength === csrBytes(rows, nnz, dtype);
  const { buffer, byteOffset } = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const valuesBytes = nnz * cellBytes({ dtype });
  const starts = isWhole ? new Int32Array(buffer, byteOffset + valuesBytes, rows + 1) : undefined;
  if (starts === undefined || starts[0] !== 0 || starts[rows] !== nnz) {
    throw new DataError(
      `sparse matrix: expected ${rows}x${cols} with ${nnz} cells, got other bytes`,
    );
  }
  const columns = new Int32Array(buffer, byteOffset + valuesBytes + 4 * (rows + 1), nnz);
  const values =
    dtype === 'float32'
      ? new Float32Array(buffer, byteOffset, nnz)
      : new Float64Array(buffer, byteOffset, nnz);
  return new CsrMatrix(rows, cols, starts, columns, values);
}

/** What is known of compressed rows besides their bytes. */
export interface CsrShape {
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  readonly nnz: number;
}

/** Whether a value has bytes that it can be made from again. */
export function hasBytes(value: DenseMatrix): boolean {
  return value.sparse === undefined || value instanceof CsrMatrix;
}

/** The bytes of a value that has some: its cells, not copied, or those that it holds. */
export function valueToBytes(value: DenseMatrix): Uint8Array {
  if (value instanceof CsrMatrix) return csrToBytes(value);
  const { buffer, byteOffset, byteLength } = value.data;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** What is to be known of a value to read its bytes: `nnz` of compressed rows alone. */
type StoredShape = Omit<CsrShape, 'nnz'> & { readonly nnz?: number | undefined };

/** What says beside a value's shape that its bytes are those of compressed rows. */
export function nnzAttr(value: Value): { readonly nnz?: number } {
  return value instanceof CsrMatrix ? { nnz: value.nnz } : {};
}

/** @throws DataError for other bytes */
export function valueFromBytes({ nnz, ...shape }: StoredShape, bytes: Uint8Array): DenseMatrix {
  if (nnz !== undefined) return csrFromBytes({ ...shape, nnz }, bytes);
  const { rows, cols, dtype } = shape;
  return dense(rows, cols, cellsOf(dtype, rows * cols, bytes.buffer as ArrayBuffer));
}

/** Of a value of that shape. @units bytes */
export function storedBytes({ nnz, ...shape }: StoredShape): number {
  return nnz === undefined ? denseBytes(shape) : csrBytes(shape.rows, nnz, shape.dtype);
}
