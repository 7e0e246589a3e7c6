/**
 * The seam between devices and what uses them: memory, copies, kernels, events. A driver (`opencl/`,
 * `cuda/`) implements it over a vendor's library and owns no policy: what is kept and what goes is
 * the memory manager's. Invariants: work of one queue runs in the order it was queued, work of two
 * only where `after` says so; nothing here waits for the device but `wait`; native handles stay
 * inside the driver.
 */
import type { DType } from '../../driver/ir/dtype.js';

export type DriverKind = 'opencl' | 'cuda';

/** What a device is and can hold. */
export interface DeviceProperties {
  readonly driver: DriverKind;
  /** Among the devices of its driver. */
  readonly index: number;
  readonly name: string;
  readonly vendor: string;
  /** Of the device's own driver. */
  readonly version: string;
  readonly memoryBytes: number;
  readonly largestAllocationBytes: number;
  /** Memory that the items of a group share. */
  readonly localBytes: number;
  readonly computeUnits: number;
  /** Items of a group at most. */
  readonly largestWorkGroup: number;
  readonly hasFloat64: boolean;
  /** It is this machine's processor: PoCL. */
  readonly isProcessor: boolean;
  /** Its memory is this machine's: PoCL, integrated GPUs. */
  readonly sharesHostMemory: boolean;
  /** A library solves positive definite systems of any size (`Device.solve`). */
  readonly hasSolver: boolean;
}

/** Memory on a device, known by identity. */
export interface Pointer {
  readonly bytes: number;
}

/** A place in a queue, known by identity. What it stands for is given back when it is complete. */
export interface DeviceEvent {
  readonly queue: QueueName;
}

/** A compiled kernel, known by identity; it stays until its device is closed. */
export interface CompiledKernel {
  readonly name: string;
}

export type KernelScalar =
  | { readonly int32: number }
  | { readonly int64: number }
  | { readonly float32: number }
  | { readonly float64: number };

export type KernelArgument = Pointer | KernelScalar;

/** One run of a kernel. Sizes in items by dimension, as OpenCL's: `global` is a multiple of `local`. */
export interface KernelLaunch {
  readonly kernel: CompiledKernel;
  readonly arguments: readonly KernelArgument[];
  readonly global: readonly number[];
  readonly local: readonly number[];
}

/** A factor: cell (outer, inner) of model k lies at outer * `outer` + inner * `inner` + k * `step`. */
export interface ProductFactor {
  readonly pointer: Pointer;
  /** Cells before it. Default 0. */
  readonly first?: number | undefined;
  readonly outer: number;
  readonly inner: number;
  readonly step: number;
}

/** For each model m x inner times inner x n, summed over `inner`. Strides in cells. */
export interface DeviceProduct {
  readonly dtype: DType;
  readonly m: number;
  readonly n: number;
  readonly inner: number;
  readonly models: number;
  readonly a: ProductFactor;
  readonly b: ProductFactor;
  /** Cell (i, j) of model k lies at i * `row` + j * `col` + k * `step`. */
  readonly out: {
    readonly pointer: Pointer;
    readonly first?: number | undefined;
    readonly row: number;
    readonly col: number;
    readonly step: number;
  };
  /** Its cells above the diagonal are to be those below it, to the bit. */
  readonly isSymmetric?: boolean;
}

/** Where a matrix of a system lies: rows `stride` cells apart. */
export interface SystemMatrix {
  readonly pointer: Pointer;
  readonly stride: number;
}

/**
 * A X = B, A symmetric and positive definite, of which the lower triangle is read; or its factor. The
 * same kernel arguments as `kernels/systems-code.ts` has, for one model.
 */
export interface DeviceSystem {
  readonly dtype: DType;
  readonly n: number;
  /** Columns of B; `n` of a factor. */
  readonly cols: number;
  /** The result is the factor L with A = L t(L); there is no B. */
  readonly isFactor: boolean;
  readonly a: SystemMatrix;
  readonly b?: SystemMatrix | undefined;
  /** Added to the diagonal of A: a stride of 0 is one number for all rows. */
  readonly d?: SystemMatrix | undefined;
  readonly out: SystemMatrix;
  /** Memory for the time of the launches: n x n and, but for a factor, n x cols cells of float64. */
  readonly work: Pointer;
  readonly side: Pointer;
  /** Two float64: 0 or 1 + the first row whose pivot is too small, and that pivot; 8 bytes more. */
  readonly status: Pointer;
  /** A pivot is too small when it is not larger than this times its cell of the diagonal. */
  readonly limit: number;
}

/** In order, each by itself. */
export type QueueName = 'compute' | 'copy';

export interface DeviceQueueOptions {
  /** Default `compute`. */
  readonly queue?: QueueName;
  /** Waited for first, on the device; events of the same queue are no cost. */
  readonly after?: readonly DeviceEvent[];
}

