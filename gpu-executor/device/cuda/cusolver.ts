/**
 * Positive definite systems by cuSOLVER: Cholesky's factor and the solution, in float64 for either
 * dtype, as the kernel for small systems has them. Invariant: a pivot is refused where the host
 * refuses it (`pivot.ts`), which cuSOLVER alone does for negative ones only.
 *
 * Source: NVIDIA's cuSOLVER documentation; cusolverDn.h of CUDA 12.
 */
import { ExecutionError } from '../../../driver/errors.js';
import type { Device, DeviceSystem, KernelLaunch, KernelScalar, Pointer } from '../driver.js';
import type { KernelCode } from '../kernels/lowered.js';
import { type Bound, loadLibrary } from './load-library.js';

export const solverSignatures = {
  cusolverDnCreate: ['pointer'],
  cusolverDnDestroy: ['uint64'],
  cusolverDnSetStream: ['uint64', 'uint64'],
  /** Handle, triangle, n, A, leading dimension, cells of the workspace (out). */
  cusolverDnDpotrf_bufferSize: ['uint64', 'int', 'int', 'uint64', 'int', 'pointer'],
  /** The same, then workspace, its cells, and where the first bad pivot is said. */
  cusolverDnDpotrf: ['uint64', 'int', 'int', 'uint64', 'int', 'uint64', 'int', 'uint64'],
  /** Handle, triangle, n, columns of B, A, leading dimension, B, leading dimension, info. */
  cusolverDnDpotrs: [
    ...(['uint64', 'int', 'int', 'int', 'uint64', 'int', 'uint64', 'int', 'uint64'] as const),
  ],
} as const;

/** CUBLAS_FILL_MODE_UPPER of columns: the lower triangle of rows. */
const LOWER_OF_ROWS = 1;
const INT_LIMIT = 2 ** 31 - 1;
const GROUP = 256;

export interface SolverMemory {
  /** The device's address of memory for the library's own use, of so many bytes at least. */
  readonly workspace: (bytes: number) => bigint;
  readonly addressOf: (pointer: Pointer) => bigint;
}

export class CuSolver {
  readonly #call: Bound<typeof solverSignatures>;
  readonly #handle: bigint;

