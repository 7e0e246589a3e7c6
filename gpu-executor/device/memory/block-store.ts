/**
 * The memory of one open device and the order in which it is given: a free block of that exact size
 * that is not worth keeping, an allocation, a free block of that size whose value goes for it; where
 * none of these is, blocks are given back, the smallest larger one or as many as it takes, those
 * without values before others. Exact sizes first, since allocating and freeing stop a device and
 * leave pieces. Invariants: a block is live (locked or pinned) or free, never both; what is live is
 * not given to anybody else; bytes live and free never exceed the budget; each pointer is freed
 * once. Source: MEMPHIS (EDBT 2025) 5, algorithm 1, and its implementation for what comes first.
 */
import { InternalError, ResourceError } from '../../../driver/errors.js';
import { Block } from './block.js';
import { FreeLists, type FreeRank } from './free-lists.js';
import { Pool, type PoolOptions } from './pool.js';
import { SizePhases } from './size-phases.js';

const RANKS: readonly FreeRank[] = ['spare', 'kept'];

export interface StoreOptions extends PoolOptions {
  /** Of the device, in errors. */
  readonly name: string;
}

export class BlockStore {
  readonly pool: Pool;
  recycled = 0;
  evicted = 0;
  /** Without copies of host values. */
  #evictedResults = 0;
  phases = 0;
  readonly #name: string;
  /** A block has lost its value for good. */
  readonly #forget: (block: Block) => void;
  readonly #free = new FreeLists();
  readonly #phases = new SizePhases();
  /** Out of the cache, their values being brought to the host. */
  readonly #leaving = new Set<Block>();
  /** Requests refused while values were leaving, which is waited for by `makeRoom`. */
  #refused = 0;
  #clock = 0;

  constructor(options: StoreOptions, forget: (block: Block) => void) {
    this.pool = new Pool(options);
    this.#name = options.name;
    this.#forget = forget;
  }

