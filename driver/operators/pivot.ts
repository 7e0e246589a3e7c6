/**
 * When a matrix counts as singular, for every backend alike. A pivot is too small when it is no
 * larger than what rounding alone leaves: n times the distance from 1 to the next number of the
 * operands' dtype (2^-52, or 2^-23 of float32) times the scale of its column. Library
 * factorisations report exact zeros only, so kernels check the pivots of their factors against
 * these limits.
 */
import { SingularError } from '../errors.js';
import type { DType } from '../ir/dtype.js';

/** Pivot limit in an n x n system for a column of largest |cell| `scale` (Cholesky: diagonal). */
export function pivotLimit(n: number, scale: number, dtype: DType = 'float64'): number {
  return n * (dtype === 'float32' ? 2 ** -23 : Number.EPSILON) * scale;
}

/**
 * Whether a pivot says "singular": written so that NaN counts.
 * @param pivot LU: the absolute pivot. Cholesky: the diagonal cell before its root, L[j,j]^2.
 * @param scale LU: largest absolute cell of column j of A. Cholesky: A[j,j].
 */
export function isSingularPivot(pivot: number, n: number, scale: number, dtype?: DType): boolean {
  return !(pivot > pivotLimit(n, scale, dtype));
}

/** The error for a system without a unique solution, naming the pivot (zero-based). */
export function singularError(op: string, row: number, pivot: number): SingularError {
  return new SingularError(
    `${op}: expected a matrix of full rank, got pivot ${pivot} at row ${row}; ${remedy(pivot)}`,
    { op, row, pivot },
  );
}

/** As `singularError`, for factorisations that need positive definiteness. */
export function notPositiveError(op: string, row: number, pivot: number): SingularError {
  return new SingularError(
    `${op}: expected a positive definite matrix, got pivot ${pivot} at row ${row}; ${remedy(pivot)}`,
    { op, row, pivot },
  );
}

function remedy(pivot: number): string {
  return Number.isFinite(pivot)
    ? 'drop dependent or constant columns, or add a penalty'
    : 'sums of products are beyond the range of double precision; scale the columns';
}
