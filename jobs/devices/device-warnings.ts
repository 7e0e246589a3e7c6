/** What people should know of devices once a run has ended well, with or without them: each thing once. */
import type { DeviceWork } from '../../driver/backend/backend.js';
import type { Statistics } from '../../driver/runtime/statistics.js';
import { formatBytes } from '../../driver/support/size.js';
import { formatCount, plural } from '../format.js';

export function deviceWarnings(statistics: Pick<Statistics, 'devices' | 'left'>): string[] {
  const lost = [...statistics.devices()].flatMap(([name, { losses }]) =>
    losses === 0
      ? []
      : [`devices: ${name} was lost ${plural(losses, 'time')}; what it held was computed again`],
  );
  const left = [...statistics.left].map(
    ([name, { steps, why }]) =>
      `devices: ${plural(steps, 'step')} of ${name} ran on the processor: ${why}`,
  );
  return [...lost, ...left];
}

/** What a device was given, and what it took from memory to memory; or why that is nothing. */
export function deviceWorkText(work: DeviceWork): string {
  if (work.launches + work.copiesIn + work.losses === 0) {
    return 'not used, since steps were expected to take less time on the processor; REPRISE_PLACEMENT=devices runs there whatever has kernels';
  }
  const copies = `${formatBytes(work.bytesIn)} in, ${formatBytes(work.bytesOut)} out`;
  const memory = `${plural(work.allocations, 'allocation')} and ${formatCount(work.recycled)} recycled, ${formatBytes(work.peakBytes)} at most`;
  return `${plural(work.launches, 'launch', 'launches')}, ${copies}, ${plural(work.waits, 'wait')}, ${memory}`;
}
