/**
 * Factors and solutions in plain TypeScript, which `cholesky`, `solve` and their forms for stacks of
 * models share as their oracle.
 */
import { noAttrs } from '../ir/attrs.js';
import type { DType } from '../ir/dtype.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { addDiag } from './add-diag.js';
import { isSingularPivot, notPositiveError, singularError } from './pivot.js';
import { multiply, sample } from './product.js';

/** X of (A + diag(d)) X = B; d optional, as `solve` has them. @throws SingularError */
export function solveSystem(
  [a, b, d]: readonly Float64Matrix[],
  assume: unknown,
  dtype?: DType,
): Float64Matrix {
  const system = d === undefined ? a! : addDiag.reference([a!, d], noAttrs, a!);
  return assume === 'spd' ? solveSpd(system, b!, dtype) : solveGeneral(system, b!, dtype);
}

/** Row-oriented Cholesky, Golub and Van Loan, Matrix Computations, 4.2. */
export function choleskyFactor(op: string, a: Float64Matrix, dtype?: DType): Float64Matrix {
  const n = a.rows;
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = a.data[i * n + j]!;
      for (let k = 0; k < j; k++) rest -= l[i * n + k]! * l[j * n + k]!;
      if (i === j) {
        if (isSingularPivot(rest, n, a.data[i * n + i]!, dtype))
          throw notPositiveError(op, i, rest);
        l[i * n + i] = Math.sqrt(rest);
      } else {
        l[i * n + j] = rest / l[j * n + j]!;
      }
    }
  }
  return dense(n, n, l);
}

/** t(M) %*% M + ridge * I of reproducible cells: symmetric positive definite. */
export function sampleSpd(n: number, ridge = 1): Float64Matrix {
  const m = sample(n + 3, n, 3);
  const data = Float64Array.from(multiply(m, m, true).data);
  for (let i = 0; i < n; i++) data[i * n + i]! += ridge;
  return dense(n, n, data);
}

function solveSpd(a: Float64Matrix, b: Float64Matrix, dtype?: DType): Float64Matrix {
  const n = a.rows;
  const { cols } = b;
  const l = choleskyFactor('solve', a, dtype).data;
  const x = b.data.slice();
  for (let c = 0; c < cols; c++) {
    for (let i = 0; i < n; i++) {
      let rest = x[i * cols + c]!;
      for (let k = 0; k < i; k++) rest -= l[i * n + k]! * x[k * cols + c]!;
      x[i * cols + c] = rest / l[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let rest = x[i * cols + c]!;
      for (let k = i + 1; k < n; k++) rest -= l[k * n + i]! * x[k * cols + c]!;
      x[i * cols + c] = rest / l[i * n + i]!;
    }
  }
  return dense(n, cols, x);
}

/** Gaussian elimination with partial pivoting on [A B]; Golub and Van Loan, 3.4. */
function solveGeneral(a: Float64Matrix, b: Float64Matrix, dtype?: DType): Float64Matrix {
  const n = a.rows;
  const { cols } = b;
  const lu = a.data.slice();
  const x = b.data.slice();
  const scales = new Float64Array(n);
  for (let i = 0; i < n * n; i++) scales[i % n] = Math.max(scales[i % n]!, Math.abs(lu[i]!));
  for (let j = 0; j < n; j++) {
    let pivotRow = j;
    for (let i = j + 1; i < n; i++) {
      if (Math.abs(lu[i * n + j]!) > Math.abs(lu[pivotRow * n + j]!)) pivotRow = i;
    }
    const pivot = lu[pivotRow * n + j]!;
    if (isSingularPivot(Math.abs(pivot), n, scales[j]!, dtype)) {
      throw singularError('solve', j, pivot);
    }
    if (pivotRow !== j) {
      swapRows(lu, n, j, pivotRow);
      swapRows(x, cols, j, pivotRow);
    }
    for (let i = j + 1; i < n; i++) {
      const factor = lu[i * n + j]! / pivot;
      if (factor === 0) continue;
      for (let k = j + 1; k < n; k++) lu[i * n + k]! -= factor * lu[j * n + k]!;
      for (let c = 0; c < cols; c++) x[i * cols + c]! -= factor * x[j * cols + c]!;
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let c = 0; c < cols; c++) {
      let rest = x[i * cols + c]!;
      for (let k = i + 1; k < n; k++) rest -= lu[i * n + k]! * x[k * cols + c]!;
      x[i * cols + c] = rest / lu[i * n + i]!;
    }
  }
  return dense(n, cols, x);
}

function swapRows(cells: Float64Array, cols: number, a: number, b: number): void {
  const kept = cells.slice(a * cols, (a + 1) * cols);
  cells.copyWithin(a * cols, b * cols, (b + 1) * cols);
  cells.set(kept, b * cols);
}
