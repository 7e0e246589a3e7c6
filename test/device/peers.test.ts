/** Two devices in one session: values that go from one to the other, straight or by the host. */
import assert from 'node:assert/strict';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { type DeviceBackend, openDeviceBackend } from '../../gpu-executor/device/backend.js';
import type { DeviceDriver } from '../../gpu-executor/device/driver.js';
import { assertClose } from '../support/close.js';
import { chain, data, onHost, slowHost } from '../support/device-suite.js';
import { alike, needsDevices } from '../support/devices.js';

/** Both are at most some units in the last place of the exact value. */
const TOLERANCE = 1e-14;

async function assertSame(value: DenseMatrix, build: (x: Matrix) => Matrix): Promise<void> {
  assertClose(value, await onHost(build), TOLERANCE, 'on the devices');
}

describe('two devices in a session', () => {
  let driver: DeviceDriver;
  let devices: readonly DeviceBackend[] = [];
  let session: Session;

  before(function () {
    driver = needsDevices(this, 'two devices in a session');
    if (alike(driver).length < 2) {
      console.warn('SKIPPED two devices in a session: there are no two alike');
      this.skip();
    }
  });
  /** @param kernels what each has: none of the other's, so that values have to go across */
  const open = async (
    copiesAcross: boolean,
    kernels: readonly (readonly string[])[],
  ): Promise<void> => {
    const options = { compileSeconds: 0, copiesAcross };
    devices = await Promise.all(
      alike(driver).map(async (index, i) => {
        const open = () => driver.open(index, alike(driver));
        const ops = new Set([...kernels[i]!, 'scalar', 'literal']);
        const capabilities = { ops, blocks: 'none' } as const;
        return Object.assign(await openDeviceBackend({ open, ...options }), { capabilities });
      }),
    );
    session = new Session({ local: slowHost, devices, spill: false });
  };
  type Count = 'copiesAcross' | 'copiesOut' | 'copiesIn';
  const counting = (): ((name: Count) => number[]) => {
    const before = devices.map((device) => device.work());
    return (name) => devices.map((device, i) => device.work()[name] - before[i]![name]);
  };
  const close = async (): Promise<void> => {
    await session.close();
    assert.deepEqual(
      devices.map(({ leaked }) => leaked),
      [0, 0],
    );
  };

  for (const copiesAcross of [false, true]) {
    it(`work side by side, values going ${copiesAcross ? 'across' : 'by the host'}`, async () => {
      await open(copiesAcross, [
        ['mul', 'exp'],
        ['add', 'sqrt'],
      ]);
      const since = counting();
      const build = (m: Matrix): Matrix => chain(chain(m)).mul(3);
      await assertSame(await build(matrix(session, data)).value(), build);
      const [one, other] = devices.map((device) => device.work().launches);
      assert.ok(one! >= 3 && other! >= 2);
      // Four times from one to the other, and the data and the result from and to the host.
      assert.deepEqual(since('copiesAcross'), copiesAcross ? [2, 2] : [0, 0]);
      assert.deepEqual(since('copiesIn'), copiesAcross ? [1, 0] : [3, 2]);
      assert.deepEqual(since('copiesOut'), copiesAcross ? [1, 0] : [3, 2]);
      await close();
    });
  }

  it('copy a value across once, however many segments read it at once', async () => {
    await open(true, [
      ['mul', 'exp'],
      ['sqrt', 'softmax'],
    ]);
    const since = counting();
    const read = (m: Matrix): Matrix[] => [m.mul(3).exp()].flatMap((v) => [v.sqrt(), v.softmax()]);
    const values = await Promise.all(read(matrix(session, data)).map((m) => m.value()));
    for (const [i, value] of values.entries()) await assertSame(value, (m) => read(m)[i]!);
    assert.deepEqual(since('copiesAcross'), [0, 1]);
    assert.deepEqual(since('copiesIn'), [1, 0]);
    assert.deepEqual(since('copiesOut'), [0, 2]);
    await close();
  });
});
