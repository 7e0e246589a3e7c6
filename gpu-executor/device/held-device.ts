/**
 * The device that a backend holds: opened, lost, opened again, at last closed. Invariants: a loss
 * goes by the name that the session has for the backend; a device that can't be opened again is
 * gone for good, and the processor does its work.
 */
import { BackendLostError, ResourceError } from '../../driver/errors.js';
import type { Device } from './driver.js';
import type { DeviceMemoryOptions } from './memory/device-memory.js';

export class HeldDevice {
  readonly #name: string;
  readonly #open: () => Device;
  #device: Device;
  #isGone = false;
  #leaked = 0;
  #losses = 0;

  constructor(name: string, device: Device, open: () => Device) {
    this.#name = name;
    this.#device = device;
    this.#open = open;
  }

  get device(): Device {
    return this.#device;
  }

  /**
   * Its memory and copies, for one who does not know of losses: they go by our name, and nothing is
   * freed of a device that is lost.
   */
  get memory(): DeviceMemoryOptions['device'] {
    const device = this.#device;
    return {
      allocate: (bytes) => this.#now(() => device.allocate(bytes)),
      free: (pointer) => {
        try {
          device.free(pointer);
        } catch (error) {
          if (!(error instanceof BackendLostError)) throw error;
        }
      },
      read: (...args) => this.#now(() => device.read(...args)),
      write: (...args) => this.#now(() => device.write(...args)),
      wait: (event) => this.tried(() => device.wait(event)),
    };
  }

  /** Lost, and not opened again. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Times it was lost. */
  get losses(): number {
    return this.#losses;
  }

  /** Pointers that were not freed when it was closed: none, or there is a leak. */
  get leaked(): number {
    return this.#leaked;
  }

  /** @throws ResourceError when it is gone, on which the host runs what was to run here */
  check(): void {
    if (!this.#isGone) return;
    throw new ResourceError(
      `${this.#name}: expected the device to be there, got none since it was lost; the processor goes on`,
      { resource: this.#name, isTooLarge: true },
    );
  }

  /** What the driver says of a loss, by the name that the session has for it. */
  asOurs(error: unknown): unknown {
    if (!(error instanceof BackendLostError)) return error;
    return new BackendLostError(error.message, { backend: this.#name }, { cause: error });
  }

  /** @throws what `work` throws, as ours */
  async tried<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.asOurs(error);
    }
  }

  /** A value that went with a device, or never was. */
  missing(what: string): BackendLostError {
    return new BackendLostError(
      `${this.#name}: expected to hold ${what}, got a name of memory that is gone; compute it again`,
      { backend: this.#name },
    );
  }

  /** Opens it again if it is lost, and is not gone yet. @returns whether it was */
  reopen(): boolean {
    if (this.#isGone || !this.#isLost()) return false;
    this.#losses++;
    this.#device.close();
    try {
      this.#device = this.#open();
    } catch {
      this.#isGone = true;
    }
    return true;
  }

  close(): void {
    // What a lost device held went with it.
    const isLost = this.#isLost();
    const left = this.#device.close();
    if (!isLost) this.#leaked += left;
  }

  #isLost(): boolean {
    try {
      this.#device.flush();
      return false;
    } catch (error) {
      return error instanceof BackendLostError;
    }
  }

  #now<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.asOurs(error);
    }
  }
}
