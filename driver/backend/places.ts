/**
 * Where the values of a session are: in the backend that made them (its `CacheTier` holds what the
 * cache keeps there), on the host beside their originals, or on the way. Values come to the host
 * because somebody reads them; what was brought stays while it saves most for its size. What leaves
 * a backend moves to the host for good when that pays. Invariants: nothing is brought for the sake
 * of being kept; a value is brought once, however many read it and however they overlap; a move
 * runs beside other work, nobody waits for it, and one that fails is an eviction like any other.
 */
import type { ResourceError } from '../errors.js';
import { bytesOf, type DenseMatrix, type Handle, type Value } from '../ir/value.js';
import type { Backend, RunContext } from './backend.js';
import type { CacheEntry } from './cache-entry.js';
import { type CacheTier, pinValues } from './cache-tier.js';
import { type Copy, leastSaved, type NewCopy, Place } from './place.js';

export interface PlacesOptions {
  readonly backends: ReadonlyMap<string, Backend>;
  /** For copies on the host beside their originals; 0: none. @units bytes */
  readonly copyBytes: number;
  /** Whether a value leaving a backend is worth a host copy. @param isHere there is one already */
  readonly movePays: (entry: CacheEntry, handle: Handle, isHere: boolean) => boolean;
  /** Told what bringing a value took. @units seconds */
  readonly brought?: (handle: Handle, seconds: number) => void;
}

/** What moving asks of the index of values. */
export interface MoveIndex {
  readonly tiers: Iterable<CacheTier>;
  probe(expr: CacheEntry['expr']): CacheEntry | undefined;
  claim(expr: CacheEntry['expr']): unknown;
  put(expr: CacheEntry['expr'], value: Value, seconds: number, backend: string): void;
}

export class Places {
  /** Host copies of what backends hold. */
  readonly host: Place<DenseMatrix>;
  readonly #options: PlacesOptions;
  readonly #moving = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.host = new Place<DenseMatrix>({ budgetBytes: options.copyBytes, victims: leastSaved });
  }

  /** The host copy of a backend's value, pinned; undefined when it can't be brought. */
  async bring(handle: Handle, context: RunContext): Promise<Copy<DenseMatrix> | undefined> {
    return this.host.bring(handle, () => this.fetch(handle, context));
  }

  /** A backend's value, copied to the host and not kept there. */
  async fetch(handle: Handle, context: RunContext): Promise<NewCopy<DenseMatrix> | undefined> {
    const backend = this.#options.backends.get(handle.backend);
    await backend?.arrived?.(handle);
    const start = performance.now();
    const it = await backend?.collect?.(handle, context);
    if (it?.kind !== 'dense') return undefined;
    const seconds = (performance.now() - start) / 1000;
    this.#options.brought?.(handle, seconds);
    return { it, bytes: bytesOf(it), seconds };
  }

  /** A value on the host, if it can be brought there. */
  async read(value: Value, context: RunContext): Promise<Value> {
    if (value.kind === 'dense') return value;
    const copy = await this.bring(value, context);
    if (copy !== undefined) this.host.unpin(copy);
    return copy?.it ?? value;
  }

  /** Whether a value went with its backend. */
  isGone(value: Value): boolean {
    if (value.kind === 'dense') return false;
    return this.#options.backends.get(value.backend)?.holds?.(value) === false;
  }

  release(handle: Handle): void {
    this.#options.backends.get(handle.backend)?.release?.(handle);
  }

  /** Moves what a backend can spare to the host where that pays. False when nothing is left. */
  async makeRoom({ tier }: Backend, error: ResourceError): Promise<boolean> {
    if (error.facts.isTooLarge === true) return false;
    const isRoom = tier?.makeRoom?.(missingBytes(error)) ?? false;
    if (isRoom) await this.settle();
    return isRoom;
  }

  /**
   * Moves what running plans read later, but for these, from a backend to the host, where that
   * takes less time than it gains. False when it doesn't.
   */
  async vacate(
    { tier }: Backend,
    error: ResourceError,
    gainSeconds: number,
    reads: Iterable<Value>,
  ): Promise<boolean> {
    return (await tier?.vacate?.(missingBytes(error), gainSeconds, reads)) ?? false;
  }

  /** Called for a value that is about to leave the index: takes it over if that pays. */
  leaving(entry: CacheEntry, index: MoveIndex): void {
    const handle = entry.value;
    if (this.#isClosed || handle?.kind !== 'handle') return;
    const pays = this.#options.movePays(entry, handle, this.host.has(handle));
    const copy = this.host.drop(handle);
    if (!pays) return;
    const move = this.#move(entry, handle, copy, index).catch(() => undefined);
    this.#moving.add(move);
    void move.then(() => this.#moving.delete(move));
  }

  /** Resolves when nothing is moving. */
  async settle(): Promise<void> {
    await Promise.all(this.#moving);
  }

  /** Nothing moves from here on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.host.clear();
    await this.settle();
  }

  async #move(
    { expr, seconds, backend }: CacheEntry,
    handle: Handle,
    copy: DenseMatrix | undefined,
    index: MoveIndex,
  ): Promise<void> {
    const end = pinValues(index.tiers, [handle]);
    try {
      const value = copy ?? (await this.read(handle, {}));
      // After the entry is out of the index, which is when this turn's synchronous work is done.
      await Promise.resolve();
      if (value.kind === 'handle' || this.#isClosed || index.probe(expr) !== undefined) return;
      index.claim(expr);
      index.put(expr, value, seconds, backend);
      this.host.drop(handle);
    } finally {
      end();
    }
  }
}

function missingBytes({ facts }: ResourceError): number {
  const bytes = Number(facts.requestedBytes) - Number(facts.availableBytes);
  return Number.isFinite(bytes) ? bytes : 1;
}
