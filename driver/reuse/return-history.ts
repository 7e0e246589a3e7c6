/**
 * How likely a value that leaves memory is asked for again, from what became of those that left
 * before. Invariants: counts are halved before they grow old, so what a session does now weighs
 * most; the chance never falls below a quarter, since nothing can return within the first turn of a
 * loop, however long.
 */

/** Of so many imagined before the first, half came back. */
const PRIOR_LEFT = 16;
/** Writing for nothing then adds at most a quarter, and computing again what should have been written at most 60 %. */
const LEAST_SHARE = 0.25;
const MAX_LEFT = 512;

export class ReturnHistory {
  #left = PRIOR_LEFT;
  #returned = PRIOR_LEFT / 2;

  /** A value left memory. */
  left(): void {
    this.#left++;
    if (this.#left < MAX_LEFT) return;
    this.#left /= 2;
    this.#returned /= 2;
  }

  /** A value that had left was read back, or computed again. */
  returned(): void {
    this.#returned++;
  }

  /** The chance for a value that returned so often: Laplace's rule, two imagined trials at the share of all values. */
  chance(returns: number): number {
    const share = Math.min(1, Math.max(LEAST_SHARE, this.#returned / this.#left));
    return (returns + 2 * share) / (returns + 2);
  }
}
