/**
 * Recycles block buffers of the passes of one segment. Invariant: a buffer is handed out again only
 * after its block is done with, so the steady state of a stream allocates nothing. Sizes are
 * rounded up to eighths of a power of two: blocks of passes over similar data (the files of a data
 * set, a column more or less) share their memory. Two runs at once share no buffer.
 */
export class BufferPool {
  readonly #free = new Map<number, ArrayBufferLike[]>();

  /** A buffer of exactly that many cells; its contents are unspecified. */
  acquire(cells: number): Float64Array {
    const memory =
      this.#free.get(capacity(cells))?.pop() ?? new Float64Array(capacity(cells)).buffer;
    return new Float64Array(memory, 0, cells);
  }

  release(buffer: Float64Array): void {
    const free = this.#free.get(capacity(buffer.length));
    if (free === undefined) this.#free.set(capacity(buffer.length), [buffer.buffer]);
    else free.push(buffer.buffer);
  }
}

/** Cells allocated for a buffer of that many. */
function capacity(cells: number): number {
  const step = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, cells))) - 3);
  return Math.ceil(cells / step) * step;
}
