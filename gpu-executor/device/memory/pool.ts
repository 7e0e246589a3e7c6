/**
 * What is allocated of a device, within a budget. Invariants: no more than the budget is held; each
 * pointer is freed once. An allocation that fails although there is room says that so much is
 * unusable, in pieces or somebody else's: it is not asked for again until all that is free has been
 * given back, since failing is dear. Source: MEMPHIS's implementation in SystemDS.
 */
import { ResourceError } from '../../../driver/errors.js';
import type { Device, Pointer } from '../driver.js';

export interface PoolOptions {
  readonly device: Pick<Device, 'allocate' | 'free'>;
  /** @units bytes */
  readonly budgetBytes: number;
  /** The largest the device gives in one piece. Default: the budget. @units bytes */
  readonly largestBytes?: number;
}

export class Pool {
  /** @units bytes */
  readonly budgetBytes: number;
  /** Nothing larger is ever given. @units bytes */
  readonly largestBytes: number;
  /** @units bytes */
  heldBytes = 0;
  peakBytes = 0;
  allocations = 0;
  frees = 0;
  #unusableBytes = 0;
  readonly #device: Pick<Device, 'allocate' | 'free'>;

  constructor({ device, budgetBytes, largestBytes = budgetBytes }: PoolOptions) {
    this.#device = device;
    this.budgetBytes = budgetBytes;
    this.largestBytes = Math.min(largestBytes, budgetBytes);
  }

  /** @units bytes */
  get roomBytes(): number {
    return this.budgetBytes - this.#unusableBytes - this.heldBytes;
  }

  /** Undefined where there is no room. @throws BackendLostError */
  allocate(bytes: number): Pointer | undefined {
    if (bytes > this.roomBytes) return undefined;
    let pointer: Pointer;
    try {
      pointer = this.#device.allocate(bytes);
    } catch (error) {
      if (!(error instanceof ResourceError)) throw error;
      this.#unusableBytes = this.budgetBytes - this.heldBytes;
      return undefined;
    }
    this.allocations++;
    this.heldBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.heldBytes);
    return pointer;
  }

  free(pointer: Pointer): void {
    this.frees++;
    this.heldBytes -= pointer.bytes;
    this.#device.free(pointer);
  }

  /** All that was free is given back: there may be larger pieces now. */
  forgetFailures(): void {
    this.#unusableBytes = 0;
  }
}
