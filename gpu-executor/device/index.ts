/** Devices, for those who choose and open them. */
export { DeviceBackend, type DeviceBackendOptions, openDeviceBackend } from './backend.js';
export type { DeviceProperties, DriverKind, FoundDriver } from './driver.js';
export { deviceDrivers, deviceName, type FoundDrivers, mayHaveGraphics } from './drivers.js';
