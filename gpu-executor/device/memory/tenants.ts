/** Whose values free memory may hold: entries of the reuse cache, and copies of host values. */
import type { CacheEntry } from '../../../driver/backend/cache-entry.js';
import type { Work } from '../../../driver/ir/op-def.js';
import type { Block, Tenant } from './block.js';

/** Operators whose results are kept the first time they are made. */
const heavy: ReadonlySet<Work | undefined> = new Set<Work>(['product', 'factorise']);

/**
 * A value of the cache. The first result of a light operator is answered while it is there, but its
 * memory goes to the next result of its size before any is allocated; asked for or made again it is
 * kept. Source: delayed caching of MEMPHIS (EDBT 2025) 5.2 with its exception for heavy operators.
 */
export function entryTenant(
  entry: CacheEntry,
  delays: boolean,
  leave: (entry: CacheEntry) => void,
): Tenant {
  const { height } = entry;
  // The node may be exchanged later for one that holds nothing.
  const isHeavy = heavy.has(entry.expr.op.work);
  return {
    height,
    get seconds() {
      return entry.seconds;
    },
    get isProtected() {
      const isCall = entry.aliases !== undefined;
      return !delays || isHeavy || isCall || entry.hits + entry.misses > 0;
    },
    leave: () => leave(entry),
  };
}

/**
 * Copies of host values. They are found while the host value is there; then `orphaned` is told. A
 * copy that was not read again yields its memory like a light operator's result; one that had to be
 * made a second time is kept: a loop's weights met each batch's results of their size.
 */
export class HostCopies {
  readonly #copies = new WeakMap<object, Block>();
  /** Copied before. */
  readonly #met = new WeakSet<object>();
  readonly #collected: FinalizationRegistry<Block>;

  constructor(orphaned: (block: Block) => void) {
    this.#collected = new FinalizationRegistry(orphaned);
  }

  find(cells: object): Block | undefined {
    const block = this.#copies.get(cells);
    if (block?.tenant !== undefined) block.tenant = { ...block.tenant, isProtected: true };
    return block;
  }

  /** @param seconds to copy it again */
  add(cells: object, block: Block, seconds: number): void {
    const of = new WeakRef(cells);
    const leave = (): void => {
      const there = of.deref();
      if (there !== undefined && this.#copies.get(there) === block) this.#copies.delete(there);
      this.#collected.unregister(block);
    };
    const isProtected = this.#met.has(cells);
    block.tenant = { height: 1, seconds, isProtected, isCopy: true, leave };
    this.#met.add(cells);
    this.#copies.set(cells, block);
    this.#collected.register(cells, block, block);
  }
}
