/** Devices, for those who choose and open them. */
export { DeviceBackend, openDeviceBackend } from './backend.js';
export type { DeviceBackendOptions } from './backend-options.js';
export type { DeviceProperties, DriverKind, FoundDriver } from './driver.js';
export { deviceDrivers, deviceName, type FoundDrivers, mayHaveGraphics } from './drivers.js';
