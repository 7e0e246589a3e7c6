/** What a plan waits for is said when it takes long, once; no device runs. */
import assert from 'node:assert/strict';
import { Interner } from '../../../../driver/ir/intern.js';
import { ops } from '../../../../driver/operators/index.js';
import type { Device } from '../../../../gpu-executor/device/driver.js';
import { KernelPreparation } from '../../../../gpu-executor/device/kernel-preparation.js';
import { anyDevice } from '../../../support/any-device.js';

const maker = new Interner();
const x = maker.intern(ops.literal, [], { rows: 3, cols: 2, key: 'prepared' });
const [sums, turned] = [maker.intern(ops.colSums, [x]), maker.intern(ops.transpose, [x])];

describe('kernels that a plan waits for', () => {
  it('are said once when compiling them takes long, and not where they are there', async () => {
    let said = 0;
    let isCompiled = false;
    const waiting: (() => void)[] = [];
    const device = {
      properties: anyDevice,
      isCompiled: () => isCompiled,
      prepare: () => new Promise<void>((resolve) => waiting.push(resolve)),
    } as unknown as Device;
    const preparation = new KernelPreparation(() => said++, 0);
    for (const node of [sums, turned]) {
      const coming = preparation.before([node], device, false)!;
      while (said === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      for (const resolve of waiting.splice(0)) resolve();
      await coming;
    }
    assert.equal(said, 1);
    isCompiled = true;
    assert.equal(new KernelPreparation(() => said++, 0).before([sums], device, false), undefined);
    assert.equal(said, 1);
  });
});
