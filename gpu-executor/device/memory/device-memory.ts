/**
 * The values in a device's memory: their names, what the reuse cache keeps of them, copies of host
 * values, and values that running plans have on the host for want of room. What is not held is free,
 * and as long as the cache finds a value in free memory that value is answered. Invariants: a name
 * is of one value until it ends; a value is evicted from the cache before its memory is given to
 * another; a value is copied to the host once. Source: MEMPHIS (EDBT 2025) 5.
 */
import type { CacheEntry } from '../../../driver/backend/cache-entry.js';
import type { CacheTier, TierIndex, TierUsage } from '../../../driver/backend/cache-tier.js';
import { InternalError } from '../../../driver/errors.js';
import type { Handle, Value } from '../../../driver/ir/value.js';
import type { Device } from '../driver.js';
import { Block } from './block.js';
import { BlockStore } from './block-store.js';
import { copyOut, type MovingDevice, worthMoving } from './moves.js';
import { entryTenant, HostCopies } from './tenants.js';

export type { Block } from './block.js';

export interface DeviceMemoryOptions {
  /** Of the backend whose values lie here. */
  readonly name: string;
  readonly device: MovingDevice & Pick<Device, 'allocate' | 'free'>;
  /** Its own; no device is trusted to enforce one. @units bytes */
  readonly budgetBytes: number;
  /** The largest the device gives in one piece. Default: the budget. @units bytes */
  readonly largestBytes?: number;
  /** To copy so much from the host to the device, or back. @units seconds */
  readonly copySeconds: (bytes: number) => number;
  /** Results of light operators get memory of their own the second time. Default true. */
  readonly delaysCaching?: boolean;
}

/** What was done so far, but for the bytes held now. */
export interface DeviceMemoryCounts {
  readonly allocations: number;
  readonly frees: number;
  /** Blocks given again without an allocation. */
  readonly recycled: number;
  /** Values here that a later plan read. */
  readonly reused: number;
  /** Values that nobody finds any more because their memory was needed. */
  readonly evicted: number;
  /** Values of running plans that went to the host for want of room, and came back. */
  readonly movedOut: number;
  readonly movedBack: number;
  /** Times the sizes asked for changed and memory of the sizes before was given back at once. */
  readonly phases: number;
  /** @units bytes */
  readonly heldBytes: number;
  readonly peakBytes: number;
  readonly budgetBytes: number;
}

export class DeviceMemory implements CacheTier {
  readonly name: string;
  #options: DeviceMemoryOptions;
  #store: BlockStore;
  #index: TierIndex | undefined;
  readonly #named = new Map<string, Block>();
  #copies = hostCopies();
  readonly #done = { reused: 0, movedOut: 0, movedBack: 0 };

  constructor(options: DeviceMemoryOptions) {
    this.name = options.name;
    this.#options = options;
    this.#store = this.#open();
  }