  /** @throws ExecutionError when cuSOLVER does not start on this device */
  constructor(call: Bound<typeof solverSignatures>, stream: bigint) {
    this.#call = call;
    const handle = new BigUint64Array(1);
    call.cusolverDnCreate(handle);
    this.#handle = handle[0]!;
    call.cusolverDnSetStream(this.#handle, stream);
  }

  /** Queues the factor of what `prepareLaunch` has laid out, and the solution. @returns calls */
  solve(system: DeviceSystem, { workspace, addressOf }: SolverMemory): number {
    const { n, cols, isFactor } = system;
    const factor = addressOf(system.work);
    const info = addressOf(system.status) + INFO_OFFSET;
    const matrix = [this.#handle, LOWER_OF_ROWS, n] as const;
    const cells = new Int32Array(1);
    this.#call.cusolverDnDpotrf_bufferSize(...matrix, factor, n, cells);
    const memory = workspace(8 * cells[0]!);
    this.#call.cusolverDnDpotrf(...matrix, factor, n, memory, cells[0]!, info);
    if (isFactor) return 1;
    const unread = info + 4n;
    this.#call.cusolverDnDpotrs(...matrix, cols, factor, n, addressOf(system.side), n, unread);
    return 2;
  }

  close(): void {
    this.#call.cusolverDnDestroy(this.#handle);
  }
}

/** @returns cuSOLVER on a stream; undefined where there is none or it does not start */
export function openCuSolver(stream: bigint, folder?: string): CuSolver | undefined {
  const library = loadLibrary('cusolver', solverSignatures, statusError, folder);
  if ('missing' in library) return undefined;
  try {
    return new CuSolver(library.call, stream);
  } catch {
    return undefined;
  }
}

/** Whether cuSOLVER counts its cells: they do so in 32 bits. */
export function isSolverSize({ n, cols }: DeviceSystem): boolean {
  return n * Math.max(n, cols) <= INT_LIMIT;
}

/** Behind the two words of the status. @units bytes */
const INFO_OFFSET = 16n;

/** Lays out A with its diagonal added to, and B by columns. */
export function prepareLaunch(system: DeviceSystem, device: Pick<Device, 'compile'>): KernelLaunch {
  const { n, cols, isFactor } = system;
  return launchOf('prepare_system', system, device, n * (n + (isFactor ? 0 : cols)));
}

/** Finds the first pivot that is too small. */
export function checkLaunch(system: DeviceSystem, device: Pick<Device, 'compile'>): KernelLaunch {
  return launchOf('check_system', system, device, GROUP);
}

/** Writes the result. */
export function finishLaunch(system: DeviceSystem, device: Pick<Device, 'compile'>): KernelLaunch {
  return launchOf('finish_system', system, device, system.n * system.cols);
}

function launchOf(
  name: (typeof SOLVER_KERNELS)[number],
  system: DeviceSystem,
  device: Pick<Device, 'compile'>,
  items: number,
): KernelLaunch {
  const { a, b = a, d, out, work, side, status, n, cols, limit, dtype } = system;
  const sizes = [n, cols, a.stride, d?.stride ?? 0, b.stride, out.stride];
  const flags = [d !== undefined, system.isFactor, dtype === 'float32'];
  return {
    kernel: device.compile(solverText, name),
    arguments: [
      ...[a.pointer, (d ?? a).pointer, b.pointer, out.pointer, work, side, status],
      ...sizes.map((int64): KernelScalar => ({ int64 })),
      ...flags.map((flag): KernelScalar => ({ int32: flag ? 1 : 0 })),
      { float64: limit },
    ],
    global: [Math.ceil(items / GROUP) * GROUP],
    local: [GROUP],
  };
}

const SOLVER_KERNELS = ['prepare_system', 'check_system', 'finish_system'] as const;

const parameters = `GLOBAL const void *RESTRICT a, GLOBAL const void *RESTRICT d,
    GLOBAL const void *RESTRICT b, GLOBAL void *RESTRICT out, GLOBAL double *RESTRICT work,
    GLOBAL double *RESTRICT side, GLOBAL double *RESTRICT status, const int64 n,
    const int64 cols, const int64 a_stride, const int64 d_stride, const int64 b_stride,
    const int64 out_stride, const int has_d, const int is_factor, const int is_narrow,
    const double limit`;

const solverText = `
FUNCTION double cell_of_system(GLOBAL const void *RESTRICT a, GLOBAL const void *RESTRICT d,
    const int64 i, const int64 j, const int64 a_stride, const int64 d_stride, const int has_d,
    const int is_narrow) {
  double value = CELL_OF(a, i * a_stride + j, is_narrow);
  if (has_d && i == j) value += CELL_OF(d, i * d_stride, is_narrow);
  return value;
}

KERNEL void prepare_system(${parameters}) {
  const int64 at = GLOBAL_ID(0);
  if (at < n * n) {
    work[at] = cell_of_system(a, d, at / n, at % n, a_stride, d_stride, has_d, is_narrow);
  } else if (!is_factor && at < n * (n + cols)) {
    const int64 rest = at - n * n;
    side[rest] = CELL_OF(b, rest % n * b_stride + rest / n, is_narrow);
  }
}

KERNEL void check_system(${parameters}) {
  LOCAL int64 places[${GROUP}];
  const int item = LOCAL_ID(0);
  const int64 stopped = ((GLOBAL const int *)status)[4];
  int64 first = stopped > 0 ? stopped - 1 : n;
  for (int64 j = item; j < n && j < first; j += ${GROUP}) {
    const double scale = cell_of_system(a, d, j, j, a_stride, d_stride, has_d, is_narrow);
    const double root = work[j * n + j];
    if (!(root * root > limit * scale)) first = j;
  }
  places[item] = first;
  BARRIER();
  for (int count = ${GROUP / 2}; count > 0; count /= 2) {
    if (item < count && places[item + count] < places[item]) places[item] = places[item + count];
    BARRIER();
  }
  if (item > 0) return;
  const int64 row = places[0];
  if (row == n) {
    status[0] = 0.0;
    status[1] = 1.0;
    return;
  }
  double pivot = cell_of_system(a, d, row, row, a_stride, d_stride, has_d, is_narrow);
  for (int64 k = 0; k < row; k++) pivot -= work[row * n + k] * work[row * n + k];
  status[0] = (double)(row + 1);
  status[1] = pivot;
}

KERNEL void finish_system(${parameters}) {
  const int64 at = GLOBAL_ID(0);
  if (at >= n * cols) return;
  const int64 i = at / cols;
  const int64 j = at % cols;
  double value = is_factor ? (j <= i ? work[i * n + j] : 0.0) : side[j * n + i];
  if (status[0] > 0.0) value = NOT_A_NUMBER;
  if (is_narrow) ((GLOBAL float *)out)[i * out_stride + j] = (float)value;
  else ((GLOBAL double *)out)[i * out_stride + j] = value;
}
`;

/** For suites that compile all kernels. */
export const solverCodes: readonly KernelCode[] = SOLVER_KERNELS.map((name) => ({
  name,
  source: solverText,
}));

function statusError(name: string, status: number): Error {
  return new ExecutionError(`${name}: expected cuSOLVER to succeed, got its status ${status}`, {
    op: name,
    backend: 'cuda',
    status,
  });
}
