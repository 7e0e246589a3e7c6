/**
 * Memory behind the seam of devices without a device: cells in host memory, copied at once. It
 * checks what any device may rely on: nothing is used that is not allocated, or freed twice.
 */
import assert from 'node:assert/strict';
import { ResourceError } from '../../driver/errors.js';
import type { Device, DeviceEvent, Pointer } from '../../gpu-executor/device/driver.js';

export class PlainDevice implements Pick<Device, 'allocate' | 'free' | 'read' | 'write' | 'wait'> {
  readonly there = new Map<Pointer, Uint8Array>();
  readonly events: string[] = [];
  /** What it really has, in whatever pieces. */
  capacityBytes = Infinity;

  get bytes(): number {
    return [...this.there.keys()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  allocate(bytes: number): Pointer {
    if (this.bytes + bytes > this.capacityBytes) {
      this.events.push(`fail ${bytes}`);
      throw new ResourceError(`plain device: expected ${bytes} bytes, got none; free some`);
    }
    this.events.push(`allocate ${bytes}`);
    const pointer = { bytes };
    this.there.set(pointer, new Uint8Array(bytes));
    return pointer;
  }

  free(pointer: Pointer): void {
    this.events.push(`free ${pointer.bytes}`);
    assert.ok(this.there.delete(pointer), 'expected to free what is allocated');
  }

  write(to: Pointer, from: ArrayBufferView): DeviceEvent {
    this.events.push(`write ${to.bytes}`);
    this.cellsAt(to).set(bytesAt(from));
    return { queue: 'compute' };
  }

  read(from: Pointer, to: ArrayBufferView): DeviceEvent {
    this.events.push(`read ${from.bytes}`);
    bytesAt(to).set(this.cellsAt(from));
    return { queue: 'compute' };
  }

  async wait(): Promise<void> {
    this.events.push('wait');
    await new Promise((resolve) => setImmediate(resolve));
  }

  cellsAt(pointer: Pointer): Uint8Array {
    const cells = this.there.get(pointer);
    assert.ok(cells, 'expected to use what is allocated');
    return cells;
  }
}

function bytesAt({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
