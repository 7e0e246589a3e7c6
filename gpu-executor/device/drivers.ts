/**
 * The drivers there are, found once a process. Invariant: looking for devices opens none, and a
 * library that is missing is an answer, not an error.
 */
import { readdirSync } from 'node:fs';
import { findCuda } from './cuda/cuda-driver.js';
import type { DeviceProperties, DriverKind, FoundDriver } from './driver.js';
import { findOpenCl } from './opencl/opencl-driver.js';

export type FoundDrivers = Readonly<Record<DriverKind, FoundDriver>>;

let found: FoundDrivers | undefined;

/** A GPU of NVIDIA's is found twice where its OpenCL driver is installed too. */
export function deviceDrivers(): FoundDrivers {
  found ??= { cuda: findCuda(), opencl: findOpenCl() };
  return found;
}

/** What Linux calls a GPU of any vendor's, also of boards and in WSL. */
const GRAPHICS = /^(dri|kfd|dxg|nvidia|nvhost|nvmap|mali|kgsl)/;

/** Whether looking for a GPU is worth loading libraries for, which takes 0.1 s and 60 MiB. */
export function mayHaveGraphics(): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return readdirSync('/dev').some((name) => GRAPHICS.test(name));
  } catch {
    return true;
  }
}

/** `cuda:0`, `opencl:1`: what people call a device. */
export function deviceName({ driver, index }: Pick<DeviceProperties, 'driver' | 'index'>): string {
  return `${driver}:${index}`;
}
