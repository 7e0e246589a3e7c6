/**
 * CUDA's driver on a GPU, where REPRISE_TEST_DEVICES=cuda says there is one: what `cuda.test.ts` has
 * of the emulation. The other suites here run there too then.
 */
import assert from 'node:assert/strict';
import { findCuda } from '../../gpu-executor/device/cuda/cuda-driver.js';
import type { Device } from '../../gpu-executor/device/driver.js';
import { assertClose } from '../support/close.js';
import { itKeepsTheSeam } from '../support/device-seam.js';
import { needsDevices, TESTED } from '../support/devices.js';
import { kernelCases } from '../support/kernel-cases.js';
import { runLowered } from '../support/lowered-run.js';

if (TESTED === 'cuda') {
  describe('CUDA', () => {
    itKeepsTheSeam({
      driver: (suite) => needsDevices(suite, 'CUDA', 'cuda'),
      keeping: (binaries) => findCuda({ binaries }),
      version: /^CUDA \d+\.\d+, NVRTC \d+\.\d+, sm_\d+$/,
    });

    describe('kernels', () => {
      let device: Device;
      before(function () {
        device = needsDevices(this, 'kernels on CUDA', 'cuda').open(0);
      });
      after(() => assert.equal(device?.close() ?? 0, 0));

      it('are right, and products with and without cuBLAS', async () => {
        for (const { name, lowered, values, expr, expected } of kernelCases(device.properties)) {
          const hasProduct = lowered.steps.some(({ product }) => product !== undefined);
          for (const on of hasProduct ? [device, withoutLibrary(device)] : [device]) {
            const [got] = await runLowered(on, lowered, values);
            assertClose(got!, expected, expr.dtype === 'float32' ? 1e-5 : 1e-10, name);
          }
        }
      }).timeout(300_000);
    });
  });
}

/** The same device, as if there was no cuBLAS. */
function withoutLibrary(device: Device): Device {
  return new Proxy(device, {
    get: (target, key) => {
      if (key === 'multiply') return undefined;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
