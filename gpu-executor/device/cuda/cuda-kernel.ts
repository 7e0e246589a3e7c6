/**
 * Kernels of one CUDA device: source to module, once a text, and the arguments of a launch laid out
 * as the driver reads them. Invariant: where the driver says what parameters a kernel has, no launch
 * with others leaves here.
 */
import { BackendLostError, ExecutionError } from '../../../driver/errors.js';
import { ARGUMENT_BYTES, writeArgument } from '../argument-bytes.js';
import type { CompiledKernel, KernelArgument, KernelLaunch, Pointer } from '../driver.js';
import type { KernelBinaries } from '../kernel-binaries.js';
import { prologues } from '../kernels/prologue.js';
import type { CudaApi } from './bindings.js';
import { quietly } from './cuda-queue.js';
import { type Nvrtc, nvrtcOptions } from './nvrtc.js';

export class CudaKernel implements CompiledKernel {
  readonly name: string;
  readonly handle: bigint;
  /** Undefined where the driver does not say. @units bytes */
  readonly parameterBytes: readonly number[] | undefined;
  readonly owner: CudaKernels;

  constructor(
    owner: CudaKernels,
    name: string,
    handle: bigint,
    parameterBytes: readonly number[] | undefined,
  ) {
    this.owner = owner;
    this.name = name;
    this.handle = handle;
    this.parameterBytes = parameterBytes;
  }
}

export interface KernelParts {
  readonly api: CudaApi;
  readonly nvrtc: Nvrtc;
  /** 10 major + minor of the compute capability. */
  readonly architecture: number;
  /** Absent: none are kept. */
  readonly binaries?: KernelBinaries | undefined;
}

/** One text, compiled, and its kernels by name. */
interface Module {
  readonly native: bigint;
  readonly kernels: Map<string, CudaKernel>;
}

export class CudaKernels {
  readonly #parts: KernelParts;
  /** What another thread compiles, or has and nobody asked for yet. */
  readonly #aside = new Map<string, Promise<void>>();
  readonly #codes = new Map<string, Uint8Array>();
  /** By text alone: it holds its hash, where a key made of it is hashed at each launch. */
  readonly #modules = new Map<string, Module>();

  constructor(parts: KernelParts) {
    this.#parts = parts;
  }

  /** @param onCompile called for a kernel that was not there yet */
  kernel(source: string, name: string, onCompile: () => void): CudaKernel {
    const { native, kernels } = this.#module(source, name);
    let kernel = kernels.get(name);
    if (kernel === undefined) {
      kernel = this.#find(native, name);
      onCompile();
      kernels.set(name, kernel);
    }
    return kernel;
  }

  owns(kernel: CompiledKernel): kernel is CudaKernel {
    return kernel instanceof CudaKernel && kernel.owner === this;
  }

  /** Compiles a text on another thread; what is wrong with it `kernel` says. */
  async prepare(source: string): Promise<void> {
    if (this.has(source)) return;
    let compiling = this.#aside.get(source);
    if (compiling === undefined) {
      compiling = this.#compileAside(source);
      this.#aside.set(source, compiling);
    }
    await compiling;
  }

  async #compileAside(source: string): Promise<void> {
    const { nvrtc, architecture } = this.#parts;
    try {
      const code = await nvrtc.compileAside(prologues.cuda + source, architecture);
      if (code !== undefined && !this.#modules.has(source)) this.#codes.set(source, code);
    } catch {
      // Whoever asks for the kernel is told.
    } finally {
      this.#aside.delete(source);
    }
  }

  /** Whether a text is compiled, here or on disk. */
  has(source: string): boolean {
    if (this.#modules.has(source) || this.#codes.has(source)) return true;
    return this.#parts.binaries?.has(this.#from(prologues.cuda + source)) ?? false;
  }

  close(): void {
    for (const { native } of this.#modules.values()) {
      quietly(() => this.#parts.api.call.cuModuleUnload(native));
    }
    this.#modules.clear();
    this.#codes.clear();
  }

  #module(source: string, name: string): Module {
    const known = this.#modules.get(source);
    if (known !== undefined) return known;
    const { nvrtc, architecture, binaries } = this.#parts;
    const text = prologues.cuda + source;
    const from = this.#from(text);
    const kept = binaries?.read(from);
    let native = kept && this.#loadKept(kept);
    if (native === undefined) {
      const code = this.#codes.get(source) ?? nvrtc.compile(text, name, architecture);
      this.#codes.delete(source);
      native = this.#load(code);
      binaries?.write(from, code);
    }
    const module: Module = { native, kernels: new Map() };
    this.#modules.set(source, module);
    return module;
  }

  /** All that a binary follows from. */
  #from(text: string): readonly string[] {
    const { nvrtc, architecture } = this.#parts;
    return ['cuda', nvrtc.version, `${architecture}`, ...nvrtcOptions, text];
  }

