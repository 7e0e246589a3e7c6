/**
 * Compiled kernels of one device: in memory by text, on disk as the vendor's binary, so that a text
 * is compiled once a machine (PoCL: 83 ms from its own cache of sources, 5 ms from a binary).
 * Invariants: a binary that the vendor refuses is compiled again; every program is released once;
 * texts that are compiled on another thread are so one after the other, as PoCL does it anyway.
 */
import { ExecutionError } from '../../../driver/errors.js';
import type { CompiledKernel, DeviceProperties } from '../driver.js';
import type { KernelBinaries } from '../kernel-binaries.js';
import { prologues } from '../kernels/prologue.js';
import { clInfo, type OpenCl } from './bindings.js';
import type { ClContext } from './context.js';
import { statusName } from './errors.js';
import { sizeOf } from './info.js';

export interface ClKernel extends CompiledKernel {
  readonly native: bigint;
  readonly arguments: number;
  readonly owner: OpenClPrograms;
}

/** One text, compiled, and its kernels by name. */
interface Program {
  readonly native: bigint;
  readonly kernels: Map<string, ClKernel>;
}

export interface ProgramPlace {
  readonly cl: OpenCl;
  readonly context: ClContext;
  readonly device: bigint;
  readonly properties: DeviceProperties;
  readonly options: string;
  /** Absent: none are kept. */
  readonly binaries?: KernelBinaries | undefined;
}

export class OpenClPrograms {
  readonly #of: ProgramPlace;
  /** By text alone: it holds its hash, where a key made of it is hashed at each launch. */
  readonly #programs = new Map<string, Program>();
  readonly #status = new Int32Array(1);
  readonly #device: BigUint64Array;
  /** Texts that another thread compiles. */
  readonly #compiling = new Map<string, Promise<void>>();
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Kernels made. */
  compiles = 0;

  constructor(of: ProgramPlace) {
    this.#of = of;
    this.#device = BigUint64Array.of(of.device);
  }

