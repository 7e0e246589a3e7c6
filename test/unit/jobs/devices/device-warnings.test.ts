import assert from 'node:assert/strict';
import type { DeviceWork } from '../../../../driver/backend/backend.js';
import { deviceWorkText } from '../../../../jobs/devices/device-warnings.js';

const nothing: DeviceWork = {
  ...{ allocations: 0, frees: 0, recycled: 0, reused: 0, evicted: 0, movedOut: 0, movedBack: 0 },
  ...{ copiesIn: 0, copiesOut: 0, bytesIn: 0, bytesOut: 0, launches: 0, waits: 0, compiles: 0 },
  ...{ losses: 0, peakBytes: 0, copiesAcross: 0, bytesAcross: 0 },
};

describe('what a device did, for people', () => {
  it('is counts', () => {
    const work = {
      ...nothing,
      launches: 1052,
      bytesIn: 2048,
      waits: 1,
      allocations: 3,
      copiesIn: 1,
    };
    assert.equal(
      deviceWorkText(work),
      '1,052 launches, 2.0 KiB in, 0 B out, 1 wait, 3 allocations and 0 recycled, 0 B at most',
    );
  });

  it('is a reason where that is nothing, but not after a loss', () => {
    assert.match(deviceWorkText(nothing), /^not used, .* REPRISE_PLACEMENT=devices/);
    assert.match(deviceWorkText({ ...nothing, losses: 1 }), /^0 launches/);
  });
});
