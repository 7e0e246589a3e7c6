/**
 * Sums, extremes and their positions. Sums keep several partial sums, which hides the latency of
 * the addition and loses less to rounding than one; the order is fixed, so results repeat. Cells of
 * float32 are read where they lie; totals are float64, and rounded at the end.
 */

import type { OpDef } from '../../../driver/ir/op-def.js';
import { type Cells, converted, dense, type Float64Matrix } from '../../../driver/ir/value.js';
import {
  colMaxs,
  colMins,
  colSumSqs,
  colSums,
  max,
  min,
  rowIndexMax,
  rowIndexMin,
  rowMaxs,
  rowMins,
  rowSumSqs,
  rowSums,
  sum,
  sumSq,
} from '../../../driver/operators/aggregates.js';
import { fitsFolds, foldColumns, type LaneFold } from '../simd/column-folds.js';
import type { Kernel, Reducer } from './kernel.js';

/** Folds `count` contiguous cells. */
type RangeFold = (data: Cells, from: number, count: number) => number;
/** Folds each row into the totals of its columns. */
type ColumnFold = (totals: Float64Array, data: Cells, rows: number, cols: number) => void;

const sumRange: RangeFold = (data, from, count) => {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    a += data[from + i]!;
    b += data[from + i + 1]!;
    c += data[from + i + 2]!;
    d += data[from + i + 3]!;
  }
  for (; i < count; i++) a += data[from + i]!;
  return a + b + (c + d);
};

const sumSqRange: RangeFold = (data, from, count) => {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    a += data[from + i]! * data[from + i]!;
    b += data[from + i + 1]! * data[from + i + 1]!;
    c += data[from + i + 2]! * data[from + i + 2]!;
    d += data[from + i + 3]! * data[from + i + 3]!;
  }
  for (; i < count; i++) a += data[from + i]! * data[from + i]!;
  return a + b + (c + d);
};

// Branches rather than Math.min: the engine compiles a plain comparison to one instruction, and NaN
// ends the loop.
const minRange: RangeFold = (data, from, count) => {
  let best = Number.POSITIVE_INFINITY;
  for (let i = from; i < from + count; i++) {
    const cell = data[i]!;
    if (cell < best) best = cell;
    else if (Number.isNaN(cell)) return Number.NaN;
  }
  return best;
};

const maxRange: RangeFold = (data, from, count) => {
  let best = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + count; i++) {
    const cell = data[i]!;
    if (cell > best) best = cell;
    else if (Number.isNaN(cell)) return Number.NaN;
  }
  return best;
};

/** Of the first NaN, else of the first greatest cell. */
const maxPosition: RangeFold = (data, from, count) => {
  let best = from;
  for (let i = from; i < from + count; i++) {
    const cell = data[i]!;
    if (cell > data[best]!) best = i;
    else if (Number.isNaN(cell)) return i - from;
  }
  return best - from;
};

const minPosition: RangeFold = (data, from, count) => {
  let best = from;
  for (let i = from; i < from + count; i++) {
    const cell = data[i]!;
    if (cell < data[best]!) best = i;
    else if (Number.isNaN(cell)) return i - from;
  }
  return best - from;
};

/** Four rows a turn: each total is read and written once for them, which takes half the time. */
const sumColumns: ColumnFold = (totals, data, rows, cols) => {
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    let at = i * cols;
    for (let j = 0; j < cols; j++, at++) {
      const first = data[at]! + data[at + cols]!;
      totals[j]! += first + (data[at + 2 * cols]! + data[at + 3 * cols]!);
    }
  }
  for (let at = i * cols; at < rows * cols; at++) totals[at % cols]! += data[at]!;
};

/** Rows whose lines of the cache stay near while four columns at a time go over them. */
const NEAR_ROWS = 64;

