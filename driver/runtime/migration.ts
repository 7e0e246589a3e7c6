/**
 * Values that change place because the cost model says it pays. A value that leaves a backend's
 * storage is kept on the host, and from there on disk, when what it saves its expected readers,
 * even if they must send it back, exceeds bringing it; a copy that is here already stays for
 * nothing. Invariants: a migration runs beside other work and nobody waits for it; the backend
 * keeps the value until it has been read; a migration that fails is an eviction like any other.
 */

import type { Backend, RunContext } from '../backend/backend.js';
import type { CacheEntry } from '../backend/cache-entry.js';
import { pinValues } from '../backend/cache-tier.js';
import type { CostModel } from '../cost/cost-model.js';
import { HostReplicas } from '../cost/host-replicas.js';
import { observeCollect } from '../cost/measure.js';
import type { DenseMatrix, Handle } from '../ir/value.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';

/** Migrations of a value that is larger than this share of the host's budget would push out too much else. */
const MAX_SHARE = 0.25;
/** Host copies beside their originals may take this share of the host's budget. */
const REPLICA_SHARE = 0.25;

export interface MigrationOptions {
  readonly backends: ReadonlyMap<string, Backend>;
  readonly costs: CostModel;
  /** Host memory for cached results. @units bytes */
  readonly budgetBytes: number;
  /** False: what leaves a backend is gone, and nothing is kept beside its original. For measuring. */
  readonly enabled: boolean;
}

export class Migration {
  readonly replicas: HostReplicas;
  readonly #options: MigrationOptions;
  readonly #moving = new Set<Promise<void>>();
  #isClosed = false;
  /** Values that left a backend and stayed on the host. */
  moved = 0;

  constructor(options: MigrationOptions) {
    this.#options = options;
    this.replicas = new HostReplicas(options.enabled ? options.budgetBytes * REPLICA_SHARE : 0);
  }

  /**
   * Whether keeping an evicted value on the host pays: readers expected from those it had, each
   * saved what computing it takes less what sending it back takes.
   */
  pays(entry: CacheEntry, handle: Handle): boolean {
    const { backends, costs, budgetBytes, enabled } = this.#options;
    const backend = backends.get(handle.backend);
    const bytes = handle.rows * handle.cols * 8;
    if (!enabled || backend?.collect === undefined || bytes > budgetBytes * MAX_SHARE) return false;
    const isHere = this.replicas.has(handle);
    const bring = isHere
      ? 0
      : costs.start(backend).seconds + costs.download(backend, bytes).seconds;
    const saved = entry.seconds - costs.upload(backend, bytes).seconds;
    return (entry.hits + entry.misses) * saved > bring;
  }

  /** Called for a value that is about to leave `cache`: takes it over if that pays. */
  leaving(entry: CacheEntry, cache: ReuseCache): void {
    const handle = entry.value;
    if (this.#isClosed || handle?.kind !== 'handle') return;
    const pays = this.pays(entry, handle);
    const replica = this.replicas.take(handle);
    if (!pays) return;
    // After the entry is out of the index, which is when this turn's synchronous work is done.
    const move = this.#move(entry, handle, replica, cache).catch(() => undefined);
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
    this.replicas.clear();
    await this.settle();
  }

  async #move(
    entry: CacheEntry,
    handle: Handle,
    replica: DenseMatrix | undefined,
    cache: ReuseCache,
  ): Promise<void> {
    const { expr, seconds, backend } = entry;
    const end = pinValues(cache.tiers, [handle]);
    try {
      const value = replica ?? (await this.collect(handle, {}));
      await Promise.resolve();
      if (value === undefined || this.#isClosed || cache.probe(expr) !== undefined) return;
      cache.claim(expr);
      cache.put(expr, value, seconds, backend);
      this.moved++;
    } finally {
      end();
    }
  }

  /** Brings a value to the host, from its copy here if there is one, and keeps the copy. Undefined when it can't be brought. */
  async collect(handle: Handle, context: RunContext): Promise<DenseMatrix | undefined> {
    const known = this.replicas.read(handle);
    if (known !== undefined) return known;
    const backend = this.#options.backends.get(handle.backend);
    const start = performance.now();
    const value = await backend?.collect?.(handle, context);
    if (backend === undefined || value?.kind !== 'dense') return undefined;
    const seconds = (performance.now() - start) / 1000;
    observeCollect(this.#options.costs, backend, handle, seconds);
    if (!this.#isClosed) this.replicas.keep(handle, value, seconds);
    return value;
  }
}
