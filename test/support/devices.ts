/**
 * Real devices for tests: PoCL's on this processor (`basic` runs in one thread, `pthread`, of which
 * there are two, in several), or with REPRISE_TEST_DEVICES=cuda what CUDA finds; or a reason where
 * there is none.
 */

import { type DeviceBackend, openDeviceBackend } from '../../gpu-executor/device/backend.js';
import type { DeviceBackendOptions } from '../../gpu-executor/device/backend-options.js';
import { findCuda } from '../../gpu-executor/device/cuda/cuda-driver.js';
import type { DeviceDriver, DriverKind } from '../../gpu-executor/device/driver.js';
import { findOpenCl } from '../../gpu-executor/device/opencl/opencl-driver.js';

/** Whose devices suites run on that take any. */
export const TESTED: DriverKind = process.env.REPRISE_TEST_DEVICES === 'cuda' ? 'cuda' : 'opencl';

const found = new Map<DriverKind, DeviceDriver | string>();

/** The driver, or why there is none. Of all devices that PoCL finds, these. */
export function testDriver(kind: DriverKind = TESTED): DeviceDriver | string {
  let driver = found.get(kind);
  if (driver === undefined) {
    // Read by PoCL when it is first asked for its devices.
    process.env.POCL_DEVICES ??= 'pthread basic pthread';
    // To have a binary, PoCL compiles each kernel once more than to run it.
    const answer = (kind === 'cuda' ? findCuda : findOpenCl)({ binaries: false });
    driver = 'driver' in answer ? answer.driver : answer.missing;
    found.set(kind, driver);
  }
  return driver;
}

/** The one that works beside the host; PoCL's `basic` runs kernels where they are queued. */
export function asynchronous(driver: DeviceDriver): number {
  return Math.max(
    0,
    driver.devices().findIndex(({ name }) => !name.startsWith('basic')),
  );
}

/** Two of one kind, which may reach each other's memory; fewer where there are not two. */
export function alike(driver: DeviceDriver): readonly number[] {
  const all = driver.devices();
  const kind = all.find(({ name }, i) => all.some((one, j) => j > i && one.name === name))?.name;
  return all.flatMap(({ name }, i) => (name === kind ? [i] : [])).slice(0, 2);
}

/** A backend over that device, or why there is none. */
export async function openTestDevice(
  options: Partial<DeviceBackendOptions> = {},
): Promise<DeviceBackend | string> {
  const driver = testDriver();
  if (typeof driver === 'string') return driver;
  const index = asynchronous(driver);
  return openDeviceBackend({ open: () => driver.open(index), ...options });
}

/** Skips a suite loudly where there is none. */
export function needsDevices(
  suite: Mocha.Context,
  name: string,
  kind: DriverKind = TESTED,
): DeviceDriver {
  const driver = testDriver(kind);
  if (typeof driver !== 'string') return driver;
  console.warn(`SKIPPED ${name}: ${driver}`);
  return suite.skip();
}