  /** Since it was opened or opened anew. */
  get counts(): DeviceMemoryCounts {
    const { pool, recycled, evicted, phases } = this.#store;
    const { allocations, frees, heldBytes, peakBytes, budgetBytes } = pool;
    const bytes = { heldBytes, peakBytes, budgetBytes };
    return { allocations, frees, recycled, evicted, phases, ...this.#done, ...bytes };
  }

  /**
   * Memory of that size, locked, its content undefined: work queued before may still use it, so it
   * is written on the compute queue, or behind that.
   * @param bytes at least 1
   * @throws ResourceError when there is no room, `facts.isTooLarge` if there never is;
   *   BackendLostError
   */
  take(bytes: number): Block {
    return this.#store.take(bytes);
  }

  /**
   * A segment is about to take blocks: those of values it keeps, and each size of the others once.
   * Where these sizes are unlike those before and there is no room beside them, memory that they
   * don't recycle is given back at once, and of values as many as it takes.
   */
  expect(sizes: readonly number[]): void {
    this.#store.expect(sizes);
  }

  /** Locked once more. */
  lock(block: Block): void {
    block.store.lock(block);
  }

  /** Unlocked once: no work queued from now on uses it for who locked it. */
  release(block: Block): void {
    block.store.release(block);
  }

  /** The value in a locked block gets a name, which takes over one lock. */
  named(handle: Handle, block: Block): void {
    if (block.handle !== undefined || block.locks < 1) {
      throw new InternalError(`${this.name}: expected a locked block without a name for a value`);
    }
    block.handle = handle;
    block.locks--;
    block.pins++;
    this.#named.set(handle.id, block);
  }

  /**
   * The block of a value, locked; undefined when the handle names nothing. One that is on the host
   * alone is copied back, on the compute queue. @throws as `take`
   */
  use(handle: Handle): Block | undefined {
    const block = this.#named.get(handle.id);
    if (block === undefined) return undefined;
    if (block.isAway) this.#moveBack(block);
    this.lock(block);
    return block;
  }

  has(handle: Handle): boolean {
    return this.#named.has(handle.id);
  }

  /** The cells of a value as they were moved to the host. They are not to be changed. */
  onHost(handle: Handle): Uint8Array | undefined {
    return this.#named.get(handle.id)?.host;
  }

  /** The name of a value that the cache doesn't own ends. */
  releaseHandle(handle: Handle): void {
    const block = this.#named.get(handle.id);
    if (block !== undefined) block.store.unpin(block);
  }

  /** The copy of a host value, locked; undefined when there is none. @param cells its identity */
  copyOf(cells: object): Block | undefined {
    const block = this.#copies.find(cells);
    if (block !== undefined) this.lock(block);
    return block;
  }

  /** A locked block holds the copy of a host value, to be found by it while nobody needs room. */
  keepCopy(cells: object, block: Block): void {
    this.#copies.add(cells, block, this.#options.copySeconds(block.bytes));
  }

  /** What no result has: it is free, or holds copies of host values. @units bytes */
  get roomForCopies(): number {
    let bytes = this.#options.budgetBytes;
    for (const block of this.#named.values()) if (!block.isAway) bytes -= block.bytes;
    return bytes;
  }

  connect(index: TierIndex): void {
    this.#index = index;
  }

  pin(handles: readonly Handle[]): () => void {
    const pinned = handles.flatMap((handle) => this.#named.get(handle.id) ?? []);
    for (const block of pinned) block.store.pin(block);
    return () => {
      for (const block of pinned.splice(0)) block.store.unpin(block);
    };
  }

  put(entry: CacheEntry, handle: Handle): void {
    const block = this.#named.get(handle.id);
    if (block === undefined) return;
    block.tenant = entryTenant(entry, this.#options.delaysCaching ?? true, ({ expr }) => {
      this.#index?.evict(expr);
    });
    block.store.unpin(block);
  }

  hit(_entry: CacheEntry, handle: Handle): void {
    this.#done.reused++;
    const block = this.#named.get(handle.id);
    if (block !== undefined) block.store.touch(block);
  }

  drop(_entry: CacheEntry, handle: Handle): void {
    const block = this.#named.get(handle.id);
    if (block !== undefined) block.store.vacant(block);
  }

  makeRoom(bytes: number): boolean {
    return this.#store.makeRoom(bytes);
  }

  /** The smallest that is large enough, else those used longest ago; nothing that is in use. */
  async vacate(bytes: number, gainSeconds: number, reads: Iterable<Value> = []): Promise<boolean> {
    const { copySeconds, device } = this.#options;
    const stay = new Set<Value | undefined>(reads);
    const there = [...this.#named.values()].filter((block) => {
      return !stay.has(block.handle) && !block.store.isLeaving(block);
    });
    const victims = worthMoving(there, bytes, gainSeconds, copySeconds) ?? [];
    const moved = victims.map(async (block) => {
      this.lock(block);
      try {
        await copyOut(device, block);
        return this.#moveAway(block);
      } finally {
        this.release(block);
      }
    });
    const outcomes = await Promise.allSettled(moved);
    return outcomes.some((one) => one.status === 'fulfilled' && one.value);
  }

  usage(): TierUsage {
    let [bytes, entries] = [0, 0];
    for (const block of this.#named.values()) {
      if (block.tenant === undefined) continue;
      bytes += block.isAway ? 0 : block.bytes;
      entries++;
    }
    return { bytes, budgetBytes: this.#options.budgetBytes, entries };
  }

  /**
   * Gives back what is free, with the values in it. What is live goes with its device.
   * @returns what is live @units bytes
   */
  close(): number {
    this.#store.clear();
    return this.#store.pool.heldBytes;
  }

  /**
   * In place of a device that was lost: its values have no names any more, and its memory is not
   * given back.
   */
  reopen(device: DeviceMemoryOptions['device']): void {
    this.#options = { ...this.#options, device };
    this.#named.clear();
    this.#copies = hostCopies();
    this.#store = this.#open();
    Object.assign(this.#done, { reused: 0, movedOut: 0, movedBack: 0 });
  }

  #open(): BlockStore {
    return new BlockStore(this.#options, ({ handle }) => {
      if (handle !== undefined) this.#named.delete(handle.id);
    });
  }

  /** Its memory is free, its value on the host, unless somebody uses it by now. */
  #moveAway(block: Block): boolean {
    const { store, locks, pins } = block;
    if (locks > 1 || pins === 0 || store !== this.#store) return false;
    const memory = new Block(block.pointer, store);
    block.pointer = undefined;
    this.#done.movedOut++;
    store.release(memory);
    return true;
  }

  #moveBack(block: Block): void {
    const { pointer } = this.take(block.bytes);
    this.#options.device.write(pointer, block.host!);
    block.pointer = pointer;
    this.#done.movedBack++;
  }
}

function hostCopies(): HostCopies {
  return new HostCopies((block) => block.store.vacant(block));
}
