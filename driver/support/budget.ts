/**
 * A budget of bytes and the candidates that go when it is exceeded, lowest score first: host
 * memory, the disk under it, Spark's storage, copies of values. Who holds bytes charges them; what
 * may go is added. Candidates stand in a binary heap whose places are put right only when they come
 * up. Invariant: while an item stands in it, its score never falls below the one it stands at,
 * unless `reorder` is called; so the first whose place is true is the lowest of all. Adding costs a
 * push, a score that rises costs nothing.
 */

/** Which item goes first. */
export interface VictimRule<Item> {
  /** What losing it costs for what it frees: the lowest goes first. */
  readonly score: (item: Item) => number;
  /** Among equal scores the lowest goes. */
  readonly tieBreak: (item: Item) => number;
}

/** What losing something costs for what it frees, read as often as before and once more. */
export function lossPerByte(reads: number, seconds: number, bytes: number): number {
  return ((reads + 1) * seconds) / Math.max(1, bytes);
}

/** What was used longest ago goes first. */
export const leastRecentlyUsed: VictimRule<{ readonly usedAt: number }> = {
  score: ({ usedAt }) => usedAt,
  tieBreak: () => 0,
};

/** What may stand in a budget, in one at a time. */
export interface BudgetItem {
  /** The budget it stands in; set by that alone. */
  budget: object | undefined;
}

interface Place<Item> {
  readonly item: Item;
  score: number;
  tie: number;
}

/** What was removed is held in its place until so many were, and they are half of all. */
const MIN_REMOVED = 32;

export class Budget<Item extends BudgetItem> {
  /** Held now, candidates or not. @units bytes */
  bytes = 0;
  /** Set anew by the owner where it changes. @units bytes */
  limitBytes: number;
  readonly #rule: VictimRule<Item>;
  #heap: Place<Item>[] = [];
  /** Added since something last went; most sessions never take anything. */
  #fresh: Item[] = [];
  #removed = 0;

  constructor(rule: VictimRule<Item>, limitBytes: number) {
    this.#rule = rule;
    this.limitBytes = limitBytes;
  }

  isOver(moreBytes = 0): boolean {
    return this.bytes + moreBytes > this.limitBytes;
  }

  /** Counts bytes that are held from now on; fewer than 0 were given back. */
  charge(bytes: number): void {
    this.bytes += bytes;
  }

  /** From now on the item may go. */
  add(item: Item): void {
    if (item.budget === this) return;
    item.budget = this;
    this.#fresh.push(item);
  }

  /** It may not go any more. Leaves its place to be skipped when it comes up. */
  remove(item: Item): void {
    if (item.budget !== this) return;
    item.budget = undefined;
    this.#removed++;
    if (this.#removed > MIN_REMOVED && this.#removed * 2 > this.#heap.length + this.#fresh.length) {
      this.reorder();
    }
  }

  /** Removes the lowest candidate other than those that stay this time; undefined for none. */
  take(isKept?: (item: Item) => boolean): Item | undefined {
    let kept: Place<Item>[] | undefined;
    let place = this.#takeLowest();
    while (place !== undefined && isKept?.(place.item) === true) {
      kept ??= [];
      kept.push(place);
      place = this.#takeLowest();
    }
    if (kept !== undefined) for (const one of kept) this.#push(one);
    if (place !== undefined) place.item.budget = undefined;
    return place?.item;
  }

  /**
   * Candidates as by `take`, until it fits: whoever asks for the next one has given the bytes of
   * the last one back.
   * @param isOver whether another one is to go. Default: more bytes are held than may be
   */
  *victims(
    isOver = (): boolean => this.isOver(),
    isKept?: (item: Item) => boolean,
  ): Generator<Item> {
    while (isOver()) {
      const item = this.take(isKept);
      if (item === undefined) return;
      yield item;
    }
  }

  /** Places all anew, in linear time. An item that was removed and added again stands once. */
  reorder(): void {
    const items = new Set<Item>();
    for (const { item } of this.#heap) if (item.budget === this) items.add(item);
    for (const item of this.#fresh) if (item.budget === this) items.add(item);
    this.#fresh = [];
    this.#removed = 0;
    this.#heap = Array.from(items, (item) => this.#place(item));
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** The lowest, out of the heap, its score being true. */
  #takeLowest(): Place<Item> | undefined {
    this.#settleFresh();
    for (let place = this.#heap[0]; place !== undefined; place = this.#heap[0]) {
      if (place.item.budget !== this) {
        this.#removed--;
        this.#pop();
        continue;
      }
      const score = this.#rule.score(place.item);
      const tie = this.#rule.tieBreak(place.item);
      if (score === place.score && tie === place.tie) {
        this.#pop();
        return place;
      }
      place.score = score;
      place.tie = tie;
      this.#sink(0);
    }
    return undefined;
  }

  #settleFresh(): void {
    const fresh = this.#fresh;
    if (fresh.length === 0) return;
    if (fresh.length * 4 > this.#heap.length) {
      this.reorder();
      return;
    }
    this.#fresh = [];
    for (const item of fresh) {
      if (item.budget === this) this.#push(this.#place(item));
      else this.#removed--;
    }
  }

  #place(item: Item): Place<Item> {
    return { item, score: this.#rule.score(item), tie: this.#rule.tieBreak(item) };
  }

  #push(place: Place<Item>): void {
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

function isBelow<Item>(a: Place<Item>, b: Place<Item>): boolean {
  return a.score < b.score || (a.score === b.score && a.tie < b.tie);
}
