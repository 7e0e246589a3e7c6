/**
 * Cells and aggregates of compressed rows. A function of cells keeps the form where it makes 0 of
 * every zero, whatever that meets; sums pass over zeros, and extremes know whether there is one.
 */
import { CsrBuilder, CsrMatrix } from '../../../driver/ir/csr.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import {
  type Cells,
  cellsOf,
  converted,
  type DenseMatrix,
  dense,
} from '../../../driver/ir/value.js';
import {
  colMaxs,
  colMins,
  colSumSqs,
  colSums,
  max,
  min,
  rowMaxs,
  rowMins,
  rowSumSqs,
  rowSums,
  sum,
  sumSq,
} from '../../../driver/operators/aggregates.js';
import type { CsrForm } from './csr-form.js';
import type { KernelCall } from './kernel.js';

type CellOf = NonNullable<OpDef['cell']>;

/** Of an element-wise operator of one or two operands. */
export function csrElementwise(op: OpDef): CsrForm {
  const cell = op.cell!;
  const isBinary = op.arity.max === 2;
  return {
    op,
    operands: isBinary ? [0, 1] : [0],
    run: ({ inputs, out }) => {
      const [a, b] = inputs as [DenseMatrix, DenseMatrix?];
      if (b === undefined) return isBinary ? undefined : mapped(a, (x) => cell(x, 0, 0));
      const isFull = (x: DenseMatrix): x is CsrMatrix =>
        x instanceof CsrMatrix && x.rows === out.rows && x.cols === out.cols;
      if (isFull(a) && isFull(b)) return merged(a, b, cell);
      if (isFull(a)) return met(a, b, (x, y) => cell(x, y, 0));
      return isFull(b) ? met(b, a, (x, y) => cell(y, x, 0)) : undefined;
    },
  };
}

/** Undefined where a zero becomes something else. */
function mapped(x: DenseMatrix, of: (cell: number) => number): CsrMatrix | undefined {
  if (!(x instanceof CsrMatrix) || of(0) !== 0) return undefined;
  const { rows, cols, rowStarts, columns, values } = x.compact();
  const cells = cellsOf(x.dtype, values.length);
  for (let k = 0; k < values.length; k++) cells[k] = of(values[k]!);
  return new CsrMatrix(rows, cols, rowStarts, columns, cells);
}

/** Cells of X with those of an operand that is stretched to it, or as large. */
function met(
  X: CsrMatrix,
  other: DenseMatrix,
  of: (cell: number, other: number) => number,
): CsrMatrix | undefined {
  const { data } = other;
  for (let at = 0; at < data.length; at++) if (of(0, data[at]!) !== 0) return undefined;
  const { rows, cols, rowStarts, columns, values } = X.compact();
  const cells = cellsOf(X.dtype, values.length);
  const rowStep = other.rows === 1 ? 0 : other.cols;
  const colStep = other.cols === 1 ? 0 : 1;
  for (let i = 0; i < rows; i++) {
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      cells[k] = of(values[k]!, data[i * rowStep + columns[k]! * colStep]!);
    }
  }
  return new CsrMatrix(rows, cols, rowStarts, columns, cells);
}

/** Cells of two matrices of one shape, side by side in the order of columns. */
function merged(a: CsrMatrix, b: CsrMatrix, cell: CellOf): CsrMatrix | undefined {
  if (cell(0, 0, 0) !== 0) return undefined;
  const builder = new CsrBuilder(a.rows, a.cols, a.dtype, a.nnz + b.nnz);
  for (let i = 0; i < a.rows; i++) {
    let k = a.rowStarts[i]!;
    let l = b.rowStarts[i]!;
    const [endA, endB] = [a.rowStarts[i + 1]!, b.rowStarts[i + 1]!];
    while (k < endA || l < endB) {
      const left = k < endA ? a.columns[k]! : a.cols;
      const right = l < endB ? b.columns[l]! : a.cols;
      const column = Math.min(left, right);
      const x = left === column ? a.values[k++]! : 0;
      const y = right === column ? b.values[l++]! : 0;
      builder.add(column, cell(x, y, 0));
    }
    builder.endRow();
  }
  return builder.value;
}

