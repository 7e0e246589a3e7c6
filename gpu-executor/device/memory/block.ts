/**
 * One piece of a device's memory, or a value that is for now on the host alone, and who it is there
 * for. Invariant: while it is locked it has memory, and that stays the same.
 */
import { InternalError } from '../../../driver/errors.js';
import type { Handle } from '../../../driver/ir/value.js';
import type { BudgetItem } from '../../../driver/support/budget.js';
import type { Pointer } from '../driver.js';
import type { BlockStore } from './block-store.js';

/** A value that may be asked for although nobody holds it, and that can be made again. */
export interface Tenant {
  /** Of the trace that made it; 1 for what came from the host. */
  readonly height: number;
  /** To make it again. @units seconds */
  readonly seconds: number;
  /** Worth memory of its own: dear, or asked for before. */
  readonly isProtected: boolean;
  /** Of a host value: who needs the room may be who copied it, and would copy it again. */
  readonly isCopy?: boolean;
  /** Nobody is to find it any more. */
  leave(): void;
}

/**
 * `live`: locked or pinned. Otherwise free: `empty` without a value, `spare` with one that is not
 * worth an allocation, `kept` with one that is; `taken` on its way
 * between these, or free on the host alone.
 */
export type BlockState = 'live' | 'empty' | 'spare' | 'kept' | 'taken';

let made = 0;

export class Block implements BudgetItem {
  /** Later ones are larger. */
  readonly id = ++made;
  readonly bytes: number;
  state: BlockState = 'live';
  /** Who queues work on it just now, or reads it on the copy queue. */
  locks = 1;
  /** Plans that will read it, its maker among them until the cache owns it. */
  pins = 0;
  /** Names the value in it. */
  handle: Handle | undefined;
  tenant: Tenant | undefined;
  /** The same value on the host. */
  host: Uint8Array | undefined;
  /** In the order of use: larger is later. */
  usedAt = 0;
  budget: object | undefined;
  /** What its memory is of: a device that was lost is replaced by another. */
  readonly store: BlockStore;
  #pointer: Pointer | undefined;

  constructor(pointer: Pointer, store: BlockStore) {
    this.bytes = pointer.bytes;
    this.store = store;
    this.#pointer = pointer;
  }

  get isAway(): boolean {
    return this.#pointer === undefined;
  }

  /** @throws InternalError for a value that is on the host alone */
  get pointer(): Pointer {
    if (this.#pointer !== undefined) return this.#pointer;
    throw new InternalError('device memory: expected a block in use, got a value on the host');
  }

  set pointer(pointer: Pointer | undefined) {
    this.#pointer = pointer;
  }
}
