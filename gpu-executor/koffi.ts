/**
 * The way to native libraries, for every folder here that binds one. Invariant: koffi is configured
 * once, before the first library is loaded.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

/** A native function with its asynchronous form, which runs on libuv's thread pool. */
export interface NativeFunction<A extends readonly unknown[], R> {
  (...args: A): R;
  async(...args: [...A, (error: Error | null, result: R) => void]): void;
}

const ASYNC_STACK_BYTES = 1024 * 1024;
/** Asynchronous calls at once, all threads busy many times over; koffi keeps at most 32 stacks. */
export const MAX_IN_FLIGHT = 32;

let koffiModule: typeof Koffi | undefined;

/** @throws the loader's error on a machine koffi has no build for */
export function loadKoffi(): typeof Koffi {
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
