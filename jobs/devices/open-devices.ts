/**
 * Opens the devices that a job chooses, as backends of its session. Invariants: `auto` takes no
 * device that is this machine's processor, and what it can't ask or open is a warning; one that was
 * named is there or the job ends; what was opened before an error is closed.
 */
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { sizeOrShare, wrongSetting } from '../../driver/support/size.js';
import {
  type DeviceBackend,
  type DeviceProperties,
  deviceDrivers,
  deviceName,
  type FoundDrivers,
  mayHaveGraphics,
  openDeviceBackend,
} from '../../gpu-executor/device/index.js';
import type { DeviceChoice } from './device-choice.js';

export interface OpenDevicesOptions {
  readonly onWarning?: (message: string) => void;
  /** Told what a run waits for: kernels that are compiled. */
  readonly onSetup?: (what: string) => void;
  /** Default: what this machine has. */
  readonly drivers?: FoundDrivers;
}

/** @throws ConfigError for a named device that is not here or can't be opened */
export async function openDevices(
  choice: Exclude<DeviceChoice, 'none'>,
  { onWarning, onSetup, drivers: given }: OpenDevicesOptions = {},
): Promise<readonly DeviceBackend[]> {
  if (choice === 'auto' && given === undefined && !mayHaveGraphics()) return [];
  const drivers = given ?? deviceDrivers();
  const found =
    choice === 'auto' ? graphicsOf(drivers, onWarning) : choice.map((name) => named(name, drivers));
  const limits = found.map(memoryLimit);
  const opened: DeviceBackend[] = [];
  try {
    for (const [i, properties] of found.entries()) {
      try {
        const beside = found.flatMap(({ driver, index }) =>
          driver === properties.driver ? [index] : [],
        );
        const told = { ...(onWarning && { onWarning }), ...(onSetup && { onSetup }) };
        opened.push(await openDevice(properties, beside, drivers, limits[i], told));
      } catch (error) {
        const name = deviceName(properties);
        if (choice !== 'auto') throw notOpened(name, error);
        onWarning?.(`devices: ${name} can't be opened and is not used: ${textOf(error)}`);
      }
    }
  } catch (error) {
    await Promise.all(opened.map((backend) => backend.close()));
    throw error;
  }
  return opened;
}

function openDevice(
  { driver: kind, index }: DeviceProperties,
  beside: readonly number[],
  drivers: FoundDrivers,
  memoryBytes: number | undefined,
  told: Pick<OpenDevicesOptions, 'onWarning' | 'onSetup'>,
): Promise<DeviceBackend> {
  const found = drivers[kind];
  if ('missing' in found) throw new ConfigError(found.missing, { key: 'devices', value: kind });
  const open = () => found.driver.open(index, beside);
  return openDeviceBackend({
    open,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...told,
  });
}

/** A GPU of NVIDIA's that CUDA finds is not taken by OpenCL again. */
function graphicsOf(
  drivers: FoundDrivers,
  onWarning: ((message: string) => void) | undefined,
): readonly DeviceProperties[] {
  const asked = (kind: keyof FoundDrivers): readonly DeviceProperties[] => {
    try {
      return devicesOf(drivers, kind);
    } catch (error) {
      onWarning?.(`devices: ${kind} can't be asked for its devices: ${textOf(error)}`);
      return [];
    }
  };
  const cuda = asked('cuda');
  const openCl = asked('opencl').filter(
    ({ vendor, isProcessor }) => !isProcessor && (cuda.length === 0 || !/nvidia/i.test(vendor)),
  );
  return [...cuda, ...openCl];
}

function devicesOf(drivers: FoundDrivers, kind: keyof FoundDrivers): readonly DeviceProperties[] {
  const found = drivers[kind];
  return 'missing' in found ? [] : found.driver.devices();
}

function named(name: string, drivers: FoundDrivers): DeviceProperties {
  const kind = name.startsWith('cuda') ? 'cuda' : 'opencl';
  const device = devicesOf(drivers, kind).find((one) => deviceName(one) === name);
  if (device !== undefined) return device;
  const here = [...devicesOf(drivers, 'cuda'), ...devicesOf(drivers, 'opencl')].map(deviceName);
  const found = drivers[kind];
  const why = 'missing' in found ? ` (${found.missing})` : '';
  throw new ConfigError(
    `devices: expected a device of this machine (${here.join(', ') || 'it has none'}), got ${name}${why}; \`reprise doctor\` says what would bring one, \`devices: none\` goes without`,
    { key: 'devices', value: name },
  );
}

function notOpened(name: string, error: unknown): ConfigError {
  return new ConfigError(
    `devices: expected a device that can be opened, got ${name}: ${textOf(error)}; \`devices: none\` goes without`,
    { key: 'devices', value: name },
    { cause: error },
  );
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a device may give, by the setting `device_memory`. @throws ConfigError for a wrong one */
function memoryLimit({ memoryBytes }: DeviceProperties): number | undefined {
  const text = env.deviceMemory();
  if (text === undefined) return undefined;
  const bytes = sizeOrShare(text, memoryBytes);
  if (bytes !== undefined && bytes > 0) return bytes;
  const expected = 'a size such as 4GiB, or a share of the device such as 50%';
  throw wrongSetting('REPRISE_DEVICE_MEMORY', expected, text);
}
