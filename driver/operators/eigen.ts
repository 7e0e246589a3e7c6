/**
 * Eigenvalues and eigenvectors of a symmetric A (n x n), of which only the lower triangle is read.
 * output: n x (n+1): row j begins with the j-th greatest eigenvalue; column j + 1 is its vector, of
 * length 1, its component of the largest size positive (the first of equals). NaN throughout where
 * there are none. Source: Golub and Van Loan, Matrix Computations, 8.5 (Jacobi's method).
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { type Eigensystem, jacobi } from './least-norm.js';
import { sampleSpd } from './linear-systems.js';
import { sample } from './product.js';
import { requireSquare } from './shape-check.js';

export const eigen = defineOp({
  name: 'eigen',
  arity: 1,
  work: 'factorise',
  infer: (inputs) => {
    requireSquare('eigen', inputs);
    return { rows: inputs[0]!.rows, cols: inputs[0]!.rows + 1 };
  },
  flops: ([a]) => 9 * a!.rows ** 3,
  reference: ([a]) => {
    const cells = a!.data.slice();
    const n = a!.rows;
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) cells[j * n + i] = cells[i * n + j]!;
    return inOrder(jacobi(n, cells));
  },
  cases: [
    { name: 'positive definite', inputs: [sampleSpd(6)] },
    { name: 'of both signs', inputs: [symmetric(5)] },
    { name: 'upper triangle is not read', inputs: [dense(2, 2, Float64Array.of(2, 99, 1, 3))] },
    { name: 'diagonal', inputs: [dense(3, 3, Float64Array.of(1, 0, 0, 0, 5, 0, 0, 0, -2))] },
    { name: 'NaN', inputs: [dense(2, 2, Float64Array.of(1, NaN, NaN, 3))] },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(-4))] },
  ].map((one) => ({ ...one, tolerance: 1e-9 })),
});

/** The output from values in any order with vectors of any sign, a row each. */
export function inOrder({ values, vectors }: Eigensystem): Float64Matrix {
  const n = values.length;
  const out = new Float64Array(n * (n + 1));
  if (!values.every(Number.isFinite)) return dense(n, n + 1, out.fill(NaN));
  const order = Array.from(values, (_, j) => j).sort((a, b) => values[b]! - values[a]! || a - b);
  for (const [j, from] of order.entries()) {
    const vector = vectors.subarray(from * n, (from + 1) * n);
    const largest = vector.reduce((most, cell) => Math.max(most, Math.abs(cell)), 0);
    // Equal but for rounding counts as equal, so that the sign does not depend on it.
    const sign = Math.sign(vector.find((cell) => Math.abs(cell) > largest * (1 - 1e-9)) ?? 1);
    out[j * (n + 1)] = values[from]!;
    for (let i = 0; i < n; i++) out[i * (n + 1) + j + 1] = sign * vector[i]!;
  }
  return dense(n, n + 1, out);
}

function symmetric(n: number): Float64Matrix {
  const { data } = sample(n, n, 2);
  return dense(
    n,
    n,
    data.map((cell, at) => cell + data[(at % n) * n + Math.floor(at / n)]!),
  );
}