  /** @throws ExecutionError with the compiler's log */
  kernel(source: string, name: string): ClKernel {
    let program = this.#programs.get(source);
    if (program === undefined) {
      program = { native: this.#program(prologues.opencl + source, name), kernels: new Map() };
      this.#programs.set(source, program);
    }
    let kernel = program.kernels.get(name);
    if (kernel === undefined) {
      kernel = this.#make(program.native, name);
      program.kernels.set(name, kernel);
      this.compiles++;
    }
    return kernel;
  }

  owns(kernel: CompiledKernel): kernel is ClKernel {
    return (kernel as Partial<ClKernel>).owner === this;
  }

  /** Compiles a text on another thread; what is wrong with it `kernel` says. */
  prepare(source: string): Promise<void> {
    if (this.has(source)) return Promise.resolve();
    let compiling = this.#compiling.get(source);
    if (compiling === undefined) {
      compiling = this.#last.then(() => this.#compileAside(source));
      this.#last = compiling;
      this.#compiling.set(source, compiling);
    }
    return compiling;
  }

  async #compileAside(source: string): Promise<void> {
    const text = prologues.opencl + source;
    const program = this.#isClosed || this.has(source) ? null : this.#created(text);
    if (program !== null) {
      const { cl, options, binaries } = this.#of;
      const status = await new Promise<number>((resolve) => {
        const done = (error: Error | null, got: number) => resolve(error === null ? got : -1);
        cl.buildProgram.async(program, 1, this.#device, options, null, null, done);
      });
      if (status !== 0 || this.#isClosed || this.#programs.has(source)) cl.releaseProgram(program);
      else {
        this.#programs.set(source, { native: program, kernels: new Map() });
        binaries?.write(this.#from(text), this.#binaryOf(program));
      }
    }
    this.#compiling.delete(source);
  }

  /** Whether a text is compiled, here or on disk. */
  has(source: string): boolean {
    if (this.#programs.has(source)) return true;
    return this.#of.binaries?.has(this.#from(prologues.opencl + source)) ?? false;
  }

  close(): void {
    this.#isClosed = true;
    const { cl } = this.#of;
    for (const { native, kernels } of this.#programs.values()) {
      for (const kernel of kernels.values()) cl.releaseKernel(kernel.native);
      cl.releaseProgram(native);
    }
    this.#programs.clear();
  }

  #make(program: bigint, name: string): ClKernel {
    const { cl } = this.#of;
    const native = cl.createKernel(program, name, this.#status);
    if (native === null) throw this.#error(name, statusName(this.#status[0]!));
    const count = new Uint32Array(1);
    cl.getKernelInfo(native, clInfo.kernelArguments, 4, count, null);
    return { name, native, arguments: count[0]!, owner: this };
  }

  #program(text: string, name: string): bigint {
    const { binaries } = this.#of;
    const from = this.#from(text);
    const binary = binaries?.read(from);
    const known = binary && this.#fromBinary(binary);
    if (known !== undefined) return known;
    const program = this.#fromSource(text, name);
    if (binaries !== undefined) binaries.write(from, this.#binaryOf(program));
    return program;
  }

  /** All that a binary follows from. */
  #from(text: string): readonly string[] {
    const { properties, options } = this.#of;
    const { driver, vendor, name, version } = properties;
    return [driver, vendor, name, version, options, text];
  }

  /** Undefined where the vendor does not take it. */
  #fromBinary(binary: Uint8Array): bigint | undefined {
    const { cl, context } = this.#of;
    const address = BigUint64Array.of(cl.addressOf(binary));
    const length = BigUint64Array.of(BigInt(binary.length));
    const program = cl.createProgramWithBinary(
      ...[context.native, 1, this.#device, length, address, new Int32Array(1), this.#status],
    );
    if (program === null) return undefined;
    if (this.#build(program) === 0) return program;
    cl.releaseProgram(program);
    return undefined;
  }

  #fromSource(text: string, name: string): bigint {
    const { cl } = this.#of;
    const program = this.#created(text);
    if (program === null) throw this.#error(name, statusName(this.#status[0]!));
    const status = this.#build(program);
    if (status === 0) return program;
    const log = this.#log(program);
    cl.releaseProgram(program);
    throw this.#error(name, `${statusName(status)}: ${log}`);
  }

  #created(text: string): bigint | null {
    const { cl, context } = this.#of;
    const bytes = Buffer.from(`${text}\0`);
    const address = BigUint64Array.of(cl.addressOf(bytes));
    return cl.createProgramWithSource(context.native, 1, address, null, this.#status);
  }

  #build(program: bigint): number {
    return this.#of.cl.buildProgram(program, 1, this.#device, this.#of.options, null, null);
  }

  #log(program: bigint): string {
    const { cl, device } = this.#of;
    const what = clInfo.programBuildLog;
    const bytes = sizeOf((size) => cl.getProgramBuildInfo(program, device, what, 0, null, size));
    const log = Buffer.alloc(bytes);
    cl.getProgramBuildInfo(program, device, what, bytes, log, null);
    return log.toString('utf8').replace(/\0.*$/s, '').trim();
  }

  #binaryOf(program: bigint): Uint8Array {
    const { cl, context, device } = this.#of;
    // Of each device of the context; where no address is given, none is written.
    const sizes = new BigUint64Array(context.devices.length);
    const own = context.devices.indexOf(device);
    cl.getProgramInfo(program, clInfo.programBinarySizes, sizes.byteLength, sizes, null);
    const binary = new Uint8Array(Number(sizes[own]));
    const addresses = new BigUint64Array(sizes.length);
    addresses[own] = cl.addressOf(binary);
    cl.getProgramInfo(program, clInfo.programBinaries, addresses.byteLength, addresses, null);
    return binary;
  }

  #error(name: string, got: string): ExecutionError {
    const { driver, index, name: device } = this.#of.properties;
    return new ExecutionError(
      `${driver} device ${index}: expected kernel ${name} to compile, got ${got}`,
      { op: name, backend: driver, device },
    );
  }
}
