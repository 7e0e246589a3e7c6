/**
 * Loads one of CUDA's libraries and binds functions of it that answer a status. Invariant: a call
 * either did what it was asked or throws what its status stands for; statuses go no further.
 */
import { loadKoffi } from '../../koffi.js';
import { type CudaLibrary, cudaCandidates } from './find-cuda.js';

/** Types of arguments. Handles and device addresses are 64 bits; pointers are to host memory. */
export type NativeType = 'int' | 'uint32' | 'uint64' | 'size' | 'pointer' | 'text' | 'texts';

type Argument<T> = T extends 'int' | 'uint32'
  ? number
  : T extends 'uint64' | 'size'
    ? bigint | number
    : T extends 'text'
      ? string
      : T extends 'texts'
        ? readonly string[]
        : ArrayBufferView | ArrayBuffer | null;

/** Argument types by function. */
export type Signatures = Readonly<Record<string, readonly NativeType[]>>;

/** The functions of a table of signatures; each answers its status. */
export type Bound<S extends Signatures> = {
  readonly [Name in keyof S]: (...args: Arguments<S[Name]>) => number;
};

type Arguments<T extends readonly NativeType[]> = {
  -readonly [Index in keyof T]: Argument<T[Index]>;
};

const nativeNames: Readonly<Record<NativeType, string>> = {
  int: 'int',
  uint32: 'uint32_t',
  uint64: 'uint64_t',
  size: 'size_t',
  pointer: 'void *',
  text: 'const char *',
  texts: 'const char **',
};

export interface LoadedLibrary<S extends Signatures> {
  readonly path: string;
  readonly call: Bound<S>;
}

/** What a status other than 0 stands for; undefined: nothing wrong. */
export type StatusError = (name: string, status: number) => Error | undefined;

/**
 * The first candidate that loads and has every function.
 * @param folder to look in first, see `cudaCandidates`
 */
export function loadLibrary<S extends Signatures>(
  library: CudaLibrary,
  signatures: S,
  statusError: StatusError,
  folder?: string,
): LoadedLibrary<S> | { readonly missing: string } {
  const problems: string[] = [];
  for (const path of new Set(cudaCandidates(library, folder))) {
    try {
      return { path, call: bind(path, signatures, statusError) };
    } catch (error) {
      problems.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { missing: problems[0] ?? `lib${library} is not looked for here` };
}

/** @throws koffi's error where the library does not load or lacks a function */
export function bind<S extends Signatures>(
  path: string,
  signatures: S,
  statusError: StatusError,
): Bound<S> {
  const native = loadKoffi().load(path);
  const bound = Object.entries(signatures).map(([name, types]) => {
    const call = native.func(
      name,
      'int',
      types.map((type) => nativeNames[type]),
    ) as (...args: unknown[]) => number;
    const checked = (...args: unknown[]): number => {
      const status = call(...args);
      const error = status === 0 ? undefined : statusError(name, status);
      if (error !== undefined) throw error;
      return status;
    };
    return [name, checked] as const;
  });
  return Object.fromEntries(bound) as unknown as Bound<S>;
}