/** Four columns at a time, whose totals stay in registers: a third of the time. */
const sumSqColumns: ColumnFold = (totals, data, rows, cols) => {
  for (let from = 0; from < rows; from += NEAR_ROWS) {
    const to = Math.min(rows, from + NEAR_ROWS);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      let a = totals[j]!;
      let b = totals[j + 1]!;
      let c = totals[j + 2]!;
      let d = totals[j + 3]!;
      for (let i = from, at = from * cols + j; i < to; i++, at += cols) {
        a += data[at]! * data[at]!;
        b += data[at + 1]! * data[at + 1]!;
        c += data[at + 2]! * data[at + 2]!;
        d += data[at + 3]! * data[at + 3]!;
      }
      totals[j] = a;
      totals[j + 1] = b;
      totals[j + 2] = c;
      totals[j + 3] = d;
    }
    for (; j < cols; j++) {
      for (let i = from, at = from * cols + j; i < to; i++, at += cols) {
        totals[j]! += data[at]! * data[at]!;
      }
    }
  }
};

/** What lanes have too, of the same bits. */
export const scriptFolds: Readonly<Record<LaneFold, ColumnFold>> = {
  sums: sumColumns,
  squares: sumSqColumns,
};

const minColumns: ColumnFold = (totals, data, rows, cols) => {
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++, at++) totals[j] = Math.min(totals[j]!, data[at]!);
  }
};

const maxColumns: ColumnFold = (totals, data, rows, cols) => {
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++, at++) totals[j] = Math.max(totals[j]!, data[at]!);
  }
};

function fullKernel(op: OpDef, fold: RangeFold): Kernel<Cells> {
  return {
    op,
    reducer: ({ out }) => {
      let total: Float64Matrix | undefined;
      return {
        add: ([x]) => {
          const part = dense(1, 1, Float64Array.of(fold(x!.data, 0, x!.data.length)));
          total = total === undefined ? part : op.combine!(total, part, {});
        },
        result: () => converted(total!, out.dtype),
      };
    },
  };
}

function rowKernel(op: OpDef, fold: RangeFold): Kernel<Cells> {
  return {
    op,
    run: ({ inputs: [x], out }, context) => {
      const { rows, cols, data } = x!;
      const cells = context.allocate(out.rows, out.dtype);
      for (let i = 0; i < rows; i++) cells[i] = fold(data, i * cols, cols);
      return dense(rows, 1, cells);
    },
  };
}

function columnKernel(op: OpDef, own: ColumnFold | LaneFold, start: number): Kernel<Cells> {
  const onLanes = typeof own === 'string' ? own : undefined;
  const fold = typeof own === 'string' ? scriptFolds[own] : own;
  return {
    op,
    reducer: ({ out }): Reducer<Cells> => {
      let total: Float64Matrix | undefined;
      return {
        add: ([x]) => {
          // A fresh row a block keeps partial sums short, which is also better for accuracy.
          const part = dense(1, out.cols, new Float64Array(out.cols).fill(start));
          if (onLanes && fitsFolds(x!.rows, x!.cols)) foldColumns(onLanes, part.data, x!.data);
          else fold(part.data, x!.data, x!.rows, x!.cols);
          total = total === undefined ? part : op.combine!(total, part, {});
        },
        result: () => converted(total!, out.dtype),
      };
    },
  };
}

export const aggregateKernels: readonly Kernel<Cells>[] = [
  fullKernel(sum, sumRange),
  fullKernel(sumSq, sumSqRange),
  fullKernel(min, minRange),
  fullKernel(max, maxRange),
  rowKernel(rowSums, sumRange),
  rowKernel(rowSumSqs, sumSqRange),
  rowKernel(rowMins, minRange),
  rowKernel(rowMaxs, maxRange),
  columnKernel(colSums, 'sums', 0),
  columnKernel(colSumSqs, 'squares', 0),
  columnKernel(colMins, minColumns, Number.POSITIVE_INFINITY),
  columnKernel(colMaxs, maxColumns, Number.NEGATIVE_INFINITY),
  rowKernel(rowIndexMax, maxPosition),
  rowKernel(rowIndexMin, minPosition),
];
