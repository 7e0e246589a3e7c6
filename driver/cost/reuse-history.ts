/**
 * How often each value was read by earlier plans, from which the planner judges how likely it is to
 * be read again. Where an earlier session read the same value, as many reads as then are expected:
 * a job that is repeated repeats its loops. Otherwise a value read n times so far is expected to be
 * read n times more (the Lindy estimate, exact for a heavy-tailed lifetime), so that it is worth
 * keeping from its second reader on, as delayed caching has it.
 */
import { isFrameData } from '../frame/frame-data.js';
import type { Expr } from '../ir/expr.js';
import { lineageKey } from '../ir/lineage-key.js';
import { ReadCounts } from './read-counts.js';

/** More reads than this say nothing more. */
const MAX_EXPECTED = 16;

export class ReuseHistory {
  readonly #reads = new WeakMap<Expr, number>();
  /** What an earlier session read, looked up before this one writes over it; 0 for none. */
  readonly #earlier = new WeakMap<Expr, number>();
  readonly #counts: ReadCounts;

  /** @param counts of earlier sessions; this one's are noted there */
  constructor(counts = new ReadCounts()) {
    this.#counts = counts;
  }

  /** One more plan that runs reads these values. @param forLater later sessions are to know */
  note(exprs: Iterable<Expr>, forLater = true): void {
    for (const expr of exprs) {
      const reads = this.reads(expr) + 1;
      this.#earlierReads(expr);
      this.#reads.set(expr, reads);
      if (forLater && expr.isDeterministic) this.#counts.note(lineageKey(expr), reads);
    }
  }

  /** Plans of this session that read it so far. */
  reads(expr: Expr): number {
    return this.#reads.get(expr) ?? 0;
  }

  /** Later plans expected to read it. Data of a frame are read at least once more: models are fitted, then scored. */
  expected(expr: Expr): number {
    const reads = this.reads(expr);
    const earlier = this.#earlierReads(expr);
    // Past what the earlier session read, what is left of the loop is unknown again.
    const more = reads < earlier ? earlier - reads : reads - earlier;
    const least = reads === 0 && expr.inputs.length > 0 && isFrameData(expr) ? 1 : 0;
    return Math.min(MAX_EXPECTED, Math.max(least, more));
  }

  /** Of those expected, the ones an earlier session is the witness of. */
  foreseen(expr: Expr): number {
    return Math.min(MAX_EXPECTED, Math.max(0, this.#earlierReads(expr) - this.reads(expr)));
  }

  #earlierReads(expr: Expr): number {
    const known = this.#earlier.get(expr);
    if (known !== undefined) return known;
    const isKnown = this.#counts.size > 0 && expr.isDeterministic;
    const earlier = isKnown ? (this.#counts.of(lineageKey(expr)) ?? 0) : 0;
    this.#earlier.set(expr, earlier);
    return earlier;
  }
}
