/**
 * Places in one memory for values that come and go in a known order. Invariant: ranges handed out
 * and not given back never overlap.
 */
import { aligned } from '../simd/lane-memory.js';

export class FreeRanges {
  /** Free, in order, no two of them adjacent; beyond the last one all is free. */
  readonly #free: { from: number; to: number }[] = [];
  /** So much memory is needed. @units bytes */
  end = 0;

  /** The least range that fits. @returns where it begins */
  take(bytes: number): number {
    const size = aligned(bytes);
    let best: { from: number; to: number } | undefined;
    for (const range of this.#free) {
      const length = range.to - range.from;
      if (length >= size && (best === undefined || length < best.to - best.from)) best = range;
    }
    if (best === undefined) {
      const last = this.#free.at(-1);
      const from = last?.to === this.end ? last.from : this.end;
      if (from < this.end) this.#free.pop();
      this.end = from + size;
      return from;
    }
    const { from } = best;
    best.from += size;
    if (best.from === best.to) this.#free.splice(this.#free.indexOf(best), 1);
    return from;
  }

  give(from: number, bytes: number): void {
    const to = from + aligned(bytes);
    const at = this.#free.findIndex((range) => range.from >= to);
    const place = at < 0 ? this.#free.length : at;
    const [before, after] = [this.#free[place - 1], this.#free[place]];
    const range = { from, to };
    this.#free.splice(place, 0, range);
    if (after?.from === to) {
      range.to = after.to;
      this.#free.splice(place + 1, 1);
    }
    if (before?.to === from) {
      before.to = range.to;
      this.#free.splice(place, 1);
    }
  }
}
