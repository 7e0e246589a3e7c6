/**
 * Products with coded rows: their numbers by BLAS, and for each 1 of a row one row of the other
 * operand is added, whatever the width. Invariant: cells are those of the dense product up to
 * rounding, also where 0 meets NaN or an infinity, which makes NaN.
 */
import { areFinite } from '../../../driver/ir/csr.js';
import type { Cells, DenseMatrix } from '../../../driver/ir/value.js';
import type { Routines } from '../native/blas.js';
import { gatherOnes, scatterOnes } from './coded-lanes.js';
import type { CodedRows } from './coded-rows.js';

/** Where the columns of W that a row meets begin, by row; 0 for all rows where there are none. */
type Offsets = Int32Array | undefined;

/** out (rows x n) = X W. @shape W: [X.cols, n] */
export function multiplyCoded(
  X: CodedRows,
  W: DenseMatrix,
  out: Cells,
  { gemm }: Pick<Routines, 'gemm'>,
): void {
  const n = W.cols;
  const s = X.numbers.length;
  if (s === 0) out.fill(0, 0, X.rows * n);
  else {
    const own = new Float64Array(s * n);
    for (const [a, { column }] of X.numbers.entries()) {
      own.set(W.data.subarray(column * n, (column + 1) * n), a * n);
    }
    void gemm(false, false, X.rows, n, s, 1, numbersOf(X, false), s, own, n, 0, out, n);
  }
  addOnes(X, W, n, undefined, out);
  spoilRows(X, W, n, undefined, out);
}

/** out (rows x n) += X W with the columns of W from `offsets[i]` on for row i; -1: none. */
export function addCodedByRow(
  X: CodedRows,
  W: DenseMatrix,
  n: number,
  offsets: Int32Array,
  out: Cells,
): void {
  const { data, cols } = W;
  for (const { column, cells } of X.numbers) {
    for (let i = 0; i < X.rows; i++) {
      if (offsets[i]! < 0) continue;
      const cell = cells[i]!;
      const from = column * cols + offsets[i]!;
      for (let j = 0, to = i * n; j < n; j++) out[to + j]! += cell * data[from + j]!;
    }
  }
  addOnes(X, W, n, offsets, out);
  spoilRows(X, W, n, offsets, out);
}

/** sums (X.cols x n) += t(X) R over rows [start, start + rows) of X and R. */
export function addTransposedCoded(
  all: CodedRows,
  R: DenseMatrix,
  start: number,
  rows: number,
  sums: Cells,
  { gemm }: Pick<Routines, 'gemm'>,
): void {
  const X = all.rowsView(start, start + rows);
  const n = R.cols;
  const r = R.data.subarray(start * n, (start + rows) * n);
  // A column of ones tells by the sums of r whether all of it is finite, at the speed of BLAS.
  const s = X.numbers.length + 1;
  const own = new Float64Array(s * n);
  void gemm(true, false, s, n, rows, 1, numbersOf(X, true), s, r, n, 0, own, n);
  for (const [a, { column }] of X.numbers.entries()) {
    for (let j = 0, to = column * n; j < n; j++) sums[to + j]! += own[a * n + j]!;
  }
  if (!scatterOnes(X, r, n, sums)) {
    const { codes, indicators } = X;
    for (let i = 0, at = 0; i < rows; i++) {
      for (let c = 0; c < indicators; c++, at++) {
        if (codes[at]! < 0) continue;
        addCells(sums, codes[at]! * n, r, i * n, n);
      }
    }
  }
  if (!areFinite(own.subarray((s - 1) * n))) spoilSums(X, r, n, sums);
}

/** The numbers of the rows, row by row. @param withOne a 1 follows those of each row */
function numbersOf({ rows, numbers }: CodedRows, withOne: boolean): Float64Array {
  const s = numbers.length + (withOne ? 1 : 0);
  const out = new Float64Array(rows * s);
  if (withOne) out.fill(1);
  for (const [a, { cells }] of numbers.entries()) {
    for (let i = 0, to = a; i < rows; i++, to += s) out[to] = cells[i]!;
  }
  return out;
}

function addOnes(X: CodedRows, W: DenseMatrix, n: number, offsets: Offsets, out: Cells): void {
  if (gatherOnes(X, W, n, offsets, out)) return;
  const { codes, indicators, rows } = X;
  const { data, cols } = W;
  for (let i = 0, at = 0; i < rows; i++) {
    const offset = offsets === undefined ? 0 : offsets[i]!;
    const to = i * n;
    for (let c = 0; c < indicators; c++, at++) {
      if (codes[at]! < 0 || offset < 0) continue;
      addCells(out, to, data, codes[at]! * cols + offset, n);
    }
  }
}

/** By matrix, which is never changed: how many cells of each column are not finite; mostly none. */
const broken = new WeakMap<DenseMatrix, Int32Array | null>();

function brokenCells(W: DenseMatrix): Int32Array | null {
  let found = broken.get(W);
  if (found === undefined) {
    found = areFinite(W.data) ? null : new Int32Array(W.cols);
    if (found !== null) {
      for (let at = 0; at < W.data.length; at++) {
        if (!Number.isFinite(W.data[at])) found[at % W.cols]!++;
      }
    }
    broken.set(W, found);
  }
  return found;
}

/** NaN where a 0 of the row meets a cell of W that is not finite. */
function spoilRows(X: CodedRows, W: DenseMatrix, n: number, offsets: Offsets, out: Cells): void {
  const counts = brokenCells(W);
  if (counts === null) return;
  const isBroken = (column: number, j: number): number =>
    Number.isFinite(W.data[column * W.cols + j]) ? 0 : 1;
  for (let i = 0; i < X.rows; i++) {
    const offset = offsets === undefined ? 0 : offsets[i]!;
    if (offset < 0) continue;
    for (let j = offset; j < offset + n; j++) {
      let left = counts[j]!;
      if (left === 0) continue;
      for (const { column } of X.numbers) left -= isBroken(column, j);
      for (let c = 0; c < X.indicators; c++) {
        const code = X.codes[i * X.indicators + c]!;
        if (code >= 0) left -= isBroken(code, j);
      }
      if (left > 0) out[i * n + j - offset] = Number.NaN;
    }
  }
}

/** NaN where a 0 of a column of X meets a cell of R that is not finite. */
function spoilSums(X: CodedRows, r: Cells, n: number, sums: Cells): void {
  const numbers = X.numbers.map(({ column }) => column);
  for (let at = 0; at < r.length; at++) {
    if (Number.isFinite(r[at])) continue;
    const [i, j] = [Math.floor(at / n), at % n];
    const met = new Set([
      ...numbers,
      ...X.codes.subarray(i * X.indicators, (i + 1) * X.indicators),
    ]);
    for (let column = 0; column < X.cols; column++) {
      if (!met.has(column)) sums[column * n + j] = Number.NaN;
    }
  }
}

/** Four cells a turn, which takes half the time. */
function addCells(to: Cells, at: number, from: Cells, first: number, count: number): void {
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const [t, f] = [at + j, first + j];
    const a = to[t]! + from[f]!;
    const b = to[t + 1]! + from[f + 1]!;
    const c = to[t + 2]! + from[f + 2]!;
    const d = to[t + 3]! + from[f + 3]!;
    to[t] = a;
    to[t + 1] = b;
    to[t + 2] = c;
    to[t + 3] = d;
  }
  for (; j < count; j++) to[at + j]! += from[first + j]!;
}
