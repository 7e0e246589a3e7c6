/** Which devices a choice opens, told from what drivers say; nothing is opened here. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../../driver/errors.js';
import type { DeviceProperties } from '../../../../gpu-executor/device/driver.js';
import type { FoundDrivers } from '../../../../gpu-executor/device/drivers.js';
import { openDevices } from '../../../../jobs/devices/open-devices.js';
import { anyDevice } from '../../../support/any-device.js';

const missing = { missing: 'no driver here' };

/** A driver whose devices are busy; `opened` hears which were tried. */
function driverOf(
  kind: 'opencl' | 'cuda',
  devices: readonly Partial<DeviceProperties>[],
  opened: string[] = [],
): FoundDrivers['opencl'] {
  return {
    driver: {
      kind,
      devices: () => devices.map((own, index) => ({ ...anyDevice, driver: kind, index, ...own })),
      open: (index) => {
        opened.push(`${kind}:${index}`);
        throw new Error('busy');
      },
    },
  };
}

describe('opening devices', () => {
  it('by auto tries GPUs alone, each by one driver, and goes on without those that fail', async () => {
    const tried: string[] = [];
    const warnings: string[] = [];
    const own = [{ isProcessor: true }, { vendor: 'NVIDIA Corporation' }, { vendor: 'Intel' }];
    const drivers = { cuda: driverOf('cuda', [{}], tried), opencl: driverOf('opencl', own, tried) };
    const onWarning = (message: string): void => void warnings.push(message);
    assert.deepEqual(await openDevices('auto', { drivers, onWarning }), []);
    assert.deepEqual(tried, ['cuda:0', 'opencl:2']);
    assert.deepEqual(
      warnings,
      tried.map((name) => `devices: ${name} can't be opened and is not used: busy`),
    );
    const without = { cuda: missing, opencl: drivers.opencl };
    tried.length = 0;
    assert.deepEqual(await openDevices('auto', { drivers: without, onWarning }), []);
    assert.deepEqual(tried, ['opencl:1', 'opencl:2']);
    assert.deepEqual(
      await openDevices('auto', { drivers: { cuda: missing, opencl: missing } }),
      [],
    );
  });

  it('by auto goes on without a driver that cannot say what devices it has', async () => {
    const warnings: string[] = [];
    const tried: string[] = [];
    const cuda = driverOf('cuda', []);
    assert.ok('driver' in cuda);
    cuda.driver.devices = () => {
      throw new Error('it fell off the bus');
    };
    const drivers = { cuda, opencl: driverOf('opencl', [{}], tried) };
    const onWarning = (message: string): void => void warnings.push(message);
    assert.deepEqual(await openDevices('auto', { drivers, onWarning }), []);
    assert.deepEqual(tried, ['opencl:0']);
    assert.equal(warnings[0], "devices: cuda can't be asked for its devices: it fell off the bus");
    await assert.rejects(openDevices(['cuda:0'], { drivers }), /it fell off the bus/);
  });

  it('by name is an error where it is not here, or does not open', async () => {
    const drivers = { cuda: missing, opencl: driverOf('opencl', [{ isProcessor: true }]) };
    const refused = (name: string, message: RegExp) =>
      assert.rejects(openDevices([name], { drivers }), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, message);
        return true;
      });
    await refused(
      'cuda:0',
      /^devices: expected a device of this machine \(opencl:0\), got cuda:0 \(no driver here\); `reprise doctor`/,
    );
    await refused('opencl:1', /\(opencl:0\), got opencl:1; `reprise doctor`/);
    await refused('opencl:0', /expected a device that can be opened, got opencl:0: busy; /);
  });

  it('is refused for a wrong limit of memory before a device is tried, by auto too', async () => {
    const opened: string[] = [];
    const drivers = { cuda: driverOf('cuda', [{}], opened), opencl: missing };
    const before = process.env.REPRISE_DEVICE_MEMORY;
    process.env.REPRISE_DEVICE_MEMORY = 'ten';
    try {
      for (const choice of ['auto', ['cuda:0']] as const) {
        await assert.rejects(openDevices(choice, { drivers }), /^ConfigError: REPRISE_DEVICE_MEM/);
      }
    } finally {
      if (before === undefined) delete process.env.REPRISE_DEVICE_MEMORY;
      else process.env.REPRISE_DEVICE_MEMORY = before;
    }
    assert.deepEqual(opened, []);
  });
});
