/**
 * Host matrices that lie in the cluster, cut into row blocks or whole as broadcasts, so that a
 * second program does not send one again. Invariants: an entry lives at most as long as its matrix
 * does here, all of them stay within the limits (least recently used leaves first), and none is let
 * go while a program that was told of it runs.
 */
import { denseBytes } from '../../driver/ir/expr.js';
import type { DenseMatrix } from '../../driver/ir/value.js';

interface Upload {
  readonly bytes: number;
  /** Programs under way that read it. */
  users: number;
}

export interface UploadLimits {
  readonly bytes: number;
  /** Most matrices at once. Default: no limit. */
  readonly count?: number;
}

export class UploadCache {
  readonly #handles = new WeakMap<Float64Array, string>();
  readonly #arriving = new WeakMap<Float64Array, Promise<void>>();
  /** In order of use, oldest first. */
  readonly #live = new Map<string, Upload>();
  /** Out of the cache; let go when no program reads them any more. */
  readonly #leaving = new Map<string, Upload>();
  readonly #collected: FinalizationRegistry<string>;
  readonly #release: (handle: string) => void;
  readonly #limits: UploadLimits;
  #bytes = 0;

  constructor(limits: UploadLimits, release: (handle: string) => void) {
    this.#limits = limits;
    this.#release = release;
    this.#collected = new FinalizationRegistry((handle) => this.#drop(handle));
  }

  /** The handle of a matrix that is there already, for a program that says when it has ended by `done`. */
  use(matrix: DenseMatrix): string | undefined {
    const handle = this.#handles.get(matrix.data);
    const known = handle === undefined ? undefined : this.#live.get(handle);
    if (handle === undefined || known === undefined) return undefined;
    known.users++;
    this.#live.delete(handle);
    this.#live.set(handle, known);
    return handle;
  }

  has(matrix: DenseMatrix): boolean {
    const handle = this.#handles.get(matrix.data);
    return handle !== undefined && this.#live.has(handle);
  }

  done(handle: string): void {
    const known = this.#live.get(handle) ?? this.#leaving.get(handle);
    if (known === undefined) return;
    known.users--;
    if (known.users > 0 || !this.#leaving.delete(handle)) return;
    this.#release(handle);
  }

  add(handle: string, matrix: DenseMatrix): void {
    const bytes = denseBytes(matrix);
    const earlier = this.#handles.get(matrix.data);
    if (earlier !== undefined) this.#drop(earlier);
    this.#handles.set(matrix.data, handle);
    this.#live.set(handle, { bytes, users: 0 });
    this.#collected.register(matrix.data, handle);
    this.#bytes += bytes;
    const { bytes: bytesLimit, count = Infinity } = this.#limits;
    for (const oldest of this.#live.keys()) {
      const isFull = this.#bytes > bytesLimit || this.#live.size > count;
      if (!isFull || oldest === handle) break;
      this.#drop(oldest);
    }
  }

  /** Sends a matrix ahead of the programs that will read it, once; nobody need wait. @param send never rejects */
  announce(matrix: DenseMatrix, send: () => Promise<string | undefined>): void {
    if (this.has(matrix) || this.#arriving.has(matrix.data)) return;
    const arrival = send().then((handle) => {
      this.#arriving.delete(matrix.data);
      if (handle !== undefined) this.add(handle, matrix);
    });
    this.#arriving.set(matrix.data, arrival);
  }

  /** Resolves when a matrix that is on its way has arrived; undefined when it is not on its way. */
  arrival(matrix: DenseMatrix): Promise<void> | undefined {
    return this.#arriving.get(matrix.data);
  }

  #drop(handle: string): void {
    const entry = this.#live.get(handle);
    if (entry === undefined) return;
    this.#live.delete(handle);
    this.#bytes -= entry.bytes;
    if (entry.users > 0) this.#leaving.set(handle, entry);
    else this.#release(handle);
  }
}
