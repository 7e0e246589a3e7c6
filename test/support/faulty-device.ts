/** A real device behind the seam that fails where a test says: out of memory, lost, a bad kernel. */
import { BackendLostError, ResourceError } from '../../driver/errors.js';
import type { Device } from '../../gpu-executor/device/driver.js';

export interface Faults {
  /** Called before a call is passed on; what it throws is what the device answers. */
  before?: ((method: keyof Device, args: readonly unknown[]) => void) | undefined;
}

/** The same device; `faults` may be changed while it is in use. */
export function faultyDevice(device: Device, faults: Faults): Device {
  return new Proxy(device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        faults.before?.(name as keyof Device, args);
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
}

export function lost(): BackendLostError {
  return new BackendLostError('test: expected the device to go on, got it pulled out', {
    backend: 'test',
  });
}

export function noMemory(bytes: number): ResourceError {
  const facts = { resource: 'test memory', requestedBytes: bytes, availableBytes: 0 };
  return new ResourceError(`test: expected ${bytes} bytes of the device's memory, got none`, facts);
}
