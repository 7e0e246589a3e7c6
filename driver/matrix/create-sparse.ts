/**
 * Makes sparse matrices in a session, by compressed rows or by cells with their places, as SciPy's
 * `csr_matrix` and `coo_matrix` do. Invariant: what becomes a value is canonical (columns ascend,
 * equal places are added up, zeros are left out), so that equal matrices have one lineage.
 */
import { DTypeError, ShapeError } from '../errors.js';
import { CsrMatrix } from '../ir/csr.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Cells, cellsOf } from '../ir/value.js';
import { withCallSite } from './call-site.js';
import { literal, type MatrixOptions } from './create.js';
import { describe } from './element-wise.js';
import type { Matrix } from './matrix.js';

/** Compressed rows: SciPy's `indptr`, `indices` and `data`. */
export interface CompressedRows {
  readonly rows: number;
  readonly cols: number;
  /** Of rows + 1: the cells of row i are those [rowStarts[i], rowStarts[i + 1]). */
  readonly rowStarts: ArrayLike<number>;
  /** Zero-based column of each cell. In any order within a row; equal ones are added up. */
  readonly columns: ArrayLike<number>;
  /** A Float32Array gives float32. */
  readonly values: ArrayLike<number>;
}

/** Cells with their places, in any order; those of one place are added up. */
export interface Triplets {
  readonly rows: number;
  readonly cols: number;
  /** Zero-based row of each cell. */
  readonly rowIndices: ArrayLike<number>;
  /** Zero-based column of each cell. */
  readonly columns: ArrayLike<number>;
  /** A Float32Array gives float32. */
  readonly values: ArrayLike<number>;
}

/**
 * A sparse matrix of compressed rows.
 * @param options `copy: false` hands typed arrays over (Int32Array, Int32Array, Float64Array or
 *   Float32Array), where the columns of each row ascend and no value is 0
 * @throws ShapeError for places outside of the matrix, DTypeError for cells that are no numbers
 */
export function csr(session: Evaluator, of: CompressedRows, options: MatrixOptions = {}): Matrix {
  try {
    const { rows, cols, rowStarts, values } = of;
    checkSizes('csr', of);
    if (rowStarts.length !== rows + 1 || rowStarts[0] !== 0 || rowStarts[rows] !== values.length) {
      throw sizeError('csr', `rowStarts of ${rows + 1} numbers from 0 to ${values.length}`, [
        `${rowStarts.length} from ${rowStarts[0]} to ${rowStarts[rowStarts.length - 1]}`,
      ]);
    }
    for (let i = 0; i < rows; i++) {
      if (rowStarts[i]! <= rowStarts[i + 1]!) continue;
      throw sizeError('csr', 'rowStarts that do not fall', [`a fall after row ${i}`]);
    }
    for (let i = 1; i < rows; i++) {
      checkedPlace('csr', 'rowStarts', rowStarts[i]!, values.length + 1, i);
    }
    const given = ownArrays(rows, cols, of);
    if (options.copy === false && given !== undefined && isCanonical(given)) {
      return literal(session, given);
    }
    return literal(session, canonical('csr', of, Int32Array.from(rowStarts)));
  } catch (error) {
    throw withCallSite(error);
  }
}

/**
 * A sparse matrix of cells with their places.
 * @throws ShapeError for places outside of the matrix, DTypeError for cells that are no numbers
 */
export function coo(session: Evaluator, of: Triplets): Matrix {
  try {
    const { rows, rowIndices, values } = of;
    checkSizes('coo', of);
    if (rowIndices.length !== values.length) {
      throw sizeError('coo', `${values.length} rowIndices, one a value`, [rowIndices.length]);
    }
    const starts = new Int32Array(rows + 1);
    for (let k = 0; k < values.length; k++) {
      const row = checkedPlace('coo', 'rowIndices', rowIndices[k]!, rows, k);
      starts[row + 1]!++;
    }
    for (let i = 0; i < rows; i++) starts[i + 1]! += starts[i]!;
    const next = starts.slice(0, rows);
    const order = new Int32Array(values.length);
    for (let k = 0; k < values.length; k++) order[next[rowIndices[k]!]!++] = k;
    return literal(session, canonical('coo', of, starts, order));
  } catch (error) {
    throw withCallSite(error);
  }
}

