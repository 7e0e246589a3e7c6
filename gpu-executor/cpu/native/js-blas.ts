/**
 * `Blas` in plain JavaScript, for machines with no native library. Loops are ordered so that the
 * innermost one walks both operands contiguously, and take four rows at a time to save loads and
 * stores of C: about 2 to 3 GFLOP/s. The asynchronous forms run at once and let the event loop turn
 * before they resolve.
 */

import type { Cells } from '../../../driver/ir/value.js';
import { jacobi } from '../../../driver/operators/least-norm.js';
import type {
  Blas,
  CholeskyArgs,
  EigenArgs,
  GemmArgs,
  GemvArgs,
  SolveArgs,
  SyrkArgs,
} from './blas.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class JavaScriptRoutines implements Blas {
  readonly kind = 'javascript';
  readonly description: string;
  readonly lanes = 1;

  constructor(reason: string) {
    this.description = `JavaScript kernels, about 50 times slower than a native BLAS: ${reason}`;
  }

  gemm(...args: GemmArgs): void {
    const [transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc] = args;
    scaleRows(m, n, beta, c, ldc);
    if (transB) {
      if (transA) this.#doublyTransposed(args);
      else dotProducts(m, n, k, alpha, a, lda, b, ldb, c, ldc);
      return;
    }
    const stepP = transA ? lda : 1;
    const stepI = transA ? 1 : lda;
    for (let i = 0; i < m; i++) {
      addScaledRows(k, n, alpha, a, i * stepI, stepP, b, 0, ldb, c, i * ldc);
    }
  }

  gemms(calls: readonly GemmArgs[]): void {
    for (const args of calls) this.gemm(...args);
  }

  syrk(...[n, k, a, lda, beta, c, ldc, byColumns]: SyrkArgs): void {
    for (let i = 0; i < n; i++) {
      const start = i * ldc + i;
      if (beta === 0) c.fill(0, start, start + n - i);
      else if (beta !== 1) for (let j = 0; j < n - i; j++) c[start + j]! *= beta;
    }
    if (byColumns) {
      for (let i = 0; i < n; i++) {
        const rest = a.subarray(i * lda);
        dotProducts(1, n - i, k, 1, rest, lda, rest, lda, c.subarray(i * ldc + i), ldc);
      }
      return;
    }
    // Panels of rows stay in cache while all rows of C are updated from them.
    for (let first = 0; first < k; first += 256) {
      const rows = Math.min(256, k - first);
      for (let i = 0; i < n; i++) {
        const at = first * lda + i;
        addScaledRows(rows, n - i, 1, a, at, lda, a, at, lda, c, i * ldc + i);
      }
    }
  }

  gemv(...[transposed, m, n, alpha, a, lda, x, beta, y, incy]: GemvArgs): void {
    const length = transposed ? n : m;
    for (let i = 0; i < length; i++) y[i * incy] = beta === 0 ? 0 : y[i * incy]! * beta;
    for (let i = 0; i < m; i++) {
      const at = i * lda;
      if (transposed) {
        const factor = alpha * x[i]!;
        for (let j = 0; j < n; j++) y[j * incy]! += factor * a[at + j]!;
      } else {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += a[at + j]! * x[j]!;
        y[i * incy]! += alpha * sum;
      }
    }
  }

  cholesky(...[n, a]: CholeskyArgs): number {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let rest = a[i * n + j]!;
        for (let k = 0; k < j; k++) rest -= a[i * n + k]! * a[j * n + k]!;
        if (i !== j) a[i * n + j] = rest / a[j * n + j]!;
        else if (rest > 0) a[i * n + i] = Math.sqrt(rest);
        else return i + 1;
      }
    }
    return 0;
  }

  solveSpd(...[n, sides, a, b]: SolveArgs): number {
    const info = this.cholesky(n, a);
    if (info !== 0) return info;
    for (let side = 0; side < sides; side++) {
      const x = b.subarray(side * n, (side + 1) * n);
      for (let i = 0; i < n; i++) {
        let rest = x[i]!;
        for (let k = 0; k < i; k++) rest -= a[i * n + k]! * x[k]!;
        x[i] = rest / a[i * n + i]!;
      }
      for (let i = n - 1; i >= 0; i--) {
        const value = x[i]! / a[i * n + i]!;
        x[i] = value;
        for (let k = 0; k < i; k++) x[k]! -= a[i * n + k]! * value;
      }
    }
    return 0;
  }

  solveGeneral(...[n, sides, a, b]: SolveArgs): number {
    for (let j = 0; j < n; j++) {
      const column = j * n;
      let best = j;
      for (let i = j + 1; i < n; i++) {
        if (Math.abs(a[column + i]!) > Math.abs(a[column + best]!)) best = i;
      }
      const pivot = a[column + best]!;
      if (pivot === 0 || Number.isNaN(pivot)) return j + 1;
      if (best !== j) {
        swapCells(a, n, n, j, best);
        swapCells(b, n, sides, j, best);
      }
      for (let i = j + 1; i < n; i++) a[column + i]! /= pivot;
      for (let c = j + 1; c < n; c++) eliminate(n, j, a, column, a, c * n);
      for (let side = 0; side < sides; side++) eliminate(n, j, a, column, b, side * n);
    }
    for (let side = 0; side < sides; side++) {
      const x = b.subarray(side * n, (side + 1) * n);
      for (let j = n - 1; j >= 0; j--) {
        const value = x[j]! / a[j * n + j]!;
        x[j] = value;
        for (let i = 0; i < j; i++) x[i]! -= a[j * n + i]! * value;
      }
    }
    return 0;
  }

  eigen(...[n, a]: EigenArgs): Float64Array {
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) a[j * n + i] = a[i * n + j]!;
    const { values, vectors } = jacobi(n, a);
    a.set(vectors);
    return values;
  }

  async gemmAsync(...args: GemmArgs): Promise<void> {
    this.gemm(...args);
    await turn();
  }

  async gemmsAsync(calls: readonly GemmArgs[]): Promise<void> {
    for (const args of calls) await this.gemmAsync(...args);
  }

  async syrkAsync(...args: SyrkArgs): Promise<void> {
    this.syrk(...args);
    await turn();
  }

  async gemvAsync(...args: GemvArgs): Promise<void> {
    this.gemv(...args);
    await turn();
  }

  async choleskyAsync(...args: CholeskyArgs): Promise<number> {
    await turn();
    return this.cholesky(...args);
  }

  async solveSpdAsync(...args: SolveArgs): Promise<number> {
    await turn();
    return this.solveSpd(...args);
  }

  async solveGeneralAsync(...args: SolveArgs): Promise<number> {
    await turn();
    return this.solveGeneral(...args);
  }

  async eigenAsync(...args: EigenArgs): Promise<Float64Array> {
    await turn();
    return this.eigen(...args);
  }

  #doublyTransposed(args: GemmArgs): void {
    const [, , m, n, k, alpha, a, lda, b, ldb, , c, ldc] = args;
    const rows = new Float64Array(k * n);
    for (let j = 0; j < n; j++) for (let p = 0; p < k; p++) rows[p * n + j] = b[j * ldb + p]!;
    for (let i = 0; i < m; i++) {
      addScaledRows(k, n, alpha, a, i, lda, rows, 0, n, c, i * ldc);
    }
  }
}

