/**
 * Values of other devices of the same driver, copied straight from there. Invariants: what is read
 * stays locked there until the copy has ended; a way between two devices that is slower than the
 * one through the host is not taken.
 */
import { ResourceError } from '../../driver/errors.js';
import type { Handle } from '../../driver/ir/value.js';
import type { Device, DeviceEvent, Pointer } from './driver.js';
import type { Block } from './memory/block.js';
import type { DeviceMemory } from './memory/device-memory.js';
import type { DeviceRates } from './rates.js';

/** Large enough that the start of a copy is no part of it. */
const PROBE_BYTES = 4 * 1024 * 1024;

interface Peers {
  readonly from: Device;
  readonly to: Device;
  /** Of `from`: when the value is there. */
  readonly event: DeviceEvent;
}

/**
 * Queues a copy of a value, locked, into memory of another device.
 * @returns undefined where that has no memory for it, or no way
 */
export function adopt(
  { from, to, event }: Peers,
  handle: Handle,
  there: DeviceMemory,
  here: DeviceMemory,
): { readonly block: Block; readonly event: DeviceEvent } | undefined {
  const source = there.use(handle);
  if (source === undefined) return undefined;
  let block: Block | undefined;
  let copied: DeviceEvent | undefined;
  try {
    block = here.take(source.bytes);
    copied = to.copyFrom?.(from, source.pointer, block.pointer, handle.bytes, [event]);
  } catch (error) {
    if (!(error instanceof ResourceError)) throw error;
  } finally {
    if (copied === undefined) {
      there.release(source);
      if (block !== undefined) here.release(block);
    }
  }
  if (block === undefined || copied === undefined) return undefined;
  const end = (): void => there.release(source);
  // A copy that failed has lost its device, which says so to whoever reads the value.
  to.settled(copied).then(end, end);
  return { block, event: copied };
}

export class PeerWays {
  /** By the device that is read, once a pair. */
  readonly #pays = new WeakMap<Device, Promise<boolean>>();
  readonly #throughHost: number;

  constructor({ uploadBytesPerSecond: up, downloadBytesPerSecond: down }: DeviceRates) {
    this.#throughHost = 1 / (1 / up + 1 / down);
  }

  /** Whether it takes less time than the way through the host. @throws as the devices */
  pays(from: Device, to: Device): Promise<boolean> {
    let known = this.#pays.get(from);
    if (known === undefined) {
      known = bytesPerSecond(from, to).then((rate) => rate > this.#throughHost);
      this.#pays.set(from, known);
      known.catch(() => this.#pays.delete(from));
    }
    return known;
  }
}

/** 0 where there is no way, or no memory to try it. */
async function bytesPerSecond(from: Device, to: Device): Promise<number> {
  const pointers: (readonly [Device, Pointer])[] = [];
  const allocated = (device: Device): Pointer => {
    const pointer = device.allocate(PROBE_BYTES);
    pointers.push([device, pointer]);
    return pointer;
  };
  try {
    if (to.copyFrom === undefined) return 0;
    const [source, target] = [allocated(from), allocated(to)];
    const event = from.write(source, new Uint8Array(PROBE_BYTES));
    let seconds = Infinity;
    // The first touches memory that the system has yet to give.
    for (let i = 0; i < 2; i++) {
      await from.settled(event);
      const start = performance.now();
      const copied = to.copyFrom(from, source, target, PROBE_BYTES, [event]);
      if (copied === undefined) return 0;
      await to.settled(copied);
      seconds = (performance.now() - start) / 1000;
    }
    return PROBE_BYTES / Math.max(1e-9, seconds);
  } catch (error) {
    if (error instanceof ResourceError) return 0;
    throw error;
  } finally {
    for (const [device, pointer] of pointers) device.free(pointer);
  }
}
