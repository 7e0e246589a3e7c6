/**
 * NVRTC: CUDA C to code for one architecture, without a GPU. Invariant: products and sums are never
 * contracted (`--fmad=false`), so that devices agree with the host; everything else that loosens
 * arithmetic is off by NVRTC's defaults.
 *
 * Source: NVIDIA's NVRTC documentation and nvrtc.h 12.9 and 13.5.
 */
import { ExecutionError } from '../../../driver/errors.js';
import { loadKoffi, type NativeFunction } from '../../koffi.js';
import { type Bound, loadLibrary } from './load-library.js';

const signatures = {
  nvrtcVersion: ['pointer', 'pointer'],
  nvrtcGetNumSupportedArchs: ['pointer'],
  nvrtcGetSupportedArchs: ['pointer'],
  nvrtcCreateProgram: ['pointer', 'text', 'text', 'int', 'pointer', 'pointer'],
  nvrtcCompileProgram: ['uint64', 'int', 'texts'],
  nvrtcGetCUBINSize: ['uint64', 'pointer'],
  nvrtcGetCUBIN: ['uint64', 'pointer'],
  nvrtcGetPTXSize: ['uint64', 'pointer'],
  nvrtcGetPTX: ['uint64', 'pointer'],
  nvrtcGetProgramLogSize: ['uint64', 'pointer'],
  nvrtcGetProgramLog: ['uint64', 'pointer'],
  nvrtcDestroyProgram: ['pointer'],
} as const;

const NVRTC_ERROR_COMPILATION = 6;
/** Besides the architecture. */
export const nvrtcOptions: readonly string[] = ['--fmad=false'];

interface Target {
  readonly name: string;
  readonly isPtx: boolean;
}

type CompileAside = NativeFunction<[program: bigint, count: number, options: string[]], number>;

/** The compiler as it was found. */
export class Nvrtc {
  readonly path: string;
  /** `13.5` */
  readonly version: string;
  /** What it makes code for, as 10 major + minor, rising: 75, 80, .. 121. */
  readonly architectures: readonly number[];
  readonly #call: Bound<typeof signatures>;
  #aside: CompileAside | undefined;

  constructor(path: string, call: Bound<typeof signatures>) {
    this.path = path;
    this.#call = call;
    const [major, minor, count] = [new Int32Array(1), new Int32Array(1), new Int32Array(1)];
    call.nvrtcVersion(major, minor);
    this.version = `${major[0]}.${minor[0]}`;
    call.nvrtcGetNumSupportedArchs(count);
    const architectures = new Int32Array(count[0]!);
    call.nvrtcGetSupportedArchs(architectures);
    this.architectures = [...architectures];
  }

  /**
   * Code for devices of an architecture. Later ones than it knows get PTX for its newest, which the
   * device's driver compiles.
   * @throws ExecutionError with the compiler's log, or when the architecture is too old
   */
  compile(source: string, name: string, architecture: number): Uint8Array {
    const target = this.#targetOf(architecture);
    const program = this.#program(source, name);
    try {
      const options = optionsFor(target);
      const status = this.#call.nvrtcCompileProgram(program[0]!, options.length, options);
      if (status === NVRTC_ERROR_COMPILATION)
        throw notCompiled(name, target.name, this.#log(program[0]!));
      return this.#code(program[0]!, target);
    } finally {
      this.#call.nvrtcDestroyProgram(program);
    }
  }

  /**
   * As `compile`, on another thread: NVRTC compiles several programs at once.
   * @returns undefined where it does not compile: why `compile` says
   */
  async compileAside(source: string, architecture: number): Promise<Uint8Array | undefined> {
    const target = this.#targetOf(architecture);
    const program = this.#program(source, 'kernels');
    try {
      this.#aside ??= loadKoffi()
        .load(this.path)
        .func('nvrtcCompileProgram', 'int', ['uint64_t', 'int', 'const char **']) as CompileAside;
      const options = optionsFor(target);
      const status = await new Promise<number>((resolve) => {
        const done = (error: Error | null, got: number) => resolve(error === null ? got : -1);
        this.#aside!.async(program[0]!, options.length, options, done);
      });
      return status === 0 ? this.#code(program[0]!, target) : undefined;
    } finally {
      this.#call.nvrtcDestroyProgram(program);
    }
  }

  #program(source: string, name: string): BigUint64Array {
    const program = new BigUint64Array(1);
    this.#call.nvrtcCreateProgram(program, source, `${name}.cu`, 0, null, null);
    return program;
  }

  #code(program: bigint, { isPtx }: Target): Uint8Array {
    const sizeOf = isPtx ? this.#call.nvrtcGetPTXSize : this.#call.nvrtcGetCUBINSize;
    return read(program, sizeOf, isPtx ? this.#call.nvrtcGetPTX : this.#call.nvrtcGetCUBIN);
  }

  #targetOf(architecture: number): Target {
    if (this.architectures.includes(architecture)) {
      return { name: `sm_${architecture}`, isPtx: false };
    }
    const before = this.architectures.filter((known) => known < architecture).at(-1);
    if (before !== undefined) return { name: `compute_${before}`, isPtx: true };
    throw new ExecutionError(
      `compile: expected a device of compute capability ${this.architectures[0]! / 10} or later, got ${architecture / 10}; use an NVRTC older than ${this.version}`,
      { op: 'compile', backend: 'cuda' },
    );
  }

  #log(program: bigint): string {
    const bytes = read(program, this.#call.nvrtcGetProgramLogSize, this.#call.nvrtcGetProgramLog);
    return Buffer.from(bytes).toString('utf8').replace(/\0+$/, '').trim();
  }
}

function optionsFor({ name }: Target): string[] {
  return [`--gpu-architecture=${name}`, ...nvrtcOptions];
}

/** Size and content are asked for one after the other. */
function read(
  program: bigint,
  sizeOf: (program: bigint, bytes: BigUint64Array) => number,
  contentOf: (program: bigint, into: Uint8Array) => number,
): Uint8Array {
  const bytes = new BigUint64Array(1);
  sizeOf(program, bytes);
  const content = new Uint8Array(Number(bytes[0]));
  contentOf(program, content);
  return content;
}

/** @returns the compiler, or why there is none */
export function findNvrtc(folder?: string): Nvrtc | { readonly missing: string } {
  const library = loadLibrary('nvrtc', signatures, statusError, folder);
  if ('missing' in library) return library;
  try {
    return new Nvrtc(library.path, library.call);
  } catch (error) {
    return { missing: `${library.path} does not say what it is: ${(error as Error).message}` };
  }
}

/** Compilation errors have a log, which the caller reads. */
function statusError(name: string, status: number): Error | undefined {
  if (status === NVRTC_ERROR_COMPILATION) return undefined;
  return new ExecutionError(`${name}: expected NVRTC to succeed, got its status ${status}`, {
    op: name,
    backend: 'cuda',
    status,
  });
}

const notCompiled = (name: string, target: string, log: string): ExecutionError =>
  new ExecutionError(
    `compile: expected kernel ${name} to compile for ${target}, got from NVRTC: ${log}`,
    { op: name, backend: 'cuda', log },
  );
