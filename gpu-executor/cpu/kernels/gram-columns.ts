/**
 * Rows of [X Y] as columns, wherever each lies: of a dense operand a cell every `cols`, of rows as
 * they were read one after another. Columns that lie side by side in one buffer are a matrix that
 * BLAS multiplies with its transpose without a copy; others are packed as columns first.
 */
import type { Float64Matrix } from '../../../driver/ir/value.js';
import { CodedRows } from './coded-rows.js';
import type { GroupedRows, Piece } from './grouping.js';

/** The columns of [1, z] that are numbers: cell i of column a is cells[a][i * strides[a]]. */
export interface Numbers {
  /** Places in [1, z]. */
  readonly places: Int32Array;
  readonly cells: readonly Float64Array[];
  readonly strides: Int32Array;
}

/** The numbers of some operands: every column of dense ones, those of coded ones. */
export function numbersOf(parts: readonly Float64Matrix[]): Numbers {
  const places: number[] = [];
  const cells: Float64Array[] = [];
  const strides: number[] = [];
  let offset = 1;
  for (const part of parts) {
    if (part instanceof CodedRows) {
      for (const number of part.numbers) {
        places.push(offset + number.column);
        cells.push(number.cells);
        strides.push(1);
      }
    } else {
      for (let j = 0; j < part.cols; j++) {
        places.push(offset + j);
        cells.push(part.data.subarray(j));
        strides.push(part.cols);
      }
    }
    offset += part.cols;
  }
  return { places: Int32Array.from(places), cells, strides: Int32Array.from(strides) };
}

/** Whether operands are columns as they were read and nothing else of more than one column. */
export function areColumns(parts: readonly Float64Matrix[]): boolean {
  const isRead = (part: Float64Matrix): boolean => part instanceof CodedRows && !part.indicators;
  return parts.some(isRead) && parts.every((part) => isRead(part) || part.cols === 1);
}

/** A matrix of columns, one after another. */
export interface ColumnMatrix {
  readonly cells: Float64Array;
  /** Cells from a column to the next. */
  readonly stride: number;
}

/** The columns as they lie, if they lie side by side. */
export function sideBySide({ cells, strides }: Numbers, rows: number): ColumnMatrix | undefined {
  const [first] = cells as [Float64Array];
  const bytes = rows * Float64Array.BYTES_PER_ELEMENT;
  for (const [a, column] of cells.entries()) {
    if (strides[a] !== 1 || column.buffer !== first.buffer) return undefined;
    if (column.byteOffset !== first.byteOffset + a * bytes) return undefined;
  }
  const whole = new Float64Array(first.buffer, first.byteOffset, cells.length * rows);
  return { cells: whole, stride: rows };
}

/** Writes the columns of [1, z - shift] of one group's rows, times the roots of their weights. */
export function packColumns(
  out: ColumnMatrix,
  { order }: GroupedRows,
  { start, rows }: Piece,
  numbers: Numbers,
  shift: Float64Array,
  weights: Float64Array | undefined,
): void {
  const roots = out.cells.subarray(start, start + rows);
  if (weights === undefined) roots.fill(1);
  else for (let k = 0; k < rows; k++) roots[k] = Math.sqrt(weights[order[start + k]!]!);
  for (let a = 0; a < numbers.cells.length; a++) {
    const from = (a + 1) * out.stride + start;
    const column = out.cells.subarray(from, from + rows);
    packColumn(column, order, start, numbers.cells[a]!, numbers.strides[a]!, shift[a + 1]!);
    if (weights !== undefined) for (let k = 0; k < rows; k++) column[k]! *= roots[k]!;
  }
}

function packColumn(
  out: Float64Array,
  order: Int32Array,
  start: number,
  cells: Float64Array,
  stride: number,
  shift: number,
): void {
  if (stride === 1) {
    for (let k = 0; k < out.length; k++) out[k] = cells[order[start + k]!]! - shift;
  } else {
    for (let k = 0; k < out.length; k++) out[k] = cells[order[start + k]! * stride]! - shift;
  }
}
