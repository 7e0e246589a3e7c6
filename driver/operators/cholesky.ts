/**
 * The lower triangular L with L %*% t(L) = A, for a symmetric positive definite A, of which only
 * the lower triangle is read. @throws SingularError naming the first pivot that is not positive
 * (see `pivot.ts`)
 */

import type { DType } from '../ir/dtype.js';
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { isSingularPivot, notPositiveError } from './pivot.js';
import { multiply, sample } from './product.js';
import { requireSquare } from './shape-check.js';

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

const withUpper = (a: Float64Matrix, value: number): Float64Matrix =>
  dense(
    a.rows,
    a.cols,
    a.data.map((cell, at) => (at % a.cols > Math.floor(at / a.cols) ? value : cell)),
  );

export const cholesky = defineOp({
  name: 'cholesky',
  arity: 1,
  work: 'factorise',
  infer: (inputs) => {
    requireSquare('cholesky', inputs);
    return { rows: inputs[0]!.rows, cols: inputs[0]!.cols };
  },
  flops: (inputs) => inputs[0]!.rows ** 3 / 3,
  reference: ([a], _attrs, { dtype }) => choleskyFactor('cholesky', a!, dtype),
  cases: [
    { name: 'positive definite', inputs: [sampleSpd(6)] },
    { name: 'upper triangle is not read', inputs: [withUpper(sampleSpd(5), 99)] },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(4))] },
    { name: 'scales far apart', inputs: [dense(2, 2, Float64Array.of(1e-12, 0, 0, 1e12))] },
  ],
});
