/**
 * Products by cuBLAS. Invariants: it is told to compute in the cells' own precision (no TF32), on
 * one stream, which NVIDIA says gives the same bits on the same GPU and version each time; layouts
 * or sizes it can't take are declined, and the generated kernels compute them.
 *
 * Source: NVIDIA's cuBLAS documentation; cublas_api.h of CUDA 12.
 */
import { ExecutionError } from '../../../driver/errors.js';
import type { DType } from '../../../driver/ir/dtype.js';
import type { Device, DeviceProduct, KernelLaunch, ProductFactor } from '../driver.js';
import type { KernelCode } from '../kernels/lowered.js';
import { type Bound, loadLibrary } from './load-library.js';

/**
 * Handle, operation and sizes m, n, k of the column-major product; alpha; A, leading dimension and
 * step between matrices; B; beta; C; matrices.
 */
const gemm = [
  ...(['uint64', 'int', 'int', 'int', 'int', 'int', 'pointer'] as const),
  ...(['uint64', 'int', 'size', 'uint64', 'int', 'size', 'pointer'] as const),
  ...(['uint64', 'int', 'size', 'int'] as const),
] as const;

const signatures = {
  cublasCreate_v2: ['pointer'],
  cublasDestroy_v2: ['uint64'],
  cublasSetStream_v2: ['uint64', 'uint64'],
  cublasSetMathMode: ['uint64', 'int'],
  cublasSgemmStridedBatched: gemm,
  cublasDgemmStridedBatched: gemm,
} as const;

/** CUBLAS_PEDANTIC_MATH. */
const PEDANTIC = 2;
const INT_LIMIT = 2 ** 31 - 1;

/** A matrix as cuBLAS, which is column-major, takes it. */
interface ColumnMajor {
  /** CUBLAS_OP_N or CUBLAS_OP_T. */
  readonly operation: 0 | 1;
  readonly leading: number;
}

export class CuBlas {
  readonly #call: Bound<typeof signatures>;
  readonly #handle: bigint;

  /** @throws ExecutionError when cuBLAS does not start on this device */
  constructor(call: Bound<typeof signatures>, stream: bigint) {
    this.#call = call;
    const handle = new BigUint64Array(1);
    call.cublasCreate_v2(handle);
    this.#handle = handle[0]!;
    call.cublasSetStream_v2(this.#handle, stream);
    call.cublasSetMathMode(this.#handle, PEDANTIC);
  }

  /**
   * Queues a product. Row-major C = A B is column-major C' = B' A'.
   * @returns false for what it can't take
   */
  multiply(
    product: DeviceProduct,
    addressOf: (factor: ProductFactor['pointer']) => bigint,
  ): boolean {
    const { dtype, m, n, inner, models, a, b, out } = product;
    const left = columnMajor(b, n, inner, false);
    const right = columnMajor(a, m, inner, true);
    const sizes = [m, n, inner, models, out.row];
    const isTaken = out.col === 1 && out.row >= n && sizes.every((size) => size <= INT_LIMIT);
    if (left === undefined || right === undefined || !isTaken) return false;
    const cells = dtype === 'float32' ? Float32Array : Float64Array;
    const placeOf = ({ pointer, first = 0 }: Pick<ProductFactor, 'pointer' | 'first'>): bigint =>
      addressOf(pointer) + BigInt(first * cells.BYTES_PER_ELEMENT);
    const call =
      this.#call[dtype === 'float32' ? 'cublasSgemmStridedBatched' : 'cublasDgemmStridedBatched'];
    call(
      ...([this.#handle, left.operation, right.operation, n, m, inner, cells.of(1)] as const),
      ...([placeOf(b), left.leading, b.step] as const),
      ...([placeOf(a), right.leading, a.step, cells.of(0)] as const),
      ...([placeOf(out), out.row, out.step, models] as const),
    );
    return true;
  }

  close(): void {
    this.#call.cublasDestroy_v2(this.#handle);
  }
}

/** @returns cuBLAS on a stream; undefined where there is none or it does not start */
export function openCuBlas(stream: bigint, folder?: string): CuBlas | undefined {
  const library = loadLibrary('cublas', signatures, statusError, folder);
  if ('missing' in library) return undefined;
  try {
    return new CuBlas(library.call, stream);
  } catch {
    return undefined;
  }
}

/** For models side by side, an item a cell. */
export function mirrorCode(dtype: DType): KernelCode {
  const type = dtype === 'float32' ? 'float' : 'double';
  const source = `
KERNEL void mirror(GLOBAL ${type} *cells, const int64 n, const int64 row, const int64 step,
    const int64 all) {
  const int64 at = GLOBAL_ID(0);
  if (at >= all) return;
  const int64 model = at / (n * n);
  const int64 i = at / n % n;
  const int64 j = at % n;
  if (i < j) cells[model * step + i * row + j] = cells[model * step + j * row + i];
}
`;
  return { name: 'mirror', source };
}

/** Copies a product's cells below the diagonal above it: cuBLAS may add up the two in other orders. */
export function mirrorLaunch(
  { dtype, n, models, out }: DeviceProduct,
  device: Pick<Device, 'compile'>,
): KernelLaunch {
  const { source, name } = mirrorCode(dtype);
  const all = models * n * n;
  const sizes = [n, out.row, out.step, all].map((int64) => ({ int64 }));
  return {
    kernel: device.compile(source, name),
    arguments: [out.pointer, ...sizes],
    global: [Math.ceil(all / 256) * 256],
    local: [256],
  };
}

/**
 * A factor of which one side's cells are neighbours.
 * @param isRight it is the right one of the column-major product, whose rows are the inner side
 */
function columnMajor(
  { outer, inner }: ProductFactor,
  outerSize: number,
  innerSize: number,
  isRight: boolean,
): ColumnMajor | undefined {
  const candidates = [
    { isByOuter: true, near: outer, leading: inner, rows: outerSize, columns: innerSize },
    { isByOuter: false, near: inner, leading: outer, rows: innerSize, columns: outerSize },
  ];
  for (const { isByOuter, near, leading, rows, columns } of candidates) {
    // A side of one cell has no neighbours, and one column no next one.
    const isNear = near === 1 || rows === 1;
    const fits = columns === 1 || leading >= rows;
    if (!isNear || !fits || leading > INT_LIMIT) continue;
    return { operation: isByOuter === isRight ? 1 : 0, leading: Math.max(leading, rows, 1) };
  }
  return undefined;
}

function statusError(name: string, status: number): Error {
  return new ExecutionError(`${name}: expected cuBLAS to succeed, got its status ${status}`, {
    op: name,
    backend: 'cuda',
    status,
  });
}
