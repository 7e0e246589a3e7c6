/**
 * Free memory by exact size. Of one size goes first what holds no value, last used first, since its
 * memory is warm; then the value with the lowest score: recency, inverse height of its trace and
 * cost, each scaled to the list. Recency keeps what is in use, inverse height what is near to the
 * input (batches that come again), cost what is dear. Invariant: a block stands in one list of its
 * size, in the rank that its state says. Source: MEMPHIS (EDBT 2025) 5.3, equation 2; the size is
 * constant in a list.
 */
import { Budget, type VictimRule } from '../../../driver/support/budget.js';
import type { Block } from './block.js';

/** What goes before an allocation, and what only goes for want of room. */
export type FreeRank = 'spare' | 'kept';

/** Scores are scaled anew after as many are taken as this part of a list. */
const RESCALE_SHARE = 1 / 8;

export class FreeLists {
  readonly #lists = new Map<number, SizeList>();
  /** Of lists that hold something, ascending. */
  readonly #sizes: number[] = [];

  /** A block that nobody locks or pins, by what its tenant is worth now. */
  add(block: Block): void {
    const { bytes, tenant } = block;
    block.state = tenant === undefined ? 'empty' : tenant.isProtected ? 'kept' : 'spare';
    let list = this.#lists.get(bytes);
    if (list === undefined) {
      list = new SizeList();
      this.#lists.set(bytes, list);
    }
    if (list.size === 0) this.#sizes.splice(this.#placeOf(bytes), 0, bytes);
    list.add(block);
  }

  /** Takes a certain block with a tenant out. */
  remove(block: Block): void {
    this.#lists.get(block.bytes)!.remove(block);
    this.#removed(block);
  }

  /** The first to go of that size. */
  takeExact(bytes: number, rank: FreeRank): Block | undefined {
    const block = this.#lists.get(bytes)?.take(rank);
    if (block !== undefined) this.#removed(block);
    return block;
  }

  /** The first to go of the smallest size above; where there is none, of the largest size. */
  takeLarger(
    bytes: number,
    rank: FreeRank,
    isAllowed: (bytes: number) => boolean = anySize,
  ): Block | undefined {
    const sizes = this.#sizes;
    const fits = (size: number): boolean => isAllowed(size) && this.#lists.get(size)!.has(rank);
    let size: number | undefined;
    for (let i = this.#placeOf(bytes); i < sizes.length && size === undefined; i++) {
      if (fits(sizes[i]!)) size = sizes[i];
    }
    size ??= sizes.findLast(fits);
    return size === undefined ? undefined : this.takeExact(size, rank);
  }

  /** Free memory of these sizes. @units bytes */
  bytesOf(sizes: ReadonlySet<number>): number {
    let bytes = 0;
    for (const size of sizes) bytes += size * (this.#lists.get(size)?.size ?? 0);
    return bytes;
  }

  #removed(block: Block): void {
    block.state = 'taken';
    if (this.#lists.get(block.bytes)!.size > 0) return;
    this.#lists.delete(block.bytes);
    this.#sizes.splice(this.#placeOf(block.bytes), 1);
  }

  /** Of the first size that is not smaller. */
  #placeOf(bytes: number): number {
    let [low, high] = [0, this.#sizes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sizes[middle]! < bytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const anySize = (): boolean => true;

class SizeList {
  readonly #empty: Block[] = [];
  readonly #tenanted = new Set<Block>();
  readonly #ranks: Readonly<Record<FreeRank, Budget<Block>>>;
  readonly #counts: Record<FreeRank, number> = { spare: 0, kept: 0 };
  /** What terms are scaled to. */
  #oldest = 0;
  #newest = 0;
  #dearest = 0;
  #takenSince = Infinity;

  constructor() {
    const rule: VictimRule<Block> = { score: (block) => this.#score(block), tieBreak };
    this.#ranks = { spare: new Budget(rule, Infinity), kept: new Budget(rule, Infinity) };
  }

  get size(): number {
    return this.#empty.length + this.#tenanted.size;
  }

  has(rank: FreeRank): boolean {
    return this.#counts[rank] > 0 || (rank === 'spare' && this.#empty.length > 0);
  }

  add(block: Block): void {
    if (block.state === 'empty') {
      this.#empty.push(block);
      return;
    }
    const rank = rankOf(block);
    this.#tenanted.add(block);
    this.#counts[rank]++;
    this.#ranks[rank].add(block);
  }

  remove(block: Block): void {
    const rank = rankOf(block);
    this.#tenanted.delete(block);
    this.#counts[rank]--;
    this.#ranks[rank].remove(block);
  }

  take(rank: FreeRank): Block | undefined {
    const empty = rank === 'spare' ? this.#empty.pop() : undefined;
    if (empty !== undefined) return empty;
    if (this.#counts[rank] === 0) return undefined;
    if (++this.#takenSince > this.#tenanted.size * RESCALE_SHARE) this.#rescale();
    const block = this.#ranks[rank].take();
    if (block !== undefined) this.remove(block);
    return block;
  }

  #score({ usedAt, tenant }: Block): number {
    const { height, seconds } = tenant!;
    const recency = (usedAt - this.#oldest) / Math.max(1, this.#newest - this.#oldest);
    return recency + 1 / height + (this.#dearest > 0 ? seconds / this.#dearest : 0);
  }

  #rescale(): void {
    this.#takenSince = 0;
    [this.#oldest, this.#newest, this.#dearest] = [Infinity, 0, 0];
    for (const { usedAt, tenant } of this.#tenanted) {
      this.#oldest = Math.min(this.#oldest, usedAt);
      this.#newest = Math.max(this.#newest, usedAt);
      this.#dearest = Math.max(this.#dearest, tenant!.seconds);
    }
    for (const budget of Object.values(this.#ranks)) budget.reorder();
  }
}

const tieBreak = ({ id }: Block): number => id;

function rankOf({ state }: Block): FreeRank {
  return state === 'kept' ? 'kept' : 'spare';
}
