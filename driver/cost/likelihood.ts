/**
 * Whether something comes again, from what became of things of its kind: how many occurred, and how
 * many of those came again. Users differ in what makes a kind and for how long they remember: the
 * transients pass, the cache, spilling and the caching of row blocks. How often *one* value is read is counted
 * in `reuse-history.ts`. Invariants: both counts of a kind are halved before they grow old, so what
 * a session does now weighs most; the kinds remembered are bounded.
 */
import type { Expr } from '../ir/expr.js';
import { forgetOldest } from '../support/forget-oldest.js';

export interface LikelihoodOptions<Thing> {
  /** Things of one kind are taken to be as likely to come again. */
  readonly kindOf: (thing: Thing) => string | number;
  /** Kinds remembered; the ones not met for longest go first. */
  readonly kinds: number;
  /** The counts of a kind are halved at so many occurrences. */
  readonly memory: number;
  /** What a kind has shown before anything of it is known. Default: nothing. */
  readonly prior?: Readonly<Counts>;
}

export interface Counts {
  seen: number;
  /** What came again of those, or of earlier ones. */
  returned: number;
}

export class Likelihood<Thing> {
  readonly #options: LikelihoodOptions<Thing>;
  readonly #prior: Readonly<Counts>;
  readonly #counts = new Map<string | number, Counts>();

  constructor(options: LikelihoodOptions<Thing>) {
    this.#options = options;
    this.#prior = options.prior ?? { seen: 0, returned: 0 };
  }

  /** One more thing occurred. */
  seen(thing: Thing): void {
    const counts = this.#of(thing);
    counts.seen++;
    if (counts.seen < this.#options.memory) return;
    counts.seen /= 2;
    counts.returned /= 2;
  }

  /** A thing that was seen before came again. */
  returned(thing: Thing): void {
    this.#of(thing).returned++;
  }

  counts(thing: Thing): Readonly<Counts> {
    return this.#counts.get(this.#options.kindOf(thing)) ?? this.#prior;
  }

  /** Of the things of its kind that were seen, the part that came again; 0 while none was. */
  share(thing: Thing): number {
    const { seen, returned } = this.counts(thing);
    return Math.min(1, returned / Math.max(seen, 1));
  }

  #of(thing: Thing): Counts {
    const { kindOf, kinds } = this.#options;
    const kind = kindOf(thing);
    const known = this.#counts.get(kind);
    // What is met again moves to the end once something may have to go.
    if (known !== undefined && this.#counts.size * 2 < kinds) return known;
    const counts = known ?? { ...this.#prior };
    this.#counts.delete(kind);
    this.#counts.set(kind, counts);
    forgetOldest(this.#counts, kinds);
    return counts;
  }
}

/** Whether results come again, by operator and roughly by sides: batches differ in their rows. */
export function resultHistory(): Likelihood<Expr> {
  return new Likelihood({
    kindOf: ({ op, rows, cols }) => (op.id << 10) | (Math.clz32(rows) << 5) | Math.clz32(cols),
    kinds: 1 << 14,
    memory: 4096,
  });
}
