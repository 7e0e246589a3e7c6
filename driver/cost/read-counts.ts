/**
 * How many plans read each value of data in the latest session that had it, by lineage key: what a
 * run that is repeated will read again, which its own first plans can't tell. Kept with the learned
 * costs. Invariants: at most `MAX_VALUES` values, those noted longest ago go first; only what was
 * read repeatedly is remembered, so that a search of a million values does not push out the data it
 * is over.
 */
import type { LineageKey } from '../ir/lineage-key.js';

const MAX_VALUES = 512;
/** Enough of a key to tell values apart; being wrong costs time only. */
const KEY_LENGTH = 32;

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