  /** See `DeviceMemory.take`. */
  take(bytes: number): Block {
    if (bytes > this.pool.largestBytes) throw this.#refusal(bytes, this.pool.largestBytes, true);
    const block =
      this.#recycle(bytes, 'spare') ??
      this.#allocate(bytes) ??
      this.#recycle(bytes, 'kept') ??
      this.#allocateInPlaceOf(bytes);
    if (block !== undefined) return block;
    if (this.#leaving.size > 0) this.#refused++;
    throw this.#refusal(bytes, this.pool.roomBytes, false);
  }

  lock(block: Block): void {
    this.#makeLive(block);
    block.locks++;
  }

  release(block: Block): void {
    block.locks--;
    this.#settle(block);
  }

  pin(block: Block): void {
    this.#makeLive(block);
    block.pins++;
  }

  unpin(block: Block): void {
    block.pins--;
    this.#settle(block);
  }

  /** Its value was asked for. */
  touch(block: Block): void {
    block.usedAt = ++this.#clock;
    if (block.state === 'spare') this.#listAnew(block);
  }

  /** Nobody is to find the value in it any more; who pins it reads it still. */
  vacant(block: Block): void {
    block.tenant = undefined;
    if (block.state === 'live') return;
    this.#lose(block);
    if (block.state !== 'taken') this.#listAnew(block);
  }

  isLeaving(block: Block): boolean {
    return this.#leaving.has(block);
  }

  /** See `DeviceMemory.expect`. */
  expect(sizes: readonly number[]): void {
    const isPhase = this.#phases.begins(sizes);
    const wanted = new Set(sizes);
    const needed = sizes.reduce((sum, bytes) => sum + bytes, 0) - this.#free.bytesOf(wanted);
    if (!isPhase || this.pool.roomBytes >= needed) return;
    this.phases++;
    const isUnlike = (bytes: number): boolean => !wanted.has(bytes);
    for (const rank of RANKS) {
      // All that is only memory, and as many values as it takes.
      const isEnough = (): boolean => rank === 'kept' && this.pool.roomBytes >= needed;
      while (!isEnough() && this.#giveBack(0, rank, isUnlike));
    }
  }

  /**
   * Evicts values until the bytes are free or on their way. False when there are none but copies,
   * which whoever asks would only make again.
   */
  makeRoom(bytes: number): boolean {
    if (this.#refused > 0) {
      this.#refused--;
      return true;
    }
    const before = this.#evictedResults;
    const enough = this.#comingBytes() + bytes;
    for (const rank of RANKS) while (this.#comingBytes() < enough && this.#giveBack(0, rank));
    return this.#evictedResults > before;
  }

  /** Gives back all that is free. */
  clear(): void {
    for (const rank of RANKS) while (this.#giveBack(0, rank));
  }

  #allocate(bytes: number): Block | undefined {
    const pointer = this.pool.allocate(bytes);
    return pointer && new Block(pointer, this);
  }

  /** The first of that size to go; no value worth keeping while enough is on its way. */
  #recycle(bytes: number, rank: FreeRank): Block | undefined {
    while (rank === 'spare' || !this.#isComing(bytes)) {
      const block = this.#free.takeExact(bytes, rank);
      if (block === undefined) return undefined;
      if (!this.#evict(block)) continue;
      this.recycled++;
      return new Block(block.pointer, this);
    }
    return undefined;
  }

  /** After giving back the smallest larger block, else as many as it takes, else all there are. */
  #allocateInPlaceOf(bytes: number): Block | undefined {
    for (const rank of RANKS) {
      while ((rank === 'spare' || !this.#isComing(bytes)) && this.#giveBack(bytes, rank)) {
        const block = this.#allocate(bytes);
        if (block !== undefined) return block;
      }
    }
    if (this.#isComing(bytes)) return undefined;
    this.pool.forgetFailures();
    return this.#allocate(bytes);
  }

  /** False when there is none. */
  #giveBack(bytes: number, rank: FreeRank, isAllowed?: (bytes: number) => boolean): boolean {
    const block = this.#free.takeLarger(bytes, rank, isAllowed);
    if (block !== undefined && this.#evict(block)) this.pool.free(block.pointer);
    return block !== undefined;
  }

  /** The value of a block that was taken out of the lists goes. False while it is being moved. */
  #evict(block: Block): boolean {
    if (block.tenant === undefined) return true;
    this.evicted++;
    if (block.tenant.isCopy !== true) this.#evictedResults++;
    block.tenant.leave();
    this.vacant(block);
    if (block.state !== 'live') return true;
    this.#leaving.add(block);
    return false;
  }

  /** Whether values that are being moved leave room enough. */
  #isComing(bytes: number): boolean {
    return this.#leaving.size > 0 && this.#comingBytes() >= bytes;
  }

  /** Room now and once values that are being moved have gone. @units bytes */
  #comingBytes(): number {
    let bytes = this.pool.roomBytes;
    for (const block of this.#leaving) bytes += block.bytes;
    return bytes;
  }

  #makeLive(block: Block): void {
    if (block.state === 'empty') {
      throw new InternalError(`${this.#name}: expected a block with a value, got a free one`);
    }
    if (block.state === 'spare' || block.state === 'kept') this.#free.remove(block);
    block.state = 'live';
  }

  /** Free when nobody locks or pins it. */
  #settle(block: Block): void {
    if (block.locks + block.pins > 0) return;
    if (block.state !== 'live' || block.locks < 0 || block.pins < 0) {
      throw new InternalError(`${this.#name}: expected a live block, got one released before`);
    }
    block.usedAt = ++this.#clock;
    block.state = 'taken';
    this.#leaving.delete(block);
    if (block.tenant === undefined) this.#lose(block);
    if (!block.isAway) this.#free.add(block);
    else if (block.tenant !== undefined) queueMicrotask(() => this.#endAway(block));
  }

  /** A value on the host alone that no plan reads is the host's, if the cache moves it there. */
  #endAway(block: Block): void {
    if (block.isAway && block.state === 'taken') this.#evict(block);
  }

  #lose(block: Block): void {
    this.#forget(block);
    block.handle = undefined;
    block.host = undefined;
  }

  #listAnew(block: Block): void {
    this.#free.remove(block);
    this.#free.add(block);
  }

  #refusal(bytes: number, availableBytes: number, isTooLarge: boolean): ResourceError {
    return new ResourceError(
      `${this.#name}: expected ${bytes} bytes of its memory, got ${availableBytes}; use smaller data or another placement`,
      { resource: `${this.#name} memory`, requestedBytes: bytes, availableBytes, isTooLarge },
    );
  }
}
