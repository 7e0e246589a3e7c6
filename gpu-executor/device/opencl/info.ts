/** What OpenCL says of itself: text and numbers of platforms and devices. */
import type { DeviceProperties } from '../driver.js';
import { ANY_DEVICE, clInfo, type OpenCl } from './bindings.js';

/** A device where it lies. */
export interface FoundDevice {
  readonly native: bigint;
  readonly platform: bigint;
  readonly properties: DeviceProperties;
  /** Division and square root of float32 can be rounded as IEEE 754 says. */
  readonly roundsFloat32: boolean;
}

/** `CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT`. */
const ROUNDS_DIVISION = 1n << 7n;

/** `CL_DEVICE_TYPE_CPU`. */
const PROCESSOR = 1n << 1n;

/** The size that a call writes. @units bytes */
export function sizeOf(ask: (size: BigUint64Array) => number): number {
  const size = new BigUint64Array(1);
  return ask(size) === 0 ? Number(size[0]) : 0;
}

/** All devices of all platforms that can be used, in the library's order. */
export function foundDevices(cl: OpenCl): readonly FoundDevice[] {
  const platforms = listed((count, ids, found) => cl.getPlatformIDs(count, ids, found));
  const devices = platforms.flatMap((platform) =>
    listed((count, ids, found) => cl.getDeviceIDs(platform, ANY_DEVICE, count, ids, found)).map(
      (device) => [platform, device] as const,
    ),
  );
  return devices
    .filter(([, device]) => numberOf(cl, device, clInfo.available, 4) !== 0)
    .map(([platform, device], index) => describe(cl, platform, device, index));
}

function describe(cl: OpenCl, platform: bigint, native: bigint, index: number): FoundDevice {
  const number = (what: number, bytes: 4 | 8 = 8): number => numberOf(cl, native, what, bytes);
  const floats = BigInt(number(clInfo.singleConfig));
  return {
    native,
    platform,
    roundsFloat32: (floats & ROUNDS_DIVISION) !== 0n,
    properties: {
      driver: 'opencl',
      index,
      name: textOf(cl, native, clInfo.deviceName),
      vendor: textOf(cl, native, clInfo.deviceVendor),
      version: `${textOf(cl, native, clInfo.deviceVersion)} ${textOf(cl, native, clInfo.driverVersion)}`,
      memoryBytes: number(clInfo.globalMemoryBytes),
      largestAllocationBytes: number(clInfo.maxAllocationBytes),
      localBytes: number(clInfo.localMemoryBytes),
      computeUnits: number(clInfo.maxComputeUnits, 4),
      largestWorkGroup: number(clInfo.maxWorkGroupSize),
      hasFloat64: number(clInfo.doubleConfig) !== 0,
      isProcessor: (BigInt(number(clInfo.deviceType)) & PROCESSOR) !== 0n,
      sharesHostMemory: number(clInfo.hostUnifiedMemory, 4) !== 0,
      hasSolver: false,
    },
  };
}

function listed(
  ask: (count: number, ids: BigUint64Array | null, found: Uint32Array) => number,
): bigint[] {
  const found = new Uint32Array(1);
  // A loader without platforms, and a platform without devices, say so by an error.
  if (ask(0, null, found) !== 0) return [];
  const ids = new BigUint64Array(found[0]!);
  return ids.length > 0 && ask(ids.length, ids, found) === 0 ? [...ids] : [];
}

function numberOf(cl: OpenCl, device: bigint, what: number, bytes: 4 | 8): number {
  const value = bytes === 8 ? new BigUint64Array(1) : new Uint32Array(1);
  return cl.getDeviceInfo(device, what, bytes, value, null) === 0 ? Number(value[0]) : 0;
}

function textOf(cl: OpenCl, device: bigint, what: number): string {
  const bytes = sizeOf((size) => cl.getDeviceInfo(device, what, 0, null, size));
  const text = Buffer.alloc(bytes);
  cl.getDeviceInfo(device, what, bytes, text, null);
  return text.toString('utf8').replace(/\0.*$/s, '').trim();
}
