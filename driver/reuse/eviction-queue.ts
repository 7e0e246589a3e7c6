/**
 * Candidates for eviction, lowest score first: a binary heap whose places are put right only when
 * they come up. Invariant: an entry's true score is never below the one it stands at, since scores
 * only rise; so the first whose place is true is the lowest of all. Adding costs a push, a hit
 * costs nothing.
 */
import type { CacheEntry } from '../backend/cache-entry.js';
import type { EvictionPolicy } from './eviction-policy.js';

interface Place {
  readonly entry: CacheEntry;
  score: number;
  tie: number;
}

/** What was removed is held in its place until so many were, and they are half of all. */
const MIN_REMOVED = 32;

export class EvictionQueue {
  readonly #policy: EvictionPolicy;
  #heap: Place[] = [];
  /** Added since something was last taken; most sessions never take anything. */
  #fresh: CacheEntry[] = [];
  #removed = 0;

  constructor(policy: EvictionPolicy) {
    this.#policy = policy;
  }

  add(entry: CacheEntry): void {
    if (entry.queue === this) return;
    entry.queue = this;
    this.#fresh.push(entry);
  }

  /** Leaves its place to be skipped when it comes up. */
  remove(entry: CacheEntry): void {
    if (entry.queue !== this) return;
    entry.queue = undefined;
    this.#removed++;
    if (this.#removed > MIN_REMOVED && this.#removed * 2 > this.#heap.length + this.#fresh.length) {
      this.#heapify();
    }
  }

  /** The lowest entry, out of the queue; undefined when there is none but `keep`. */
  take(keep?: CacheEntry): CacheEntry | undefined {
    this.#settleFresh();
    let kept: Place | undefined;
    let taken: CacheEntry | undefined;
    while (this.#heap.length > 0 && taken === undefined) {
      const place = this.#heap[0]!;
      const { entry } = place;
      if (entry.queue !== this) {
        this.#removed--;
        this.#pop();
        continue;
      }
      const score = this.#policy.score(entry);
      const tie = this.#policy.tieBreak(entry);
      if (score !== place.score || tie !== place.tie) {
        place.score = score;
        place.tie = tie;
        this.#sink(0);
      } else {
        this.#pop();
        if (entry === keep) kept = place;
        else taken = entry;
      }
    }
    if (kept !== undefined) this.#push(kept);
    if (taken !== undefined) taken.queue = undefined;
    return taken;
  }

  #settleFresh(): void {
    const fresh = this.#fresh;
    if (fresh.length === 0) return;
    if (fresh.length * 4 > this.#heap.length) {
      this.#heapify();
      return;
    }
    this.#fresh = [];
    for (const entry of fresh) {
      if (entry.queue === this) this.#push(this.#place(entry));
      else this.#removed--;
    }
  }

  /** Everything anew, in linear time, without what was removed. An entry that was removed and added again stands once. */
  #heapify(): void {
    const entries = new Set<CacheEntry>();
    for (const { entry } of this.#heap) if (entry.queue === this) entries.add(entry);
    for (const entry of this.#fresh) if (entry.queue === this) entries.add(entry);
    this.#fresh = [];
    this.#removed = 0;
    this.#heap = Array.from(entries, (entry) => this.#place(entry));
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  #place(entry: CacheEntry): Place {
    return { entry, score: this.#policy.score(entry), tie: this.#policy.tieBreak(entry) };
  }

  #push(place: Place): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(place);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBelow(place, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = place;
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const place = heap[from]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBelow(heap[child + 1]!, heap[child]!)) child++;
      if (!isBelow(heap[child]!, place)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = place;
  }
}

function isBelow(a: Place, b: Place): boolean {
  return a.score < b.score || (a.score === b.score && a.tie < b.tie);
}