/** @param order where the cells, row by row, stand in `columns` and `values` */
function canonical(
  op: string,
  { rows, cols, columns, values }: CompressedRows | Triplets,
  starts: Int32Array,
  order?: Int32Array,
): CsrMatrix {
  const isSingle = values instanceof Float32Array;
  const ownColumns = new Int32Array(values.length);
  const ownValues = cellsOf(isSingle ? 'float32' : 'float64', values.length);
  const ownStarts = new Int32Array(rows + 1);
  let count = 0;
  for (let i = 0; i < rows; i++) {
    const places: number[] = [];
    for (let k = starts[i]!; k < starts[i + 1]!; k++)
      places.push(order === undefined ? k : order[k]!);
    for (const k of places) {
      checkedPlace(op, 'columns', columns[k]!, cols, k);
      if (typeof values[k] !== 'number') throw notNumber(op, values[k], k);
    }
    if (!ascend(places, columns)) places.sort((a, b) => columns[a]! - columns[b]! || a - b);
    for (let p = 0; p < places.length; ) {
      const column = columns[places[p]!]!;
      let sum = 0;
      for (; p < places.length && columns[places[p]!] === column; p++) sum += values[places[p]!]!;
      if (sum === 0) continue;
      ownColumns[count] = column;
      ownValues[count++] = sum;
    }
    ownStarts[i + 1] = count;
  }
  return new CsrMatrix(rows, cols, ownStarts, ownColumns, ownValues).compact();
}

function ascend(places: readonly number[], columns: ArrayLike<number>): boolean {
  for (let p = 1; p < places.length; p++) {
    if (columns[places[p - 1]!]! > columns[places[p]!]!) return false;
  }
  return true;
}

function ownArrays(rows: number, cols: number, of: CompressedRows): CsrMatrix | undefined {
  const { rowStarts, columns, values } = of;
  const isTyped =
    rowStarts instanceof Int32Array &&
    columns instanceof Int32Array &&
    (values instanceof Float64Array || values instanceof Float32Array);
  return isTyped ? new CsrMatrix<Cells>(rows, cols, rowStarts, columns, values) : undefined;
}

function isCanonical({ rows, cols, rowStarts, columns, values }: CsrMatrix): boolean {
  for (let i = 0; i < rows; i++) {
    let last = -1;
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      const column = columns[k]!;
      if (column <= last || column >= cols || values[k] === 0) return false;
      last = column;
    }
  }
  return true;
}

function checkSizes(op: string, { rows, cols, columns, values }: CompressedRows | Triplets): void {
  for (const size of [rows, cols]) {
    if (Number.isSafeInteger(size) && size >= 1 && size < 2 ** 31) continue;
    throw sizeError(op, 'rows and cols from 1 to 2^31 - 1', [rows, cols]);
  }
  if (columns.length === values.length && values.length < 2 ** 31) return;
  throw sizeError(op, 'a column for each value, fewer than 2^31', [columns.length, values.length]);
}

function checkedPlace(op: string, name: string, place: number, size: number, k: number): number {
  if (Number.isInteger(place) && place >= 0 && place < size) return place;
  throw sizeError(op, `whole ${name} from 0 to ${size - 1}`, [`${place} at ${k}`]);
}

function sizeError(op: string, expected: string, got: readonly unknown[]): ShapeError {
  return new ShapeError(`${op}: expected ${expected}, got ${got.join(' and ')}`, { op });
}

function notNumber(op: string, value: unknown, k: number): DTypeError {
  return new DTypeError(
    `${op}: expected a number as value ${k}, got ${describe(value)}; use NaN for missing cells`,
    { op },
  );
}
