/**
 * What the product operators share: the naive triple loop that is their oracle.
 */
import type { Meta } from '../ir/expr.js';
import { dense, type Float64Matrix } from '../ir/value.js';

/** op(A) op(B), op being the transpose where asked. */
export function multiply(
  a: Float64Matrix,
  b: Float64Matrix,
  transposeA = false,
  transposeB = false,
): Float64Matrix {
  const rows = transposeA ? a.cols : a.rows;
  const inner = transposeA ? a.rows : a.cols;
  const cols = transposeB ? b.rows : b.cols;
  const data = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < inner; k++) {
      const left = a.data[transposeA ? k * a.cols + i : i * a.cols + k]!;
      for (let j = 0; j < cols; j++) {
        data[i * cols + j]! += left * b.data[transposeB ? j * b.cols + k : k * b.cols + j]!;
      }
    }
  }
  return dense(rows, cols, data);
}

/** Reproducible cells for conformance cases; the square in the sine gives the matrix full rank. */
export function sample(rows: number, cols: number, step = 1): Float64Matrix {
  return dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(1 + (i + step) * (i + step))),
  );
}

/** Operations of a dense product in the time of one with a cell of sparse rows. */
const SPARSE_COST = 25;

/** Cells of a dense matrix that take a product as long as these sparse ones; more where dense. */
export function sparseWork({ rows, cols, nnz }: Meta): number {
  return SPARSE_COST * (nnz ?? rows * cols);
}
