/**
 * cuBLAS and cuSOLVER called by themselves, for `device-products`: memory allocated once, their default
 * mode, one stream, nothing of ours between two calls. They run in the context that a device of ours
 * has made current.
 *
 * Source: NVIDIA's documentation of both; cublas_api.h and cusolverDn.h of CUDA 12.
 */
import { ExecutionError } from '../../driver/errors.js';
import type { DType } from '../../driver/ir/dtype.js';
import { cellsOf } from '../../driver/ir/value.js';
import { type CudaCalls, findCudaApi } from '../../gpu-executor/device/cuda/bindings.js';
import { solverSignatures } from '../../gpu-executor/device/cuda/cusolver.js';
import { type Bound, loadLibrary } from '../../gpu-executor/device/cuda/load-library.js';

/** Handle, operations, m, n, k, alpha, A and its leading dimension, B, beta, C; column-major. */
const gemm = [
  ...(['uint64', 'int', 'int', 'int', 'int', 'int', 'pointer'] as const),
  ...(['uint64', 'int', 'uint64', 'int', 'pointer', 'uint64', 'int'] as const),
] as const;
/** Handle, triangle, operation, n, k, alpha, A, beta, C. */
const syrk = [
  ...(['uint64', 'int', 'int', 'int', 'int', 'pointer'] as const),
  ...(['uint64', 'int', 'pointer', 'uint64', 'int'] as const),
] as const;

const signatures = {
  cublasCreate_v2: ['pointer'],
  cublasDestroy_v2: ['uint64'],
  cublasSetStream_v2: ['uint64', 'uint64'],
  cublasSgemm_v2: gemm,
  cublasDgemm_v2: gemm,
  cublasSsyrk_v2: syrk,
  cublasDsyrk_v2: syrk,
} as const;

/** Memory of the device. */
export interface RawCells {
  readonly address: bigint;
  readonly bytes: number;
}

const LOWER = 0;
const UPPER = 1;

export class RawCuBlas {
  readonly #cuda: CudaCalls;
  readonly #blas: Bound<typeof signatures>;
  readonly #handle: bigint;
  readonly #stream: bigint;
  readonly #held: bigint[] = [];
  #solver: ReturnType<typeof openSolver>;

  constructor(cuda: CudaCalls, blas: Bound<typeof signatures>) {
    this.#cuda = cuda;
    this.#blas = blas;
    this.#stream = made((into) => cuda.cuStreamCreate(into, 1));
    this.#handle = made((into) => blas.cublasCreate_v2(into));
    blas.cublasSetStream_v2(this.#handle, this.#stream);
  }

  allocate(bytes: number): RawCells {
    const address = made((into) => this.#cuda.cuMemAlloc_v2(into, bytes));
    this.#held.push(address);
    return { address, bytes };
  }

  upload(cells: ArrayBufferView): RawCells {
    const to = this.allocate(cells.byteLength);
    this.#cuda.cuMemcpyHtoDAsync_v2(to.address, cells, cells.byteLength, this.#stream);
    this.synchronise();
    return to;
  }

  /** The first `count` cells. */
  read({ address }: RawCells, dtype: DType, count: number): number[] {
    const cells = cellsOf(dtype, count);
    this.#cuda.cuMemcpyDtoHAsync_v2(cells, address, cells.byteLength, this.#stream);
    this.synchronise();
    return [...cells];
  }

  /** Row-major: [m, k] or, transposed, [k, m], times [k, n]; queued. */
  multiply(
    dtype: DType,
    [m, k, n]: readonly [number, number, number],
    [a, b, out]: readonly [RawCells, RawCells, RawCells],
    transposesA: boolean,
  ): void {
    const call = dtype === 'float32' ? 'cublasSgemm_v2' : 'cublasDgemm_v2';
    const [one, none] = numbers(dtype);
    this.#blas[call](
      ...([this.#handle, 0, transposesA ? 1 : 0, n, m, k, one] as const),
      ...([b.address, n, a.address, transposesA ? m : k, none, out.address, n] as const),
    );
  }

  /** Row-major: the upper triangle of t(X) %*% X of X [rows, cols]; queued. */
  gram(dtype: DType, rows: number, cols: number, x: RawCells, out: RawCells): void {
    const call = dtype === 'float32' ? 'cublasSsyrk_v2' : 'cublasDsyrk_v2';
    const [one, none] = numbers(dtype);
    const source = [one, x.address, cols, none, out.address, cols] as const;
    this.#blas[call](this.#handle, LOWER, 0, cols, rows, ...source);
  }

  /**
   * A X = B of a symmetric positive definite A [n, n] and B [n, cols] by columns, as often as it is
   * called; queued. @returns undefined where there is no cuSOLVER
   */
  solver(n: number, cols: number, a: RawCells, b: RawCells, out: RawCells) {
    this.#solver ??= openSolver(this.#stream);
    if (this.#solver === undefined) return undefined;
    const { call, handle } = this.#solver;
    const [factor, info] = [this.allocate(a.bytes), this.allocate(8)];
    const matrix = [handle, UPPER, n] as const;
    const cells = new Int32Array(1);
    call.cusolverDnDpotrf_bufferSize(...matrix, factor.address, n, cells);
    const work = this.allocate(8 * cells[0]!);
    const copy = (to: RawCells, from: RawCells) =>
      this.#cuda.cuMemcpyDtoDAsync_v2(to.address, from.address, from.bytes, this.#stream);
    return (): void => {
      copy(factor, a);
      copy(out, b);
      const workspace = [work.address, cells[0]!, info.address] as const;
      call.cusolverDnDpotrf(...matrix, factor.address, n, ...workspace);
      const side = [out.address, n, info.address] as const;
      call.cusolverDnDpotrs(...matrix, cols, factor.address, n, ...side);
    };
  }

  synchronise(): void {
    this.#cuda.cuStreamSynchronize(this.#stream);
  }

  close(): void {
    this.synchronise();
    for (const address of this.#held.splice(0)) this.#cuda.cuMemFree_v2(address);
    this.#solver?.call.cusolverDnDestroy(this.#solver.handle);
    this.#blas.cublasDestroy_v2(this.#handle);
    this.#cuda.cuStreamDestroy_v2(this.#stream);
  }
}

/** @returns why there is none */
export function openRawCuBlas(): RawCuBlas | string {
  const cuda = findCudaApi();
  if ('missing' in cuda) return cuda.missing;
  const blas = loadLibrary('cublas', signatures, statusError);
  return 'missing' in blas ? blas.missing : new RawCuBlas(cuda.call, blas.call);
}

function openSolver(stream: bigint) {
  const library = loadLibrary('cusolver', solverSignatures, statusError);
  if ('missing' in library) return undefined;
  const { call } = library;
  const handle = made((into) => call.cusolverDnCreate(into));
  call.cusolverDnSetStream(handle, stream);
  return { call, handle };
}

const statusError = (name: string, status: number): Error =>
  new ExecutionError(`${name}: expected it to succeed, got its status ${status}`, { op: name });

function numbers(dtype: DType): readonly [ArrayBufferView, ArrayBufferView] {
  const cells = dtype === 'float32' ? Float32Array : Float64Array;
  return [cells.of(1), cells.of(0)];
}

function made(make: (into: BigUint64Array) => void): bigint {
  const into = new BigUint64Array(1);
  make(into);
  return into[0]!;
}
