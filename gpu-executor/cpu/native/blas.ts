/**
 * The dense routines kernels are written against, over either a native library or plain JavaScript.
 * Matrices are row-major, of one dtype a call; a `subarray` is the start, the leading dimension
 * cells from row to row. Invariant: both implementations read and write the same cells, so kernels
 * and their tests know no difference.
 */
import type { Cells } from '../../../driver/ir/value.js';

/** C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C. With beta = 0, C is written and not read. */
export type GemmArgs = readonly [
  transA: boolean,
  transB: boolean,
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: Cells,
  lda: number,
  b: Cells,
  ldb: number,
  beta: number,
  c: Cells,
  ldc: number,
];

/**
 * Upper triangle of C[n,n] = A'A + beta C, A being k x n, or A A' of an A of n x k that holds its
 * columns as rows. Cells below it are not touched.
 */
export type SyrkArgs = readonly [
  n: number,
  k: number,
  a: Cells,
  lda: number,
  beta: number,
  c: Cells,
  ldc: number,
  byColumns?: boolean,
];

/** y = alpha op(A) x + beta y, A being m x n; `incy` cells from one element of y to the next. */
export type GemvArgs = readonly [
  trans: boolean,
  m: number,
  n: number,
  alpha: number,
  a: Cells,
  lda: number,
  x: Cells,
  beta: number,
  y: Cells,
  incy: number,
];

/** L of A = L L' in place, in the lower triangle of A[n,n]; the upper one is not read. */
export type CholeskyArgs = readonly [n: number, a: Cells];

/**
 * X of A X = B. A[n,n] is overwritten by its factors; B is overwritten by X. B is column-major
 * (each right-hand side is contiguous), and so is A for `solveGeneral`; `solveSpd` reads the lower
 * triangle of a row-major A.
 */
export type SolveArgs = readonly [n: number, sides: number, a: Cells, b: Cells];

/** Eigenvectors of a symmetric A[n,n] in place, as rows; only the lower triangle is read. */
export type EigenArgs = readonly [n: number, a: Float64Array];

/**
 * Synchronous calls use one thread: they are for small work. Asynchronous ones run on the thread
 * pool beside each other and the event loop; arguments must stay untouched until the promise
 * resolves. Factorisations return LAPACK's `info`: 0, or 1 + the index of the first pivot that is
 * zero or not positive. The diagonal of the factors is left in A for finer checks.
 */
export interface Blas {
  readonly kind: 'native' | 'javascript';
  /** For `doctor` and messages. */
  readonly description: string;
  /** Asynchronous calls worth keeping in flight. */
  readonly lanes: number;
  /** Where cells lie in this process, and memory there: for threads that share it. */
  readonly addressOf?: (cells: ArrayBufferView) => bigint;
  readonly viewOf?: (address: bigint, bytes: number) => ArrayBuffer;
  gemm(...args: GemmArgs): void;
  gemmAsync(...args: GemmArgs): Promise<void>;
  /** Products of one dtype that read nothing another writes, on several threads all the same. */
  gemms(calls: readonly GemmArgs[]): void;
  gemmsAsync(calls: readonly GemmArgs[]): Promise<void>;
  syrk(...args: SyrkArgs): void;
  syrkAsync(...args: SyrkArgs): Promise<void>;
  gemv(...args: GemvArgs): void;
  gemvAsync(...args: GemvArgs): Promise<void>;
  cholesky(...args: CholeskyArgs): number;
  choleskyAsync(...args: CholeskyArgs): Promise<number>;
  solveSpd(...args: SolveArgs): number;
  solveSpdAsync(...args: SolveArgs): Promise<number>;
  /** LU with partial pivoting. */
  solveGeneral(...args: SolveArgs): number;
  solveGeneralAsync(...args: SolveArgs): Promise<number>;
  /** @returns eigenvalues in the order of the vectors; NaN where there are none */
  eigen(...args: EigenArgs): Float64Array;
  eigenAsync(...args: EigenArgs): Promise<Float64Array>;
}

/**
 * Calls `work` for 0 to count - 1, one more at a time than the thread pool has lanes: it prepares
 * the next.
 */
export async function eachOnPool(
  count: number,
  lanes: number,
  work: (k: number) => void | Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: lanes + 1 }, lane));
}

/** The routines a reducer runs by blocks in either mode; a synchronous run sees no promise. */
export interface Routines {
  readonly gemm: (...args: GemmArgs) => void | Promise<void>;
  readonly syrk: (...args: SyrkArgs) => void | Promise<void>;
  readonly gemv: (...args: GemvArgs) => void | Promise<void>;
}

export function routinesOf(blas: Blas, parallel: boolean): Routines {
  return parallel
    ? {
        gemm: (...args) => blas.gemmAsync(...args),
        syrk: (...args) => blas.syrkAsync(...args),
        gemv: (...args) => blas.gemvAsync(...args),
      }
    : {
        gemm: (...args) => blas.gemm(...args),
        syrk: (...args) => blas.syrk(...args),
        gemv: (...args) => blas.gemv(...args),
      };
}
