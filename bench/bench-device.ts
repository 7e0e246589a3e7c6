/**
 * The device that a bench of devices runs on: the one that `--devices` names, else the first GPU,
 * else what stands in for one, this machine's processor by PoCL.
 */
import { ConfigError } from '../driver/errors.js';
import type { Device, DeviceProperties } from '../gpu-executor/device/driver.js';
import { deviceDrivers, deviceName } from '../gpu-executor/device/drivers.js';
import {
  type DeviceBackend,
  type DeviceBackendOptions,
  openDeviceBackend,
} from '../gpu-executor/device/index.js';
import type { BenchOptions, Recorder } from './harness.js';

export interface BenchDevice {
  readonly name: string;
  readonly properties: DeviceProperties;
  readonly open: () => Device;
  readonly backend: (options?: Omit<DeviceBackendOptions, 'open'>) => Promise<DeviceBackend>;
}

/**
 * Says to the recorder which it is.
 * @returns undefined where there is none and none was named: the bench is skipped, with a note
 * @throws ConfigError for a named device that is not there
 */
export function benchDevice(recorder: Recorder, options: BenchOptions): BenchDevice | undefined {
  const found = deviceDrivers();
  const all = Object.values(found).flatMap((one) =>
    'driver' in one ? one.driver.devices().map((of) => ({ of, driver: one.driver })) : [],
  );
  const { device: asked } = options;
  const chosen =
    asked === undefined
      ? (all.find(({ of }) => !of.isProcessor) ?? all[0])
      : all.find(({ of }) => deviceName(of) === asked);
  if (chosen === undefined) {
    const missing = Object.values(found).flatMap((one) => ('missing' in one ? one.missing : []));
    if (asked === undefined) {
      recorder.note(`skipped: ${missing.join('; ')}`);
      return undefined;
    }
    const here = all.map(({ of }) => deviceName(of)).join(', ') || 'none';
    throw new ConfigError(
      `bench: expected a device of this machine (${here}), got ${asked}; ${missing.join('; ')}`,
      { key: '--devices', value: asked },
    );
  }
  const { of: properties, driver } = chosen;
  const open = () => driver.open(properties.index);
  recorder.onDevice(properties);
  return {
    name: deviceName(properties),
    properties,
    open,
    backend: (given) => openDeviceBackend({ open, ...given }),
  };
}
