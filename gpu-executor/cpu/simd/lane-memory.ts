/**
 * Memory that lanes compute in, and the functions compiled for it. Invariant: views go stale when
 * it grows, so it is grown before they are made. One thread uses one memory.
 */
import { InternalError } from '../../../driver/errors.js';
import type { DType } from '../../../driver/ir/dtype.js';
import type { Cells } from '../../../driver/ir/value.js';
import { engine, type WasmMemory, type WasmModule } from './wasm.js';

/** rows, cols, then addresses in bytes. */
export type LaneFunction = (...args: readonly number[]) => void;

const PAGE_BYTES = 65_536;

/** Where the next value begins: a line of the cache, which is several vectors. */
export const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

export class LaneMemory {
  #memory: WasmMemory | undefined;
  /** Below it lie values of a block that is computed: the memory does not grow then. @units bytes */
  #held = 0;
  readonly #functions = new WeakMap<WasmModule, LaneFunction>();

  /** Has at least so many bytes. */
  reserve(bytes: number): void {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    if (this.#memory === undefined) {
      this.#memory = new engine.Memory({ initial: Math.max(1, pages) });
      return;
    }
    const more = pages - this.#memory.buffer.byteLength / PAGE_BYTES;
    if (more > 0) this.#memory.grow(more);
  }

  /**
   * Runs what holds views of the first bytes, and gives those in it that many more.
   * @param more what `beyond` may be asked for
   */
  hold<T>(bytes: number, more: number, body: () => T): T {
    const held = aligned(bytes);
    this.reserve(held + more);
    this.#held = held;
    try {
      return body();
    } finally {
      this.#held = 0;
    }
  }

  /** Values stand in the first bytes, and kernels may have that many more beside them (`beyond`). */
  stand(bytes: number, more: number): void {
    this.#held = aligned(bytes);
    this.reserve(this.#held + more);
    standing.set(this.#memory!.buffer, this);
  }

  /** Where so many bytes are free for a kernel, until the next one asks. */
  beyond(bytes: number): number {
    if (this.#held === 0) this.reserve(bytes);
    else if (this.#held + bytes > this.bytes) {
      throw new InternalError(
        `lanes: expected at most ${this.bytes - this.#held} bytes beside a block, got ${bytes}`,
      );
    }
    return this.#held;
  }

  /** Bytes reserved. */
  get bytes(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  /** Cells at an address, which is a multiple of their size. */
  cells(dtype: DType, address: number, count: number): Cells {
    const { buffer } = this.#memory!;
    return dtype === 'float32'
      ? new Float32Array(buffer, address, count)
      : new Float64Array(buffer, address, count);
  }

  /** Integers at an address, which is a multiple of 4. */
  integers(address: number, count: number): Int32Array {
    return new Int32Array(this.#memory!.buffer, address, count);
  }

  /** Whether the cells lie in this memory as it is now. */
  holds(cells: Cells): boolean {
    return cells.buffer === this.#memory?.buffer;
  }

  function(module: WasmModule): LaneFunction {
    let run = this.#functions.get(module);
    if (run === undefined) {
      this.reserve(PAGE_BYTES);
      const { exports } = new engine.Instance(module, { m: { memory: this.#memory! } });
      run = exports.run;
      this.#functions.set(module, run);
    }
    return run;
  }
}

const standing = new WeakMap<ArrayBufferLike, LaneMemory>();

/** The memory that these cells stand in. */
export function standingMemory(cells: Cells): LaneMemory | undefined {
  return standing.get(cells.buffer);
}

/** Of this thread: one block, or one kernel, is computed in it at a time. */
export const threadMemory = new LaneMemory();

/** Of this thread, for tiles of what lies anywhere: of one kernel, also while a block is computed. */
export const tileMemory = new LaneMemory();
