/**
 * Recycles block buffers of the passes of one segment. Invariant: a buffer is handed out again only
 * after its block is done with, so the steady state of a stream allocates nothing. Sizes are
 * rounded up to eighths of a power of two: blocks of passes over similar data (the files of a data
 * set, a column more or less) share their memory. Two runs at once share no buffer.
 */
import { cellBytes, type DType } from '../../driver/ir/dtype.js';
import { type Cells, cellsOf } from '../../driver/ir/value.js';

export class BufferPool {
  /** By bytes. */
  readonly #free = new Map<number, ArrayBuffer[]>();

  /** A buffer of exactly that many cells; its contents are unspecified. */
  acquire(cells: number, dtype: DType): Cells {
    const bytes = 8 * capacity((cells * cellBytes({ dtype })) / 8);
    return cellsOf(dtype, cells, this.#free.get(bytes)?.pop() ?? new ArrayBuffer(bytes));
  }

  release({ buffer }: Cells): void {
    const free = this.#free.get(buffer.byteLength);
    if (free === undefined) this.#free.set(buffer.byteLength, [buffer as ArrayBuffer]);
    else free.push(buffer as ArrayBuffer);
  }
}

/** Float64 cells allocated for a buffer of that many. */
function capacity(cells: number): number {
  const step = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, cells))) - 3);
  return Math.ceil(cells / step) * step;
}