function scaleRows(m: number, n: number, beta: number, c: Cells, ldc: number): void {
  if (beta === 1) return;
  for (let i = 0; i < m; i++) {
    if (beta === 0) c.fill(0, i * ldc, i * ldc + n);
    else for (let j = 0; j < n; j++) c[i * ldc + j]! *= beta;
  }
}

/** C[n] += sum over p of alpha * A[p] * B[p, n], the A[p] being `stepA` cells apart. */
function addScaledRows(
  count: number,
  n: number,
  alpha: number,
  a: Cells,
  startA: number,
  stepA: number,
  b: Cells,
  startB: number,
  ldb: number,
  c: Cells,
  startC: number,
): void {
  let p = 0;
  for (; p + 3 < count; p += 4) {
    const a0 = alpha * a[startA + p * stepA]!;
    const a1 = alpha * a[startA + (p + 1) * stepA]!;
    const a2 = alpha * a[startA + (p + 2) * stepA]!;
    const a3 = alpha * a[startA + (p + 3) * stepA]!;
    const b0 = startB + p * ldb;
    const b1 = b0 + ldb;
    const b2 = b1 + ldb;
    const b3 = b2 + ldb;
    for (let j = 0; j < n; j++) {
      c[startC + j]! += a0 * b[b0 + j]! + a1 * b[b1 + j]! + (a2 * b[b2 + j]! + a3 * b[b3 + j]!);
    }
  }
  for (; p < count; p++) {
    const factor = alpha * a[startA + p * stepA]!;
    const at = startB + p * ldb;
    for (let j = 0; j < n; j++) c[startC + j]! += factor * b[at + j]!;
  }
}

/** C[i,j] += alpha * row i of A . row j of B. */
function dotProducts(
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: Cells,
  lda: number,
  b: Cells,
  ldb: number,
  c: Cells,
  ldc: number,
): void {
  for (let i = 0; i < m; i++) {
    const at = i * lda;
    for (let j = 0; j < n; j++) {
      const bt = j * ldb;
      let even = 0;
      let odd = 0;
      let p = 0;
      for (; p + 1 < k; p += 2) {
        even += a[at + p]! * b[bt + p]!;
        odd += a[at + p + 1]! * b[bt + p + 1]!;
      }
      if (p < k) even += a[at + p]! * b[bt + p]!;
      c[i * ldc + j]! += alpha * (even + odd);
    }
  }
}

/** Exchanges cells i and k of each of `count` columns of n cells. */
function swapCells(a: Cells, n: number, count: number, i: number, k: number): void {
  for (let at = 0; at < count * n; at += n) {
    const kept = a[at + i]!;
    a[at + i] = a[at + k]!;
    a[at + k] = kept;
  }
}

/** Takes multiple `target[j]` of the factor column below its diagonal from the target column. */
function eliminate(
  n: number,
  j: number,
  factor: Cells,
  from: number,
  target: Cells,
  to: number,
): void {
  const multiple = target[to + j]!;
  if (multiple === 0) return;
  for (let i = j + 1; i < n; i++) target[to + i]! -= factor[from + i]! * multiple;
}
