/**
 * Memory of results nobody reads any more, for the next results of the same size: a chain of
 * operators runs in two buffers that stay warm, where fresh ones would each cost an allocation and
 * page faults. Invariants: a buffer is handed out to one holder at a time, and what lies here
 * unused stays within a limit. Source: buffer recycling of MEMPHIS (EDBT 2025) 5.1, there for GPU
 * pointers, here for the host.
 */
import { memoryShares } from '../../driver/support/memory.js';

/** Smaller results are cheaper to allocate than to look up. @units cells */
const MIN_CELLS = 32;

export class ResultMemory {
  readonly #free = new Map<number, Float64Array[]>();
  #idleBytes = 0;
  /** Memory kept that nobody uses. @units bytes */
  readonly #maxIdleBytes = memoryShares().idleBytes;

  /** A buffer of exactly that many cells; what it holds is unspecified. */
  acquire(cells: number): Float64Array {
    if (this.#idleBytes === 0 || cells < MIN_CELLS) return new Float64Array(cells);
    const buffer = this.#free.get(cells)?.pop();
    if (buffer === undefined) return new Float64Array(cells);
    this.#idleBytes -= buffer.byteLength;
    return buffer;
  }

  /** The caller gives the buffer up. Part of a larger one is left to the garbage collector. */
  release(buffer: Float64Array): void {
    if (buffer.length < MIN_CELLS || buffer.byteLength !== buffer.buffer.byteLength) return;
    if (this.#idleBytes + buffer.byteLength > this.#maxIdleBytes) this.#clear();
    if (buffer.byteLength > this.#maxIdleBytes) return;
    const free = this.#free.get(buffer.length);
    if (free === undefined) this.#free.set(buffer.length, [buffer]);
    else free.push(buffer);
    this.#idleBytes += buffer.byteLength;
  }

  /** Sizes of the past make room for those of now. */
  #clear(): void {
    this.#free.clear();
    this.#idleBytes = 0;
  }
}
