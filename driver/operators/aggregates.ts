/** Operators that fold all cells, rows or columns of a matrix. They share `aggregate.ts`. */
import type { OpDef } from '../ir/op-def.js';
import {
  type ColumnFold,
  colAggregate,
  fullAggregate,
  maxFold,
  minFold,
  type OfRuns,
  rowAggregate,
  rowIndexAggregate,
  runAggregate,
  sumFold,
  sumSqFold,
} from './aggregate.js';

function ofRuns(fold: ColumnFold): OfRuns {
  return { fold, op: () => foldCols };
}

/** Sum of all cells, 1x1. */
export const sum = fullAggregate('sum', sumFold, () => ({
  cols: colSums,
  rows: rowSums,
  ofResults: rowSums,
}));

/** Sum of the cells of each row, rows x 1. */
export const rowSums = rowAggregate('rowSums', sumFold, ofRuns('sum'));

/** Sum of the cells of each column, 1 x cols. */
export const colSums = colAggregate('colSums', sumFold);

/** Sum of squares of all cells, 1x1. */
export const sumSq = fullAggregate('sumSq', sumSqFold, () => ({
  cols: colSumSqs,
  rows: rowSumSqs,
  ofResults: rowSums,
}));

/** Sum of squares of the cells of each row, rows x 1. */
export const rowSumSqs = rowAggregate('rowSumSqs', sumSqFold, ofRuns('sumSq'));

/** Sum of squares of the cells of each column, 1 x cols. */
export const colSumSqs = colAggregate('colSumSqs', sumSqFold);

/** Least of all cells, 1x1; NaN if any of them is NaN. */
export const min = fullAggregate('min', minFold, () => ({
  cols: colMins,
  rows: rowMins,
  ofResults: rowMins,
}));

/** Least of the cells of each row, rows x 1; NaN if any of them is NaN. */
export const rowMins = rowAggregate('rowMins', minFold, ofRuns('min'));

/** Least of the cells of each column, 1 x cols; NaN if any of them is NaN. */
export const colMins = colAggregate('colMins', minFold);

/** Greatest of all cells, 1x1; NaN if any of them is NaN. */
export const max = fullAggregate('max', maxFold, () => ({
  cols: colMaxs,
  rows: rowMaxs,
  ofResults: rowMaxs,
}));

/** Greatest of the cells of each row, rows x 1; NaN if any of them is NaN. */
export const rowMaxs = rowAggregate('rowMaxs', maxFold, ofRuns('max'));

/** Greatest of the cells of each column, 1 x cols; NaN if any of them is NaN. */
export const colMaxs = colAggregate('colMaxs', maxFold);

/** Zero-based column of the first greatest cell of each row, rows x 1; of the first NaN if any. */
export const rowIndexMax = rowIndexAggregate(
  'rowIndexMax',
  (cell, best) => cell > best,
  ofRuns('indexMax'),
);

/** Zero-based column of the first least cell of each row, rows x 1; of the first NaN if any. */
export const rowIndexMin = rowIndexAggregate(
  'rowIndexMin',
  (cell, best) => cell < best,
  ofRuns('indexMin'),
);

/** As the row aggregates, of each run of columns of a row: of many models side by side. */
export const foldCols: OpDef = runAggregate('foldCols', () => ({
  sum: rowSums,
  sumSq: rowSumSqs,
  min: rowMins,
  max: rowMaxs,
  indexMax: rowIndexMax,
  indexMin: rowIndexMin,
}));
