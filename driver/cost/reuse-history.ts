/**
 * How often each value was read by earlier plans, from which the planner judges how likely it is to
 * be read again. Where an earlier session read the same value, as many reads as then are expected:
 * a job that is repeated repeats its loops. Otherwise a value read n times so far is expected to be
 * read n times more (the Lindy estimate, exact for a heavy-tailed lifetime), so that it is worth
 * keeping from its second reader on, as delayed caching has it.
 */
import { isFrameData } from '../frame/frame-data.js';
import type { Expr } from '../ir/expr.js';
import { type LineageKey, lineageKey } from '../ir/lineage-key.js';

const MAX_VALUES = 512;
/** Enough of a key to tell values apart; being wrong costs time only. */
const KEY_LENGTH = 32;
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

  /** Later plans expected to read it. Frame data are read once more at least, for scoring. */
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

/**
 * How many plans read each value of data in the latest session that had it, by lineage key: kept
 * with the learned costs. Invariants: at most `MAX_VALUES` values, those noted longest ago go
 * first; only what was read repeatedly is remembered, so that a search of a million values does not
 * push out the data it is over.
 */
export class ReadCounts {
  readonly #counts = new Map<string, number>();
  /** Grows with every count that was noted. */
  changes = 0;

  /** @param counts as `toJson` gave them; what is no count is left out */
  constructor(counts: Readonly<Record<string, unknown>> = {}) {
    for (const [key, reads] of Object.entries(counts)) {
      if (typeof reads === 'number' && Number.isSafeInteger(reads) && reads > 0)
        this.#set(key, reads);
    }
  }

  get size(): number {
    return this.#counts.size;
  }

  of(key: LineageKey): number | undefined {
    return this.#counts.get(key.slice(0, KEY_LENGTH));
  }

  /** A session has read the value so many times by now. */
  note(key: LineageKey, reads: number): void {
    const short = key.slice(0, KEY_LENGTH);
    if (reads < 2 && !this.#counts.has(short)) return;
    this.#set(short, reads);
    this.changes++;
  }

  toJson(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  #set(key: string, reads: number): void {
    this.#counts.delete(key);
    this.#counts.set(key, reads);
    if (this.#counts.size <= MAX_VALUES) return;
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest);
      break;
    }
  }
}
