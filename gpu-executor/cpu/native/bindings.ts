/**
 * Binds the BLAS and LAPACK routines of a native library, once. Everything here is the C or Fortran
 * interface with 32-bit integers (LP64): `cblas_*` row-major with leading dimensions in cells,
 * LAPACK's Fortran symbols column-major with every argument by reference. The Fortran interface is
 * used because OpenBLAS, Accelerate, MKL and the reference LAPACK all have it, and LAPACKE only
 * some. Native types never leave this folder.
 */
import type * as Koffi from 'koffi';
import { ConfigError } from '../../../driver/errors.js';
import type { DType } from '../../../driver/ir/dtype.js';
import type { Cells } from '../../../driver/ir/value.js';
import { loadKoffi, type NativeFunction } from '../../koffi.js';
import type { BlasCandidate } from './find-blas.js';

type Int = number;
type Ref<T> = readonly T[];

/** CBLAS and LAPACK enumerations. */
export const rowMajor = 101;
export const noTrans = 111;
export const trans = 112;
export const upper = 121;

export interface NativeBlas {
  /** By dtype: the routines that begin with `d`, and those with `s`. */
  readonly routines: Readonly<Record<DType, NativePrecision>>;
  /** Eigenvectors in place: jobz, uplo, n, A, lda, values, work, lwork, iwork, liwork, info. */
  readonly dsyevd: NativeFunction<
    [
      ...[string, string, Ref<Int>, Cells, Ref<Int>, Cells, Cells, Ref<Int>],
      ...[Int32Array, Ref<Int>, Int32Array, number, number],
    ],
    void
  >;
  readonly addressOf: (cells: ArrayBufferView) => bigint;
  readonly viewOf: (address: bigint, bytes: number) => ArrayBuffer;
  readonly path: string;
  readonly origin: BlasCandidate['origin'];
  /** The library's own description, or its path. */
  readonly version: string;
  /** Undefined where the library has no such control; it then follows its own settings. */
  readonly setThreads: ((threads: Int) => void) | undefined;
}

/** The routines of one dtype. */
export interface NativePrecision {
  /**
   * C[m,n] = alpha op(A) op(B) + beta C:
   * order, transA, transB, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc.
   */
  readonly gemm: NativeFunction<
    [Int, Int, Int, Int, Int, Int, number, Cells, Int, Cells, Int, number, Cells, Int],
    void
  >;
  /** Upper C = alpha A'A (or A A') + beta C: order, uplo, trans, n, k, alpha, A, lda, beta, C, ldc. */
  readonly syrk: NativeFunction<
    [Int, Int, Int, Int, Int, number, Cells, Int, number, Cells, Int],
    void
  >;
  /** y = alpha op(A) x + beta y: order, trans, m, n, alpha, A, lda, x, incx, beta, y, incy. */
  readonly gemv: NativeFunction<
    [Int, Int, Int, Int, number, Cells, Int, Cells, Int, number, Cells, Int],
    void
  >;
  /** Cholesky factor in place, column-major: uplo, n, A, lda, info (out). */
  readonly potrf: NativeFunction<[string, Ref<Int>, Cells, Ref<Int>, Int32Array, number], void>;
  /** The inverse from potrf's factor, in its triangle: uplo, n, A, lda, info. */
  readonly potri: NativeFunction<[string, Ref<Int>, Cells, Ref<Int>, Int32Array, number], void>;
  /** Solves from potrf's factor: uplo, n, nrhs, A, lda, B, ldb, info. */
  readonly potrs: NativeFunction<
    [string, Ref<Int>, Ref<Int>, Cells, Ref<Int>, Cells, Ref<Int>, Int32Array, number],
    void
  >;
  /** LU with partial pivoting in place, column-major: m, n, A, lda, ipiv, info. */
  readonly getrf: NativeFunction<
    [Ref<Int>, Ref<Int>, Cells, Ref<Int>, Int32Array, Int32Array],
    void
  >;
  /** Solves from getrf's factors: trans, n, nrhs, A, lda, ipiv, B, ldb, info. */
  readonly getrs: NativeFunction<
    [string, Ref<Int>, Ref<Int>, Cells, Ref<Int>, Int32Array, Cells, Ref<Int>, Int32Array, number],
    void
  >;
}

