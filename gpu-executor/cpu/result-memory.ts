/**
 * Memory of results nobody reads any more, for the next results of the same size: a chain of
 * operators runs in two buffers that stay warm, where fresh ones would each cost an allocation and
 * page faults. Invariants: a buffer is handed out to one holder at a time, and what lies here
 * unused stays within a limit. Source: buffer recycling of MEMPHIS (EDBT 2025) 5.1, there for GPU
 * pointers, here for the host.
 */
import type { DType } from '../../driver/ir/dtype.js';
import { type Cells, cellsOf, dtypeOf } from '../../driver/ir/value.js';
import { memoryShares } from '../../driver/support/memory.js';

/** Smaller results are cheaper to allocate than to look up. @units cells */
const MIN_CELLS = 32;

export class ResultMemory {
  /** By dtype, then by cells. */
  readonly #free = {
    float64: new Map<number, Cells[]>(),
    float32: new Map<number, Cells[]>(),
  };
  #idleBytes = 0;
  /** Memory kept that nobody uses. @units bytes */
  readonly #maxIdleBytes = memoryShares().idleBytes;

  /** A buffer of exactly that many cells; what it holds is unspecified. */
  acquire(cells: number, dtype: DType): Cells {
    if (this.#idleBytes === 0 || cells < MIN_CELLS) return cellsOf(dtype, cells);
    const buffer = this.#free[dtype].get(cells)?.pop();
    if (buffer === undefined) return cellsOf(dtype, cells);
    this.#idleBytes -= buffer.byteLength;
    return buffer;
  }

  /** The caller gives the buffer up. Part of a larger one is left to the garbage collector. */
  release(buffer: Cells): void {
    if (buffer.length < MIN_CELLS || buffer.byteLength !== buffer.buffer.byteLength) return;
    if (this.#idleBytes + buffer.byteLength > this.#maxIdleBytes) this.#clear();
    if (buffer.byteLength > this.#maxIdleBytes) return;
    const sizes = this.#free[dtypeOf(buffer)];
    const free = sizes.get(buffer.length);
    if (free === undefined) sizes.set(buffer.length, [buffer]);
    else free.push(buffer);
    this.#idleBytes += buffer.byteLength;
  }

  /** Sizes of the past make room for those of now. */
  #clear(): void {
    for (const sizes of Object.values(this.#free)) sizes.clear();
    this.#idleBytes = 0;
  }
}