/** What an aggregate folds; `zero`: what it makes of zeros beside cells that are held. */
interface Fold {
  readonly start: number;
  readonly of: (total: number, cell: number) => number;
  readonly zero: (total: number) => number;
}

const sums: Fold = { start: 0, of: (total, cell) => total + cell, zero: (total) => total };
const squares: Fold = { ...sums, of: (total, cell) => total + cell * cell };
const least: Fold = {
  start: Number.POSITIVE_INFINITY,
  of: Math.min,
  zero: (total) => Math.min(total, 0),
};
const greatest: Fold = {
  start: Number.NEGATIVE_INFINITY,
  of: Math.max,
  zero: (total) => Math.max(total, 0),
};

function foldRange({ start, of }: Fold, values: Cells, from: number, to: number): number {
  let total = start;
  for (let k = from; k < to; k++) total = of(total, values[k]!);
  return total;
}

/** Of all cells: by row, so that partial sums are short. */
function fullForm(op: OpDef, fold: Fold): CsrForm {
  return {
    op,
    operands: [0],
    reducer: ({ out }) => {
      let total = fold.start;
      return {
        add: ([x]) => {
          const { rows, cols, rowStarts, values, nnz } = x as CsrMatrix;
          let own = fold.start;
          for (let i = 0; i < rows; i++) {
            const row = foldRange(fold, values, rowStarts[i]!, rowStarts[i + 1]!);
            own = op === sumSq ? own + row : fold.of(own, row);
          }
          if (nnz < rows * cols) own = fold.zero(own);
          total = op === sumSq ? total + own : fold.of(total, own);
          return true;
        },
        result: () => converted(dense(1, 1, Float64Array.of(total)), out.dtype),
      };
    },
  };
}

function rowForm(op: OpDef, fold: Fold): CsrForm {
  const run = ({ inputs: [x], out }: KernelCall<Cells>): DenseMatrix => {
    const { rows, cols, rowStarts, values } = x as CsrMatrix;
    const cells = cellsOf(out.dtype, rows);
    for (let i = 0; i < rows; i++) {
      const [from, to] = [rowStarts[i]!, rowStarts[i + 1]!];
      const total = foldRange(fold, values, from, to);
      cells[i] = to - from < cols ? fold.zero(total) : total;
    }
    return dense(rows, 1, cells);
  };
  return { op, operands: [0], run };
}

function columnForm(op: OpDef, fold: Fold): CsrForm {
  return {
    op,
    operands: [0],
    reducer: ({ out }) => {
      const totals = new Float64Array(out.cols).fill(fold.start);
      const counts = new Float64Array(out.cols);
      let seen = 0;
      return {
        add: ([x]) => {
          const { rows, rowStarts, columns, values } = x as CsrMatrix;
          for (let k = rowStarts[0]!; k < rowStarts[rows]!; k++) {
            const column = columns[k]!;
            totals[column] = fold.of(totals[column]!, values[k]!);
            counts[column]!++;
          }
          seen += rows;
          return true;
        },
        result: () => {
          const cells = totals.map((total, j) => (counts[j]! < seen ? fold.zero(total) : total));
          return converted(dense(1, out.cols, cells), out.dtype);
        },
      };
    },
  };
}

export const csrAggregates: readonly CsrForm[] = [
  fullForm(sum, sums),
  fullForm(sumSq, squares),
  fullForm(min, least),
  fullForm(max, greatest),
  rowForm(rowSums, sums),
  rowForm(rowSumSqs, squares),
  rowForm(rowMins, least),
  rowForm(rowMaxs, greatest),
  columnForm(colSums, sums),
  columnForm(colSumSqs, squares),
  columnForm(colMins, least),
  columnForm(colMaxs, greatest),
];