const ints = 'int *';
// By reference; the trailing size_t is the hidden length gfortran's callees may read for each
// character argument.
const byRef = 'const int *';
const text = 'const char *';

/** @throws ConfigError when koffi, the library or one of its symbols can't be loaded */
export function bindBlas(candidate: BlasCandidate): NativeBlas {
  try {
    return bind(loadKoffi(), candidate);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      `blas: expected a library with CBLAS and LAPACK, got ${candidate.path}: ${reason}`,
      { key: 'REPRISE_BLAS', value: candidate.path },
      { cause },
    );
  }
}

function bind(koffi: typeof Koffi, candidate: BlasCandidate): NativeBlas {
  const library = koffi.load(candidate.path);
  const lapack = candidate.lapackPath ? koffi.load(candidate.lapackPath) : library;
  const c = <F>(name: string, result: string, args: string[]): F =>
    library.func(name, result, args) as F;
  const fortran = <F>(name: string, args: string[]): F =>
    lapack.func(`${name}_`, 'void', args) as F;
  const precision = (letter: string, real: string): NativePrecision => {
    const reals = `${real} *`;
    const cblas = <F>(name: string, args: string[]): F => c(`cblas_${letter}${name}`, 'void', args);
    const lapackOf = <F>(name: string, args: string[]): F => fortran(`${letter}${name}`, args);
    return {
      gemm: cblas('gemm', [
        ...Array<string>(6).fill('int'),
        ...[real, reals, 'int', reals, 'int', real, reals, 'int'],
      ]),
      syrk: cblas('syrk', [
        ...Array<string>(5).fill('int'),
        ...[real, reals, 'int', real, reals, 'int'],
      ]),
      gemv: cblas('gemv', [
        ...Array<string>(4).fill('int'),
        ...[real, reals, 'int', reals, 'int', real, reals, 'int'],
      ]),
      potrf: lapackOf('potrf', [text, byRef, reals, byRef, ints, 'size_t']),
      potri: lapackOf('potri', [text, byRef, reals, byRef, ints, 'size_t']),
      potrs: lapackOf('potrs', [text, byRef, byRef, reals, byRef, reals, byRef, ints, 'size_t']),
      getrf: lapackOf('getrf', [byRef, byRef, reals, byRef, ints, ints]),
      getrs: lapackOf('getrs', [
        ...[text, byRef, byRef, reals, byRef, ints, reals, byRef, ints, 'size_t'],
      ]),
    };
  };
  return {
    // Cells of a few bytes lie in the heap, and move, until their buffer is asked for.
    addressOf: (cells) => BigInt(koffi.address(cells.buffer)) + BigInt(cells.byteOffset),
    viewOf: (address, bytes) => koffi.view(address, bytes),
    path: candidate.path,
    origin: candidate.origin,
    version: describe(library, candidate.path),
    setThreads: threadControl(library),
    routines: { float64: precision('d', 'double'), float32: precision('s', 'float') },
    dsyevd: fortran('dsyevd', [
      ...[text, text, byRef, 'double *', byRef, 'double *', 'double *', byRef],
      ...[ints, byRef, ints, 'size_t', 'size_t'],
    ]),
  };
}

function describe(library: Koffi.LibraryHandle, path: string): string {
  try {
    return (library.func('const char *openblas_get_config(void)') as () => string)().trim();
  } catch {
    return path;
  }
}

function threadControl(library: Koffi.LibraryHandle): ((threads: Int) => void) | undefined {
  for (const name of ['openblas_set_num_threads', 'MKL_Set_Num_Threads']) {
    try {
      return library.func(name, 'void', ['int']) as (threads: Int) => void;
    } catch {
      // Not this library; Accelerate and the reference BLAS have no such control.
    }
  }
  return undefined;
}
