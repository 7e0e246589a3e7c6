/** What a device and its memory count: one account that goes on when the device is opened anew. */
import type { DeviceWork } from '../../driver/backend/backend.js';
import type { Device } from './driver.js';
import type { DeviceMemory } from './memory/device-memory.js';

export function workOf(
  { counts }: Pick<Device, 'counts'>,
  memory: Pick<DeviceMemory, 'counts'>,
  losses: number,
): DeviceWork {
  const { copiesIn, copiesOut, bytesIn, bytesOut, launches, waits, compiles } = counts;
  const { copiesAcross, bytesAcross } = counts;
  const { allocations, frees, recycled, reused, evicted } = memory.counts;
  const { movedOut, movedBack, peakBytes } = memory.counts;
  return {
    ...{ allocations, frees, recycled, reused, evicted, movedOut, movedBack, peakBytes },
    ...{ copiesIn, copiesOut, bytesIn, bytesOut, copiesAcross, bytesAcross },
    ...{ launches, waits, compiles },
    losses,
  };
}

export function addedWork(earlier: DeviceWork | undefined, now: DeviceWork): DeviceWork {
  if (earlier === undefined) return now;
  const names = Object.keys(now) as (keyof DeviceWork)[];
  const sums = names.map((name) => [name, earlier[name] + now[name]]);
  const peakBytes = Math.max(earlier.peakBytes, now.peakBytes);
  const { losses } = now;
  return { ...now, ...Object.fromEntries(sums), peakBytes, losses };
}
