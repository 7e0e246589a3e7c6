/** What a driver counts of a device, see `DeviceCounts`. */
import type { DeviceCounts } from './driver.js';

export type CountedWork = { -readonly [name in keyof DeviceCounts]: number };

export function nothingCounted(): CountedWork {
  return {
    ...{ allocations: 0, frees: 0, copiesIn: 0, copiesOut: 0, bytesIn: 0, bytesOut: 0 },
    ...{ copiesAcross: 0, bytesAcross: 0, launches: 0, waits: 0, compiles: 0 },
  };
}
