/**
 * Host matrices that lie in the cluster as row blocks, so that a second pass over one does not send it again.
 * Invariant: an entry lives at most as long as its matrix does here, and the total stays under the budget (least
 * recently used leaves first).
 */
import { denseBytes } from '../../driver/ir/expr.js';
import type { DenseMatrix } from '../../driver/runtime/value.js';

interface Entry {
  readonly handle: string;
  readonly bytes: number;
}

export class UploadCache {
  readonly #entries = new WeakMap<Float64Array, Entry>();
  /** In order of use, oldest first. */
  readonly #live = new Map<
    string,
    { readonly ref: WeakRef<Float64Array>; readonly bytes: number }
  >();
  readonly #collected: FinalizationRegistry<string>;
  readonly #release: (handle: string) => void;
  readonly #budgetBytes: number;
  #bytes = 0;

  constructor(budgetBytes: number, release: (handle: string) => void) {
    this.#budgetBytes = budgetBytes;
    this.#release = release;
    this.#collected = new FinalizationRegistry((handle) => this.#drop(handle));
  }

  /** The handle of a matrix that is there already. */
  find(matrix: DenseMatrix): string | undefined {
    const entry = this.#entries.get(matrix.data);
    if (entry === undefined) return undefined;
    const known = this.#live.get(entry.handle);
    if (known === undefined) return undefined;
    this.#live.delete(entry.handle);
    this.#live.set(entry.handle, known);
    return entry.handle;
  }

  add(handle: string, matrix: DenseMatrix): void {
    const bytes = denseBytes(matrix);
    const earlier = this.#entries.get(matrix.data);
    if (earlier !== undefined) this.#drop(earlier.handle);
    this.#entries.set(matrix.data, { handle, bytes });
    this.#live.set(handle, { ref: new WeakRef(matrix.data), bytes });
    this.#collected.register(matrix.data, handle);
    this.#bytes += bytes;
    for (const oldest of this.#live.keys()) {
      if (this.#bytes <= this.#budgetBytes || oldest === handle) break;
      this.#drop(oldest);
    }
  }

  #drop(handle: string): void {
    const entry = this.#live.get(handle);
    if (entry === undefined) return;
    this.#live.delete(handle);
    this.#bytes -= entry.bytes;
    this.#release(handle);
  }
}
