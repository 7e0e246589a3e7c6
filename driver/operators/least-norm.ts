/**
 * The X of least norm among those that make |A %*% X - B| least, for a symmetric A without negative
 * eigenvalues: what `solve` gives where A has full rank, and its pseudo-inverse times B where not.
 * attrs: tolerance; an eigenvalue of at most tolerance times the largest counts as 0.
 * Source: Golub and Van Loan, Matrix Computations, 5.5 (least norm) and 8.5 (Jacobi's method).
 */
import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { sampleSpd } from './linear-systems.js';
import { singularError } from './pivot.js';
import { multiply, sample } from './product.js';
import { shapeError } from './shape-check.js';

/** Eigenvalues and, as rows, their eigenvectors. */
export interface Eigensystem {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

export const leastNorm = defineOp({
  name: 'leastNorm',
  arity: 2,
  work: 'factorise',
  infer: (inputs) => {
    const [a, b] = inputs;
    if (a!.rows !== a!.cols || b!.rows !== a!.rows) {
      throw shapeError('leastNorm', 'A n x n, symmetric, and B with n rows', inputs);
    }
    return { rows: b!.rows, cols: b!.cols };
  },
  flops: ([a, b]) => 9 * a!.rows ** 3 + 4 * a!.rows ** 2 * b!.cols,
  reference: ([a, b], attrs) =>
    leastNormSolution(jacobi(a!.rows, a!.data.slice()), b!, attrs.tolerance as number),
  cases: [
    { name: 'full rank', inputs: [sampleSpd(6), sample(6, 1)], attrs: { tolerance: 1e-12 } },
    { name: 'rank 2 of 5, two sides', ...singularCase(2, 5), attrs: { tolerance: 1e-12 } },
    { name: 'rank 4 of 5', ...singularCase(4, 5), attrs: { tolerance: 1e-12 } },
    {
      name: 'nothing at all',
      inputs: [dense(3, 3, new Float64Array(9)), sample(3, 1)],
      attrs: { tolerance: 1e-12 },
    },
    { name: '1x1', inputs: [sampleSpd(1), sample(1, 2)], attrs: { tolerance: 1e-12 } },
  ].map((one) => ({ ...one, tolerance: 1e-9 })),
});

/**
 * Which eigenvalues count.
 * @throws SingularError when they are no numbers
 */
export function isNonzero({ values }: Eigensystem, tolerance: number): boolean[] {
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  if (!Number.isFinite(largest)) throw singularError('leastNorm', 0, largest);
  return Array.from(values, (value) => value > tolerance * largest);
}

/** V diag(1/values) V' B over the eigenvalues that count. */
export function leastNormSolution(
  system: Eigensystem,
  b: Float64Matrix,
  tolerance: number,
): Float64Matrix {
  const n = b.rows;
  const vectors = dense(n, n, system.vectors);
  const along = multiply(vectors, b);
  const counts = isNonzero(system, tolerance);
  for (let i = 0; i < n; i++) {
    const factor = counts[i] ? 1 / system.values[i]! : 0;
    for (let c = 0; c < b.cols; c++) along.data[i * b.cols + c]! *= factor;
  }
  return multiply(vectors, along, true);
}

/** The eigensystem of a symmetric matrix by cyclic rotations. @param a n x n; becomes diagonal */
export function jacobi(n: number, a: Float64Array): Eigensystem {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * (n + 1)] = 1;
  const norm = Math.sqrt(a.reduce((sum, cell) => sum + cell * cell, 0));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        off = Math.max(off, Math.abs(a[p * n + q]!));
        if (a[p * n + q] !== 0) rotate(n, a, vectors, p, q);
      }
    }
    if (off <= Number.EPSILON * norm) break;
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * (n + 1)]!), vectors };
}

/** Turns rows and columns p and q so that a[p, q] becomes 0. */
function rotate(n: number, a: Float64Array, vectors: Float64Array, p: number, q: number): void {
  const theta = (a[q * (n + 1)]! - a[p * (n + 1)]!) / (2 * a[p * n + q]!);
  const tangent = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(1, theta));
  const cosine = 1 / Math.hypot(1, tangent);
  const sine = tangent * cosine;
  const turn = (cells: Float64Array, i: number, j: number): void => {
    const [left, right] = [cells[i]!, cells[j]!];
    cells[i] = cosine * left - sine * right;
    cells[j] = sine * left + cosine * right;
  };
  for (let k = 0; k < n; k++) turn(a, k * n + p, k * n + q);
  for (let k = 0; k < n; k++) {
    turn(a, p * n + k, q * n + k);
    turn(vectors, p * n + k, q * n + k);
  }
}

function singularCase(rank: number, n: number): { inputs: Float64Matrix[] } {
  const rows = sample(rank, n, 2);
  const a = multiply(rows, rows, true);
  return { inputs: [a, multiply(a, sample(n, 2))] };
}
