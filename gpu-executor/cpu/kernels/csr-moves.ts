/** Compressed rows that are moved: cut, bound, chosen, turned over. The results are compressed. */

import { CsrBuilder, CsrMatrix, csrTransposed } from '../../../driver/ir/csr.js';
import type { Cells, DenseMatrix } from '../../../driver/ir/value.js';
import { cast } from '../../../driver/operators/cast.js';
import { cbind } from '../../../driver/operators/cbind.js';
import { rbind } from '../../../driver/operators/rbind.js';
import { chosenRows, selectRows } from '../../../driver/operators/select-rows.js';
import { rangeOf, slice } from '../../../driver/operators/slice.js';
import { takeRows } from '../../../driver/operators/take-rows.js';
import { transpose } from '../../../driver/operators/transpose.js';
import type { CsrForm } from './csr-form.js';

/** Bound matrices stay compressed while at most this share of their cells is held. */
export const MOST_HELD = 1 / 3;

function columnsCut(x: CsrMatrix, from: number, to: number): CsrMatrix {
  const { rows, rowStarts, columns, values } = x;
  const share = (to - from) / x.cols;
  const builder = new CsrBuilder(rows, to - from, x.dtype, x.nnz * share + 16);
  for (let i = 0; i < rows; i++) {
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      const column = columns[k]!;
      if (column >= from && column < to) builder.add(column - from, values[k]!);
    }
    builder.endRow();
  }
  return builder.value;
}

/** Rows of these numbers; no cells for a number of no row. */
function rowsAt(x: CsrMatrix, numbers: Cells | readonly number[]): CsrMatrix {
  const { rowStarts } = x;
  const isRow = (row: number): boolean => row >= 0 && row < x.rows;
  let nnz = 0;
  for (let i = 0; i < numbers.length; i++) {
    const row = Math.trunc(numbers[i]!);
    if (isRow(numbers[i]!)) nnz += rowStarts[row + 1]! - rowStarts[row]!;
  }
  const builder = new CsrBuilder(numbers.length, x.cols, x.dtype, nnz);
  for (let i = 0; i < numbers.length; i++) {
    const row = Math.trunc(numbers[i]!);
    if (isRow(numbers[i]!)) builder.addRows(x.rowsView(row, row + 1));
    else builder.endRow();
  }
  return builder.value;
}

/** Whether so few cells are held of bound matrices that they stay compressed. */
function staysSparse(inputs: readonly DenseMatrix[], cells: number): boolean {
  return heldOf(inputs) <= MOST_HELD * cells;
}

function heldOf(inputs: readonly DenseMatrix[]): number {
  return inputs.reduce((sum, x) => sum + (x instanceof CsrMatrix ? x.nnz : x.data.length), 0);
}

function besides(inputs: readonly DenseMatrix[], rows: number, cols: number): CsrMatrix {
  const builder = new CsrBuilder(rows, cols, inputs[0]!.dtype, heldOf(inputs));
  for (let i = 0; i < rows; i++) {
    let offset = 0;
    for (const input of inputs) {
      if (input instanceof CsrMatrix) {
        for (let k = input.rowStarts[i]!; k < input.rowStarts[i + 1]!; k++) {
          builder.add(offset + input.columns[k]!, input.values[k]!);
        }
      } else {
        const at = i * input.cols;
        for (let j = 0; j < input.cols; j++) builder.add(offset + j, input.data[at + j]!);
      }
      offset += input.cols;
    }
    builder.endRow();
  }
  return builder.value;
}

export const csrMoves: readonly CsrForm[] = [
  {
    op: transpose,
    operands: [0],
    run: ({ inputs: [x] }) => csrTransposed(x as CsrMatrix),
  },
  {
    op: slice,
    operands: [0],
    run: ({ inputs: [x], attrs }) => {
      const [firstRow, endRow] = rangeOf(attrs, 'rows', x!.rows);
      const [firstCol, endCol] = rangeOf(attrs, 'cols', x!.cols);
      const rows = (x as CsrMatrix).rowsView(firstRow, endRow);
      // What stays must not hold what was cut off.
      return endCol - firstCol === x!.cols ? rows.compact() : columnsCut(rows, firstCol, endCol);
    },
  },
  {
    op: cast,
    operands: [0],
    run: ({ inputs: [x], out }) => (x as CsrMatrix).converted(out.dtype),
  },
  {
    op: rbind,
    operands: [],
    run: ({ inputs, out }) => {
      if (!staysSparse(inputs, out.rows * out.cols)) return undefined;
      const builder = new CsrBuilder(out.rows, out.cols, out.dtype, heldOf(inputs));
      for (const input of inputs) builder.addRows(input);
      return builder.value;
    },
  },
  {
    op: cbind,
    operands: [],
    run: ({ inputs, out }) =>
      staysSparse(inputs, out.rows * out.cols) ? besides(inputs, out.rows, out.cols) : undefined,
  },
  {
    op: selectRows,
    operands: [0],
    run: ({ inputs: [x, mask], attrs }) =>
      x instanceof CsrMatrix ? rowsAt(x, chosenRows(mask!, attrs)) : undefined,
  },
  {
    op: takeRows,
    operands: [1],
    run: ({ inputs: [g, table] }) =>
      table instanceof CsrMatrix ? rowsAt(table, g!.data) : undefined,
  },
];