export interface CopyOptions extends DeviceQueueOptions {
  /** Where on the device the copy begins. Default 0. @units bytes */
  readonly offsetBytes?: number;
}

/** What was done so far; only grows. */
export interface DeviceCounts {
  readonly allocations: number;
  readonly frees: number;
  /** From the host, to the host. */
  readonly copiesIn: number;
  readonly copiesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Straight from other devices. */
  readonly copiesAcross: number;
  readonly bytesAcross: number;
  readonly launches: number;
  /** Times the host waited for an event that was not complete. */
  readonly waits: number;
  /** Kernels compiled, from source or a binary on disk. */
  readonly compiles: number;
}

/**
 * An open device. Everything throws BackendLostError once the device is gone, and InternalError
 * for a pointer, event or kernel that is not of this device or was given back.
 */
export interface Device {
  readonly properties: DeviceProperties;
  readonly counts: DeviceCounts;
  /** Bytes allocated and not freed. @units bytes */
  readonly heldBytes: number;
  /** Uninitialised memory. @throws ResourceError when the device has none left */
  allocate(bytes: number): Pointer;
  /**
   * Gives memory back. Work queued before may still use it: the driver frees behind it. No wait.
   */
  free(pointer: Pointer): void;
  /** From the host. `from` is read until the event is complete, and held until then. */
  write(to: Pointer, from: ArrayBufferView, options?: CopyOptions): DeviceEvent;
  /** To the host. `to` is written until the event is complete, and held until then. */
  read(from: Pointer, to: ArrayBufferView, options?: CopyOptions): DeviceEvent;
  /** The first `bytes` of one pointer into another. */
  copy(from: Pointer, to: Pointer, bytes: number, options?: DeviceQueueOptions): DeviceEvent;
  /**
   * From another device of this driver, on the compute queue, behind events of that one. What is
   * read is not to be freed or written before the event is complete. Absent: none can be read.
   * @returns undefined where the driver knows no way between the two
   */
  copyFrom?(
    peer: Device,
    from: Pointer,
    to: Pointer,
    bytes: number,
    after: readonly DeviceEvent[],
  ): DeviceEvent | undefined;
  /**
   * The kernel `name` of a source in the subset of `kernels/prologue.ts`, which the driver puts
   * before it. Compiled once a text and device; binaries are kept on disk where that pays.
   * @throws ExecutionError with the compiler's log
   */
  compile(source: string, name: string): CompiledKernel;
  /**
   * Compiles a source on another thread, so that `compile` answers at once.
   * @returns settles in any case: what is wrong with a source `compile` says
   */
  prepare(source: string): Promise<void>;
  /** Whether `compile` answers at once, from memory or a binary on disk. */
  isCompiled(source: string): boolean;
  /** @throws ExecutionError for sizes or arguments that do not fit the kernel */
  launch(launch: KernelLaunch, options?: DeviceQueueOptions): DeviceEvent;
  /**
   * A product by the vendor's library, on the compute queue. Absent where there is none.
   * @returns undefined for what the library can't take
   */
  multiply?(
    product: DeviceProduct,
    options?: Pick<DeviceQueueOptions, 'after'>,
  ): DeviceEvent | undefined;
  /**
   * A system by the vendor's library, on the compute queue. Absent where there is none.
   * @returns undefined for what the library can't take
   */
  solve?(
    system: DeviceSystem,
    options?: Pick<DeviceQueueOptions, 'after'>,
  ): DeviceEvent | undefined;
  /** Hands what is queued to the device, which may hold it back until then. `wait` does so too. */
  flush(): void;
  /**
   * Settles when the event is complete; the event loop goes on meanwhile.
   * @throws ExecutionError when what it stands for failed, BackendLostError
   */
  wait(event: DeviceEvent): Promise<void>;
  /** As `wait`, for one who keeps nobody waiting meanwhile: it is not counted. */
  settled(event: DeviceEvent): Promise<void>;
  /** Whether it is complete, or failed. */
  isDone(event: DeviceEvent): boolean;
  /**
   * Ends what is queued, frees everything and says how many pointers were not freed before.
   * Idempotent: 0 the second time.
   */
  close(): number;
}

export interface DeviceDriver {
  readonly kind: DriverKind;
  /** In the library's order, which `DeviceProperties.index` counts. */
  devices(): readonly DeviceProperties[];
  /**
   * @param beside numbers of devices that are opened for one session: some drivers know a way
   *   between these alone
   * @throws ConfigError when there is no such device, ExecutionError when it can't be opened
   */
  open(index: number, beside?: readonly number[]): Device;
}

/** A driver, or why there is none, for doctor. */
export type FoundDriver = { readonly driver: DeviceDriver } | { readonly missing: string };
