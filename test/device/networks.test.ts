/**
 * Networks trained on a real device: the losses of the processor, weights that stay there, and what a
 * step allocates, copies and waits for once it is under way.
 */
import assert from 'node:assert/strict';
import {
  convolutions,
  perceptron,
  type SmallNetwork,
  trainSmall,
} from '../../bench/workloads/small-networks.js';
import { batch } from '../../driver/batch/batch.js';
import { matrix } from '../../driver/matrix/create.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { openDeviceBackend } from '../../gpu-executor/device/backend.js';
import type { Device, DeviceDriver } from '../../gpu-executor/device/driver.js';
import { asynchronous, needsDevices } from '../support/devices.js';
import { type Faults, faultyDevice, lost } from '../support/faulty-device.js';

const ROWS = 40;
const networks = { perceptron: perceptron(8, 6, 3), convolutions: convolutions(4, 2, 3) };
const counted = ['launches', 'allocations', 'copiesIn', 'copiesOut', 'bytesOut'] as const;

async function lossOf(session: Session, network: SmallNetwork, steps: number): Promise<number> {
  const cells = (rows: number, cols: number, seed: number) => {
    const of = (i: number): number => ((i * 37 + seed * 11) % 101) / 101 - 0.5;
    return {
      shared: matrix(
        session,
        rows,
        cols,
        Float32Array.from({ length: rows * cols }, (_, i) => of(i)),
      ),
    };
  };
  const y = Float64Array.from({ length: ROWS }, (_, i) => (i * 7) % network.classes);
  const layers = network.layers.map(([r, c], l) => [`layer ${l}`, cells(r, c, l + 2)] as const);
  const args = {
    X: cells(ROWS, network.inputs, 1),
    y: { shared: matrix(session, ROWS, 1, y) },
    ...Object.fromEntries(layers),
  };
  const [model] = await batch(
    session,
    1,
    args,
    async (given) => ({ loss: await trainSmall(given, { network, batchRows: 16, steps }) }),
    { name: `${steps} steps`, version: '1', isFresh: true },
  );
  return model!.loss.asScalar().value();
}

describe('networks on a device', () => {
  let driver: DeviceDriver;
  before(function () {
    driver = needsDevices(this, 'networks on a device');
  });
  /** @param faulty faults of the first device, of the one opened after it and so on */
  const opened = async (faulty?: Faults[]) => {
    const open = (): Device => {
      const device = driver.open(asynchronous(driver));
      return faulty === undefined ? device : faultyDevice(device, faulty.shift() ?? {});
    };
    const [local, gpu] = [await createCpuBackend(), await openDeviceBackend({ open })];
    const settings = { local, reuse: 'off', spill: false } as const;
    const host = new Session(settings);
    const session = new Session({ ...settings, devices: [gpu], placement: 'devices' });
    return { gpu, host, session };
  };

  it('take no memory and copy nothing in a step but whether it is the last, by one wait', async () => {
    const { gpu, host, session } = await opened();
    for (const [name, network] of Object.entries(networks)) {
      const work = async (steps: number) => {
        const before = gpu.work();
        const loss = await lossOf(session, network, steps);
        const after = gpu.work();
        return {
          loss,
          waits: after.waits - before.waits,
          counts: counted.map((key) => after[key] - before[key]),
        };
      };
      await work(2);
      const [few, many] = [await work(2), await work(7)];
      for (const [steps, { loss }] of [
        [2, few],
        [7, many],
      ] as const) {
        const expected = await lossOf(host, network, steps);
        assert.ok(Math.abs(loss - expected) < 1e-5, `${name}: ${loss}, not ${expected}`);
      }
      const [launches, ...others] = counted.map((_, i) => (many.counts[i]! - few.counts[i]!) / 5);
      assert.deepEqual(others, [0, 0, 1, 8], `${name}: ${counted.slice(1)}`);
      assert.ok(launches! > 0 && launches! < 250, `${name}: ${launches} launches a step`);
      // All that is brought at the end is waited for too.
      assert.ok(many.waits <= 7 + few.counts[3]!, `${name}: ${many.waits} waits`);
    }
    await Promise.all([session.close(), host.close()]);
    assert.equal(gpu.leaked, 0);
  });

  it('begin again where the device was lost with the state of the loop', async () => {
    const faults: Faults = {};
    const { gpu, host, session } = await opened([faults]);
    let launches = 0;
    faults.before = (method) => {
      if (method === 'launch') launches++;
      if (launches >= 300 && (method === 'launch' || method === 'flush')) throw lost();
    };
    const loss = await lossOf(session, networks.perceptron, 6);
    assert.equal(gpu.work().losses, 1);
    assert.ok(Math.abs(loss - (await lossOf(host, networks.perceptron, 6))) < 1e-5);
    await Promise.all([session.close(), host.close()]);
    assert.equal(gpu.leaked, 0);
  });
});
