/**
 * Recycles block buffers of one pass. Invariant: a buffer is handed out again only after its block is done with, and only
 * for exactly its size, so the steady state of a stream allocates nothing. Each pass has a pool of its own: two runs at
 * once share no buffer.
 */
export class BufferPool {
  readonly #free = new Map<number, Float64Array[]>();

  /** A buffer of exactly that many cells; its contents are unspecified. */
  acquire(cells: number): Float64Array {
    return this.#free.get(cells)?.pop() ?? new Float64Array(cells);
  }

  release(buffer: Float64Array): void {
    const free = this.#free.get(buffer.length);
    if (free === undefined) this.#free.set(buffer.length, [buffer]);
    else free.push(buffer);
  }
}
