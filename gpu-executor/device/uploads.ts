/**
 * Host values on their way to a device. Large ones go by the copy queue, beside the kernels that are
 * queued. Invariants: a copy begins behind the last kernel that used its memory for something else;
 * what reads it is queued behind it; where that kernel is not known, behind all that are queued.
 */
import type { CopyOptions, Device, DeviceEvent, Pointer } from './driver.js';
import type { Block, DeviceMemory } from './memory/device-memory.js';

export interface Uploaded {
  /** Locked. */
  readonly block: Block;
  readonly event: DeviceEvent;
}

/** Smaller copies take no longer than the two queues' waiting for each other. @units bytes */
const LARGE_BYTES = 64 * 1024;

export class Uploads {
  readonly #device: Device;
  readonly #memory: DeviceMemory;
  /** The last kernel that used it, as far as is known. */
  readonly #usedBy = new WeakMap<Pointer, DeviceEvent>();
  /** When copies that are kept are there. */
  readonly #copied = new WeakMap<Block, DeviceEvent>();

  constructor(device: Device, memory: DeviceMemory) {
    this.#device = device;
    this.#memory = memory;
  }

  /**
   * A host value on the device, copied once while there is room for the copy.
   * @param host its identity @param parts what is copied, at least one
   * @param isKept the parts are the same each time that the value is @throws as `DeviceMemory.take`
   */
  bring(host: object, parts: readonly ArrayBufferView[], isKept: boolean): Uploaded {
    const known = isKept ? this.#memory.copyOf(host) : undefined;
    if (known !== undefined) return { block: known, event: this.#copied.get(known)! };
    const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const block = this.#memory.take(Math.max(bytes, 1));
    try {
      const isBeside = isKept && bytes >= LARGE_BYTES;
      const last = (): DeviceEvent => this.#usedBy.get(block.pointer) ?? this.#all(block.pointer);
      const options: CopyOptions = isBeside ? { queue: 'copy', after: [last()] } : {};
      const event = this.#write(block.pointer, parts, options);
      if (isKept) {
        this.#memory.keepCopy(host, block);
        this.#copied.set(block, event);
      }
      return { block, event };
    } catch (error) {
      this.#memory.release(block);
      throw error;
    }
  }

  /** One part behind the other. */
  #write(to: Pointer, parts: readonly ArrayBufferView[], options: CopyOptions): DeviceEvent {
    let event: DeviceEvent | undefined;
    let offsetBytes = 0;
    for (const part of parts) {
      event = this.#device.write(to, part, { ...options, offsetBytes });
      offsetBytes += part.byteLength;
    }
    return event!;
  }

  /** All that is queued by now: nothing is copied. */
  #all(pointer: Pointer): DeviceEvent {
    return this.#device.copy(pointer, pointer, 0);
  }

  /** A kernel uses it. */
  used(pointer: Pointer, event: DeviceEvent): void {
    this.#usedBy.set(pointer, event);
  }

  /** Who used it last is not known. */
  forget(pointer: Pointer): void {
    this.#usedBy.delete(pointer);
  }

  /** Before memory is released that no kernel may have used since it was written. */
  unused({ block, event }: Uploaded): void {
    this.forget(block.pointer);
    if (event.queue !== 'copy') return;
    // Nothing is copied; what is queued from now on is behind the copy.
    this.#device.copy(block.pointer, block.pointer, 0, { after: [event] });
  }
}
