/** Which devices there are, by driver, and how to get them. Opens none. */

import { formatBytes } from '../../driver/support/size.js';
import {
  type DeviceProperties,
  deviceDrivers,
  deviceName,
  type FoundDriver,
} from '../../gpu-executor/device/index.js';
import type { Finding } from './finding.js';

/** What would bring a driver; devices are nobody's need, so a machine without is no worse. */
const remedies = {
  opencl:
    "for --devices: install the OpenCL driver of the GPU, or PoCL to try on this processor (Debian's pocl-opencl-icd)",
  cuda: "for --devices: install NVIDIA's driver and NVRTC (CUDA toolkit, or Python's nvidia-cuda-nvrtc); REPRISE_CUDA names their folder",
} as const;

export const openClCheck = (): Finding => findingOf('opencl', deviceDrivers().opencl);

export const cudaCheck = (): Finding => findingOf('cuda', deviceDrivers().cuda);

/** All devices, those of CUDA first; those that can't be asked are left out. */
export function devicesHere(): readonly DeviceProperties[] {
  return Object.values(deviceDrivers()).flatMap((found) => {
    try {
      return 'driver' in found ? found.driver.devices() : [];
    } catch {
      // The finding of that driver says why.
      return [];
    }
  });
}

function findingOf(name: keyof typeof remedies, found: FoundDriver): Finding {
  const remedy = remedies[name];
  if ('missing' in found) return { name, status: 'degraded', found: found.missing, remedy };
  const devices = found.driver.devices();
  if (devices.length === 0) return { name, status: 'degraded', found: 'no device', remedy };
  return { name, status: 'ok', found: devices.map(describeDevice).join('; '), remedy: null };
}

/** `opencl:0 pthread-skylake (OpenCL 3.0 PoCL; 12 GiB, float64)` */
function describeDevice(device: DeviceProperties): string {
  const { name, version, memoryBytes, hasFloat64 } = device;
  const cells = hasFloat64 ? 'float64' : 'float32 only';
  return `${deviceName(device)} ${name} (${version}; ${formatBytes(memoryBytes)}, ${cells})`;
}
