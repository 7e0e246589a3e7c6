/**
 * Kernels that a device's compiler or launcher refused. What needs them is left to the processor:
 * vendors' compilers differ, and a search is worth more than the device's part in it. Invariants: a
 * kernel is tried once; who listens is told once of each, with the compiler's words; a lost device
 * is no refusal.
 */
import { BackendLostError, ExecutionError, UnsupportedError } from '../../driver/errors.js';
import type { KernelCode, Lowered } from './kernels/lowered.js';

export class RefusedKernels {
  readonly #backend: string;
  readonly #sources = new Set<string>();
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor(backend: string, onWarning?: (message: string) => void) {
    this.#backend = backend;
    this.#onWarning = onWarning;
  }

  /** Whether all of it can be tried; without refusals nothing is looked at. */
  allows(lowered: () => Lowered | undefined): boolean {
    if (this.#sources.size === 0) return true;
    return lowered()?.steps.every(({ code }) => !this.#sources.has(code.source)) ?? true;
  }

  /** @throws UnsupportedError when it is refused, on which the host runs what was to run here */
  trying<T>({ name, source }: KernelCode, start: () => T): T {
    if (this.#sources.has(source)) throw this.#refusal(name, 'it was refused before');
    try {
      return start();
    } catch (error) {
      if (!(error instanceof ExecutionError) || error instanceof BackendLostError) throw error;
      this.#sources.add(source);
      const refusal = this.#refusal(name, error.message, { cause: error });
      this.#onWarning?.(refusal.message);
      throw refusal;
    }
  }

  #refusal(name: string, got: string, options?: ErrorOptions): UnsupportedError {
    const error = new UnsupportedError(
      `${this.#backend}: expected to run kernel ${name}, got a refusal; the processor does its work: ${got}`,
      { op: name, backend: this.#backend },
    );
    if (options !== undefined) error.cause = options.cause;
    return error;
  }
}
