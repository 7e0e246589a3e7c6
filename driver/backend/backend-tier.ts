/**
 * Values that a backend holds, as a tier of the reuse cache: the memory of a device, or whatever a
 * backend without a tier of its own keeps. The backend enforces its capacity; when it has no room,
 * what is here goes, least worth first, until there is. Invariants: what a running plan reads is
 * never evicted; a value is released once, and never while it is pinned.
 */
import type { Handle } from '../ir/value.js';
import { lossPerByte } from '../support/budget.js';
import type { CacheEntry } from './cache-entry.js';
import type { CacheTier, TierIndex, TierUsage } from './cache-tier.js';
import { Place } from './place.js';

interface Kept {
  readonly entry: CacheEntry;
  readonly handle: Handle;
}

export class BackendTier implements CacheTier {
  readonly name: string;
  readonly #place: Place<Kept>;
  #index: TierIndex | undefined;
  /** Values that went to make room. */
  evicted = 0;

  constructor(name: string, release: (handle: Handle) => void, budgetBytes = Infinity) {
    this.name = name;
    this.#place = new Place<Kept>({
      budgetBytes,
      victims: {
        score: ({ it: { entry }, bytes }) =>
          lossPerByte(entry.hits + entry.misses, entry.seconds, bytes),
        tieBreak: ({ it }) => it.entry.usedAt,
      },
      release: ({ handle }) => release(handle),
    });
  }

  connect(index: TierIndex): void {
    this.#index = index;
  }

  pin(handles: readonly Handle[]): () => void {
    const pinned = handles.flatMap((handle) => this.#place.use(handle) ?? []);
    return () => {
      for (const copy of pinned.splice(0)) this.#place.unpin(copy);
    };
  }

  put(entry: CacheEntry, handle: Handle): void {
    this.#place.add(handle, { it: { entry, handle }, bytes: handle.bytes, seconds: entry.seconds });
  }

  drop(_entry: CacheEntry, handle: Handle): void {
    this.#place.drop(handle);
  }

  /** Evicts what is worth least until so many bytes are given back. False when nothing is left. */
  makeRoom(bytes: number): boolean {
    const before = this.#place.bytes;
    const victims = this.#place.victims(() => this.#place.bytes > before - bytes);
    for (const { it } of victims) {
      this.evicted++;
      this.#index?.evict(it.entry.expr);
    }
    return this.#place.bytes < before;
  }

  usage(): TierUsage {
    const { bytes, budgetBytes, size } = this.#place;
    return { bytes, budgetBytes: budgetBytes === Infinity ? null : budgetBytes, entries: size };
  }
}