  /** Undefined where the driver does not take it. @throws BackendLostError */
  #loadKept(code: Uint8Array): bigint | undefined {
    try {
      return this.#load(code);
    } catch (error) {
      if (error instanceof BackendLostError) throw error;
      return undefined;
    }
  }

  #load(code: Uint8Array): bigint {
    const module = new BigUint64Array(1);
    this.#parts.api.call.cuModuleLoadData(module, code);
    return module[0]!;
  }

  #find(module: bigint, name: string): CudaKernel {
    const handle = new BigUint64Array(1);
    this.#parts.api.call.cuModuleGetFunction(handle, module, name);
    return new CudaKernel(this, name, handle[0]!, this.#parametersOf(handle[0]!));
  }

  #parametersOf(handle: bigint): readonly number[] | undefined {
    const { parameters } = this.#parts.api;
    if (parameters === undefined) return undefined;
    const found: number[] = [];
    const [offset, bytes] = [new BigUint64Array(1), new BigUint64Array(1)];
    while (parameters.cuFuncGetParamInfo(handle, found.length, offset, bytes) === 0) {
      found.push(Number(bytes[0]));
    }
    return found;
  }
}

/**
 * The `void **` of a launch: pointers to cells that hold one argument each. Laid out once; the
 * driver has read the cells when a launch call returns, so the next one writes them anew.
 */
export class ArgumentCells {
  pointers: BigUint64Array;
  #cells: DataView;
  readonly #addressOf: (memory: ArrayBuffer) => bigint;

  constructor(addressOf: (memory: ArrayBuffer) => bigint, count = 64) {
    this.#addressOf = addressOf;
    this.#cells = new DataView(new ArrayBuffer(count * ARGUMENT_BYTES));
    this.pointers = this.#layOut();
  }

  /**
   * @param addressOf the device's address of an argument that is no number
   * @throws ExecutionError when they are not what the kernel takes
   */
  write(
    kernel: CudaKernel,
    given: readonly KernelArgument[],
    addressOf: (pointer: Pointer) => bigint,
  ): void {
    if (given.length * ARGUMENT_BYTES > this.#cells.byteLength) {
      this.#cells = new DataView(new ArrayBuffer(given.length * ARGUMENT_BYTES));
      this.pointers = this.#layOut();
    }
    const bytes = given.map((argument, index) =>
      writeArgument(this.#cells, index * ARGUMENT_BYTES, argument, addressOf),
    );
    const expected = kernel.parameterBytes;
    if (expected === undefined || expected.join() === bytes.join()) return;
    throw new ExecutionError(
      `${kernel.name}: expected arguments of ${expected.join(', ')} bytes, got ${bytes.join(', ')}`,
      { op: kernel.name, backend: 'cuda' },
    );
  }

  #layOut(): BigUint64Array {
    const first = this.#addressOf(this.#cells.buffer as ArrayBuffer);
    const count = this.#cells.byteLength / ARGUMENT_BYTES;
    return BigUint64Array.from({ length: count }, (_, i) => first + BigInt(i * ARGUMENT_BYTES));
  }
}

/** CUDA's limits of a grid in blocks, by x, y and z. */
const GRID_LIMITS = [2 ** 31 - 1, 65_535, 65_535] as const;

type Sizes = readonly [x: number, y: number, z: number];

/** Blocks and their threads. @throws ExecutionError for sizes CUDA can't run */
export function gridOf({
  kernel,
  global,
  local,
}: KernelLaunch): readonly [grid: Sizes, block: Sizes] {
  const at = (sizes: readonly number[], dimension: number): number => sizes[dimension] ?? 1;
  const grid = GRID_LIMITS.map((_, d) => at(global, d) / at(local, d));
  const isRight = grid.every(
    (blocks, d) => Number.isInteger(blocks) && blocks >= 1 && blocks <= GRID_LIMITS[d]!,
  );
  if (!isRight || global.length !== local.length || global.length > 3) {
    throw new ExecutionError(
      `${kernel.name}: expected up to 3 sizes that groups of [${local.join(', ')}] divide into at most [${GRID_LIMITS.join(', ')}] groups, got [${global.join(', ')}]`,
      { op: kernel.name, backend: 'cuda' },
    );
  }
  return [
    [grid[0]!, grid[1]!, grid[2]!],
    [at(local, 0), at(local, 1), at(local, 2)],
  ];
}
