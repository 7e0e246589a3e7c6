/** The OpenCL driver on real devices. */
import assert from 'node:assert/strict';
import { bindOpenCl, type OpenCl } from '../../gpu-executor/device/opencl/bindings.js';
import { ClContext } from '../../gpu-executor/device/opencl/context.js';
import { OpenClDevice } from '../../gpu-executor/device/opencl/device.js';
import { foundDevices } from '../../gpu-executor/device/opencl/info.js';
import { findOpenCl } from '../../gpu-executor/device/opencl/opencl-driver.js';
import { itKeepsTheSeam } from '../support/device-seam.js';
import { needsDevices } from '../support/devices.js';

describe('OpenCL', () => {
  itKeepsTheSeam({
    driver: (suite) => needsDevices(suite, 'OpenCL', 'opencl'),
    keeping: (binaries) => findOpenCl({ binaries }),
    version: /OpenCL [123]/,
  });

  it('gives back what it had made when it can not be opened', function () {
    needsDevices(this, 'OpenCL');
    const cl = bindOpenCl('libOpenCL.so.1');
    const released: string[] = [];
    let queues = 0;
    const failing: OpenCl = {
      ...cl,
      createCommandQueue: (context, device, properties, status) => {
        if (++queues < 2) return cl.createCommandQueue(context, device, properties, status);
        (status as Int32Array)[0] = -6;
        return null;
      },
      releaseCommandQueue: (queue) => {
        released.push('queue');
        return cl.releaseCommandQueue(queue);
      },
      releaseContext: (context) => {
        released.push('context');
        return cl.releaseContext(context);
      },
    };
    const [found] = foundDevices(cl);
    const context = new ClContext(failing, [found!]);
    assert.throws(() => new OpenClDevice(failing, found!, context), /opencl device 0: open/);
    assert.deepEqual(released, ['queue', 'context']);
  });

  it('says why there is none', () => {
    const found = findOpenCl({ path: '/nowhere/libOpenCL.so' });
    assert.ok('missing' in found && /nowhere/.test(found.missing));
  });
});
