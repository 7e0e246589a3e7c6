/** What a device might say of itself, for what is decided by that alone. */
import type { DeviceProperties } from '../../gpu-executor/device/driver.js';

export const anyDevice: DeviceProperties = {
  driver: 'opencl',
  index: 0,
  name: 'any',
  vendor: 'any',
  version: '1',
  memoryBytes: 2 ** 30,
  largestAllocationBytes: 2 ** 30,
  localBytes: 48 * 1024,
  computeUnits: 1,
  largestWorkGroup: 1024,
  hasFloat64: true,
  isProcessor: false,
  sharesHostMemory: true,
  hasSolver: false,
};
