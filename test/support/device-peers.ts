/** What drivers of several devices are held to: values that go from one to the other. */
import assert from 'node:assert/strict';
import { ExecutionError, InternalError } from '../../driver/errors.js';
import type { Device, DeviceDriver } from '../../gpu-executor/device/driver.js';
import { alike } from './devices.js';

export const scale = `
KERNEL void scale(const GLOBAL double *RESTRICT from, GLOBAL double *RESTRICT to, double by, int64 n) {
  int64 i = GLOBAL_ID(0);
  if (i < n) to[i] = from[i] * by;
}
`;
const N = 1000;
const cells = Float64Array.from({ length: N }, (_, i) => i / 3);

export function itCopiesAcross(driver: () => DeviceDriver): void {
  it("copies straight from another device's memory, behind what that one does", async function () {
    const pair = alike(driver());
    if (pair.length < 2) {
      console.warn(`SKIPPED copies between devices: ${driver().kind} finds no two alike`);
      this.skip();
    }
    const [to, from] = pair.map((index) => driver().open(index, pair)) as [Device, Device];
    const source = from.allocate(cells.byteLength);
    const target = to.allocate(cells.byteLength);
    from.write(source, cells);
    let event = from.write(source, cells);
    for (let i = 0; i < 20; i++) {
      event = from.launch({
        kernel: from.compile(scale, 'scale'),
        arguments: [source, source, { float64: 2 }, { int64: N }],
        global: [1024],
        local: [64],
      });
    }
    const copied = to.copyFrom?.(from, source, target, cells.byteLength, [event]);
    assert.ok(copied !== undefined);
    to.launch({
      kernel: to.compile(scale, 'scale'),
      arguments: [target, target, { float64: 0.5 }, { int64: N }],
      global: [1024],
      local: [64],
    });
    const got = new Float64Array(N);
    await to.wait(to.read(target, got));
    assert.deepEqual(
      got,
      cells.map((cell) => cell * 2 ** 19),
    );
    assert.equal(to.counts.copiesAcross, 1);
    assert.equal(to.counts.bytesAcross, cells.byteLength);
    assert.equal(from.counts.copiesOut + to.counts.copiesIn, 0, 'nothing by the host');
    assert.throws(
      () => to.copyFrom?.(from, source, target, cells.byteLength + 1, []),
      ExecutionError,
    );
    assert.throws(() => to.copyFrom?.(from, target, target, 8, []), InternalError);
    assert.deepEqual([to.close(), from.close()], [1, 1]);
  });
}
