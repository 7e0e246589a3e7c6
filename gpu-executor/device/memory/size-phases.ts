/**
 * Finds where the sizes that a program allocates change: the next network, other batches. A segment
 * begins a phase when most of the bytes it asks for are of sizes that none of the last segments
 * asked for. Memory of the sizes before would then be given back piece by piece, each for want of
 * room; at a phase it is given back at once. Source: injected eviction of MEMPHIS (EDBT 2025) 5.3,
 * which rewrites programs before loops over mini-batches and doesn't look at sizes.
 */

/** Sizes asked for since so many segments are known: a loop's segments differ from each other. */
const REMEMBERED_SEGMENTS = 64;
/** A phase begins where more than this part of the bytes is of unknown sizes. */
const UNLIKE_SHARE = 1 / 2;

export class SizePhases {
  /** The last segment that asked for a size. */
  readonly #askedAt = new Map<number, number>();
  #segments = 0;

  /** A segment is about to take these. @returns whether it begins a phase, other than the first */
  begins(sizes: readonly number[]): boolean {
    this.#segments++;
    let [all, unlike] = [0, 0];
    for (const bytes of sizes) {
      all += bytes;
      const askedAt = this.#askedAt.get(bytes) ?? -Infinity;
      if (this.#segments - askedAt > REMEMBERED_SEGMENTS) unlike += bytes;
    }
    for (const bytes of sizes) this.#askedAt.set(bytes, this.#segments);
    if (this.#segments % REMEMBERED_SEGMENTS === 0) this.#forget();
    return this.#segments > 1 && unlike > all * UNLIKE_SHARE;
  }

  #forget(): void {
    for (const [bytes, askedAt] of this.#askedAt) {
      if (this.#segments - askedAt > REMEMBERED_SEGMENTS) this.#askedAt.delete(bytes);
    }
  }
}
