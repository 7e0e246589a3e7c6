/**
 * Arguments of kernels as OpenCL takes them: by address and size. Invariant: what is bound holds
 * until the launch that follows at once, so one kernel serves many launches.
 */
import { ARGUMENT_BYTES, writeArgument } from '../argument-bytes.js';
import type { KernelArgument, Pointer } from '../driver.js';
import type { OpenCl } from './bindings.js';
import type { ClKernel } from './programs.js';

export class Arguments {
  readonly #cl: OpenCl;
  readonly #nativeOf: (pointer: Pointer) => bigint;
  /** One argument's bytes. */
  readonly #bytes = new DataView(new ArrayBuffer(ARGUMENT_BYTES));

  constructor(cl: OpenCl, nativeOf: (pointer: Pointer) => bigint) {
    this.#cl = cl;
    this.#nativeOf = nativeOf;
  }

  /** @returns what was refused: which argument, from 0, and the status */
  bind(
    kernel: ClKernel,
    values: readonly KernelArgument[],
  ): { readonly index: number; readonly status: number } | undefined {
    for (const [index, value] of values.entries()) {
      const size = writeArgument(this.#bytes, 0, value, this.#nativeOf);
      const status = this.#cl.setKernelArg(kernel.native, index, size, this.#bytes);
      if (status !== 0) return { index, status };
    }
    return undefined;
  }
}
