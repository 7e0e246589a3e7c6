/**
 * Binds the BLAS and LAPACK routines of a native library, once. Everything here is the C or Fortran
 * interface with 32-bit integers (LP64): `cblas_*` row-major with leading dimensions in cells,
 * LAPACK's Fortran symbols column-major with every argument by reference. The Fortran interface is
 * used because OpenBLAS, Accelerate, MKL and the reference LAPACK all have it, and LAPACKE only
 * some. Native types never leave this folder.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { ConfigError } from '../../../driver/errors.js';
import type { BlasCandidate } from './find-blas.js';

/** A native function with its asynchronous form, which runs on libuv's thread pool. */
export interface NativeFunction<A extends readonly unknown[], R> {
  (...args: A): R;
  async(...args: [...A, (error: Error | null, result: R) => void]): void;
}

type Int = number;
type Cells = Float64Array;
type Ref<T> = readonly T[];

/** CBLAS and LAPACK enumerations. */
export const rowMajor = 101;
export const noTrans = 111;
export const trans = 112;
export const upper = 121;

export interface NativeBlas {
  readonly path: string;
  readonly origin: BlasCandidate['origin'];
  /** The library's own description, or its path. */
  readonly version: string;
  /** Undefined where the library has no such control; it then follows its own settings. */
  readonly setThreads: ((threads: Int) => void) | undefined;
  /** C[m,n] = alpha op(A) op(B) + beta C: order, transA, transB, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc. */
  readonly dgemm: NativeFunction<
    [Int, Int, Int, Int, Int, Int, number, Cells, Int, Cells, Int, number, Cells, Int],
    void
  >;
  /** Upper triangle of C[n,n] = alpha A'A + beta C: order, uplo, trans, n, k, alpha, A, lda, beta, C, ldc. */
  readonly dsyrk: NativeFunction<
    [Int, Int, Int, Int, Int, number, Cells, Int, number, Cells, Int],
    void
  >;
  /** y = alpha op(A) x + beta y: order, trans, m, n, alpha, A, lda, x, incx, beta, y, incy. */
  readonly dgemv: NativeFunction<
    [Int, Int, Int, Int, number, Cells, Int, Cells, Int, number, Cells, Int],
    void
  >;
  /** x'y: n, x, incx, y, incy. */
  readonly ddot: NativeFunction<[Int, Cells, Int, Cells, Int], number>;
  /** Cholesky factor in place, column-major: uplo, n, A, lda, info (out). */
  readonly dpotrf: NativeFunction<[string, Ref<Int>, Cells, Ref<Int>, Int32Array, number], void>;
  /** Solves from dpotrf's factor: uplo, n, nrhs, A, lda, B, ldb, info. */
  readonly dpotrs: NativeFunction<
    [string, Ref<Int>, Ref<Int>, Cells, Ref<Int>, Cells, Ref<Int>, Int32Array, number],
    void
  >;
  /** LU with partial pivoting in place, column-major: m, n, A, lda, ipiv, info. */
  readonly dgetrf: NativeFunction<
    [Ref<Int>, Ref<Int>, Cells, Ref<Int>, Int32Array, Int32Array],
    void
  >;
  /** Solves from dgetrf's factors: trans, n, nrhs, A, lda, ipiv, B, ldb, info. */
  readonly dgetrs: NativeFunction<
    [string, Ref<Int>, Ref<Int>, Cells, Ref<Int>, Int32Array, Cells, Ref<Int>, Int32Array, number],
    void
  >;
  /** Eigenvectors in place, by divide and conquer: jobz, uplo, n, A, lda, values, work, lwork, iwork, liwork, info. */
  readonly dsyevd: NativeFunction<
    [
      ...[string, string, Ref<Int>, Cells, Ref<Int>, Cells, Cells, Ref<Int>],
      ...[Int32Array, Ref<Int>, Int32Array, number, number],
    ],
    void
  >;
}

const ASYNC_STACK_BYTES = 1024 * 1024;
/** Asynchronous calls at once, all threads busy many times over; koffi keeps at most 32 stacks. */
export const MAX_IN_FLIGHT = 32;

const doubles = 'double *';
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

let koffiModule: typeof Koffi | undefined;

function loadKoffi(): typeof Koffi {
  if (koffiModule !== undefined) return koffiModule;
  // Required, not imported: on a machine koffi has no build for, the JavaScript kernels must still
  // load.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  try {
    // koffi gives asynchronous calls 128 KiB, which is near what OpenBLAS needs with one thread.
    // (With more threads its `dgetrf` needs over 4 MiB, and crashes; another reason to leave the
    // threads to us.) Resident stacks, one a call in flight, spare the mapping and unmapping of one
    // at every call.
    koffi.config({ async_stack_size: ASYNC_STACK_BYTES, resident_async_pools: MAX_IN_FLIGHT });
  } catch {
    // Another user of koffi in this process loaded a library first, after which its settings are
    // fixed: they do.
  }
  koffiModule = koffi;
  return koffi;
}

function bind(koffi: typeof Koffi, candidate: BlasCandidate): NativeBlas {
  const library = koffi.load(candidate.path);
  const lapack = candidate.lapackPath ? koffi.load(candidate.lapackPath) : library;
  const c = <F>(name: string, result: string, args: string[]): F =>
    library.func(name, result, args) as F;
  const fortran = <F>(name: string, args: string[]): F =>
    lapack.func(`${name}_`, 'void', args) as F;
  return {
    path: candidate.path,
    origin: candidate.origin,
    version: describe(library, candidate.path),
    setThreads: threadControl(library),
    dgemm: c('cblas_dgemm', 'void', [
      ...Array<string>(6).fill('int'),
      ...['double', doubles, 'int', doubles, 'int', 'double', doubles, 'int'],
    ]),
    dsyrk: c('cblas_dsyrk', 'void', [
      ...Array<string>(5).fill('int'),
      ...['double', doubles, 'int', 'double', doubles, 'int'],
    ]),
    dgemv: c('cblas_dgemv', 'void', [
      ...Array<string>(4).fill('int'),
      ...['double', doubles, 'int', doubles, 'int', 'double', doubles, 'int'],
    ]),
    ddot: c('cblas_ddot', 'double', ['int', doubles, 'int', doubles, 'int']),
    dpotrf: fortran('dpotrf', [text, byRef, doubles, byRef, ints, 'size_t']),
    dpotrs: fortran('dpotrs', [text, byRef, byRef, doubles, byRef, doubles, byRef, ints, 'size_t']),
    dgetrf: fortran('dgetrf', [byRef, byRef, doubles, byRef, ints, ints]),
    dgetrs: fortran('dgetrs', [
      ...[text, byRef, byRef, doubles, byRef, ints, doubles, byRef, ints, 'size_t'],
    ]),
    dsyevd: fortran('dsyevd', [
      ...[text, text, byRef, doubles, byRef, doubles, doubles, byRef],
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
