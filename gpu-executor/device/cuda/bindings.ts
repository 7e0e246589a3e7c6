/**
 * The functions of CUDA's driver API that are used, as cuda.h of 12.9 and 13.5 declares them on
 * 64-bit machines (`_v2` where the header renames), and what its statuses stand for. Invariant: no
 * status leaves this folder; one that ends the context is a BackendLostError.
 *
 * Source: CUDA driver API reference; cuda.h in the packages nvidia-cuda-runtime and -cu12.
 */
import { BackendLostError, ExecutionError, ResourceError } from '../../../driver/errors.js';
import { type Bound, bind, loadLibrary } from './load-library.js';

const signatures = {
  cuInit: ['uint32'],
  cuDriverGetVersion: ['pointer'],
  cuDeviceGetCount: ['pointer'],
  cuDeviceGet: ['pointer', 'int'],
  cuDeviceGetName: ['pointer', 'int', 'int'],
  cuDeviceTotalMem_v2: ['pointer', 'int'],
  cuDeviceGetAttribute: ['pointer', 'int', 'int'],
  cuDevicePrimaryCtxRetain: ['pointer', 'int'],
  cuDevicePrimaryCtxRelease_v2: ['int'],
  cuCtxSetCurrent: ['uint64'],
  cuMemAlloc_v2: ['pointer', 'size'],
  cuMemFree_v2: ['uint64'],
  /** Page-locked memory of the host: address (out), bytes, flags. */
  cuMemHostAlloc: ['pointer', 'size', 'uint32'],
  cuMemFreeHost: ['uint64'],
  /** To the device's address from the host's, bytes, stream. */
  cuMemcpyHtoDAsync_v2: ['uint64', 'pointer', 'size', 'uint64'],
  cuMemcpyDtoHAsync_v2: ['pointer', 'uint64', 'size', 'uint64'],
  cuMemcpyDtoDAsync_v2: ['uint64', 'uint64', 'size', 'uint64'],
  /** To an address of a context from that of another, bytes, stream. */
  cuMemcpyPeerAsync: ['uint64', 'uint64', 'uint64', 'uint64', 'size', 'uint64'],
  cuStreamCreate: ['pointer', 'uint32'],
  cuStreamSynchronize: ['uint64'],
  cuStreamWaitEvent: ['uint64', 'uint64', 'uint32'],
  cuStreamDestroy_v2: ['uint64'],
  cuEventCreate: ['pointer', 'uint32'],
  cuEventRecord: ['uint64', 'uint64'],
  cuEventQuery: ['uint64'],
  cuEventDestroy_v2: ['uint64'],
  cuModuleLoadData: ['pointer', 'pointer'],
  cuModuleGetFunction: ['pointer', 'uint64', 'text'],
  cuModuleUnload: ['uint64'],
  /** Function, grid and block by x, y, z, shared bytes, stream, parameters, extra. */
  cuLaunchKernel: [
    ...(['uint64', 'uint32', 'uint32', 'uint32', 'uint32', 'uint32', 'uint32'] as const),
    ...(['uint32', 'uint64', 'pointer', 'pointer'] as const),
  ],
} as const;

/** Of drivers for CUDA 12.4 and later: function, index, offset (out), bytes (out). */
const parameterSignatures = {
  cuFuncGetParamInfo: ['uint64', 'size', 'pointer', 'pointer'],
} as const;

export type CudaCalls = Bound<typeof signatures>;

export interface CudaApi {
  readonly path: string;
  readonly call: CudaCalls;
  /** Undefined where the driver is too old to say what parameters a kernel has. */
  readonly parameters: Bound<typeof parameterSignatures> | undefined;
}

/** CUdevice_attribute. */
export const attributes = {
  threadsOfBlock: 1,
  sharedBytesOfBlock: 8,
  multiprocessors: 16,
  isIntegrated: 18,
  capabilityMajor: 75,
  capabilityMinor: 76,
} as const;

/** CU_STREAM_NON_BLOCKING: does not wait for the null stream, which nobody here uses. */
export const STREAM_NON_BLOCKING = 1;
/** CU_EVENT_DISABLE_TIMING, which makes events cheaper. */
export const EVENT_DISABLE_TIMING = 2;

const INVALID_VALUE = 1;
const OUT_OF_MEMORY = 2;
const NOT_READY = 600;

/**
 * Statuses after which a context is of no more use: the device went (46, 214, 220), the driver was
 * shut down under us (4, 709), or a kernel ended badly, which CUDA lets no context survive (700,
 * 702, 710, 714 to 719). 999 is said when nothing is known.
 */
const LOST: ReadonlySet<number> = new Set([
  ...[4, 46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999],
]);

const names: Readonly<Record<number, string>> = {
  3: 'not initialised',
  34: 'a stub library, not the driver',
  36: 'a newer driver is needed',
  100: 'no device',
  101: 'no such device',
  200: 'code that is not code',
  201: 'no context',
  209: 'no code for this device',
  218: 'PTX that does not compile',
  222: 'PTX newer than the driver',
  400: 'a handle that is none',
  500: 'no such function',
  700: "an address that is not the kernel's",
  701: 'too many registers or threads for a launch',
  702: 'a launch that took too long',
  719: 'a launch that failed',
  803: 'a driver that does not fit the system',
};

/** @returns the driver API, or why there is none */
export function findCudaApi(folder?: string): CudaApi | { readonly missing: string } {
  const library = loadLibrary('cuda', signatures, cudaError, folder);
  if ('missing' in library) return library;
  return { ...library, parameters: parametersOf(library.path) };
}

function parametersOf(path: string): CudaApi['parameters'] {
  try {
    // INVALID_VALUE: no parameter has that index.
    return bind(path, parameterSignatures, (name, status) =>
      status === INVALID_VALUE ? undefined : cudaError(name, status),
    );
  } catch {
    return undefined;
  }
}

/** The one place where CUDA's statuses become errors. Not being ready is none. */
function cudaError(call: string, status: number): Error | undefined {
  if (status === NOT_READY) return undefined;
  const facts = { op: call, backend: 'cuda', status };
  const got = `status ${status}${names[status] === undefined ? '' : ` (${names[status]})`}`;
  if (status === OUT_OF_MEMORY) {
    return new ResourceError(`${call}: expected memory on the device, got none left`, {
      ...facts,
      resource: 'device memory',
    });
  }
  if (LOST.has(status)) {
    return new BackendLostError(`${call}: expected the CUDA device to work, got ${got}`, facts);
  }
  return new ExecutionError(`${call}: expected CUDA to succeed, got ${got}`, facts);
}
