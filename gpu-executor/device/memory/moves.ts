/**
 * Moves of values that running plans own from a device to the host, for want of room. Invariants: a
 * value is copied to the host once, however often its memory is taken; nothing is moved that is in
 * use. Source: device-to-host eviction of MEMPHIS (EDBT 2025) 5, its order (one that is large enough,
 * else by age) and its conditions.
 */
import type { Device } from '../driver.js';
import type { Block } from './block.js';

export type MovingDevice = Pick<Device, 'read' | 'write' | 'wait'>;

/**
 * The smallest that is large enough, else those used longest ago. Undefined when all together are
 * too small, or copying them out and back takes longer than is gained.
 */
export function worthMoving(
  blocks: Iterable<Block>,
  bytes: number,
  gainSeconds: number,
  copySeconds: (bytes: number) => number,
): readonly Block[] | undefined {
  const idle = [...blocks].filter((one) => one.locks === 0 && one.pins > 0 && !one.isAway);
  const large = idle.filter((one) => one.bytes >= bytes).sort((a, b) => a.bytes - b.bytes);
  const chosen = large.length > 0 ? large.slice(0, 1) : longestUnused(idle, bytes);
  if (chosen === undefined) return undefined;
  let seconds = 0;
  for (const one of chosen) {
    seconds += copySeconds(one.bytes) * (one.host === undefined ? 2 : 1);
  }
  return seconds > gainSeconds ? undefined : chosen;
}

function longestUnused(idle: Block[], bytes: number): readonly Block[] | undefined {
  let enough = 0;
  const count = idle
    .sort((a, b) => a.usedAt - b.usedAt)
    .findIndex((one) => {
      enough += one.bytes;
      return enough >= bytes;
    });
  return count < 0 ? undefined : idle.slice(0, count + 1);
}

/** Copies a locked block to the host, behind the work queued before. @throws as `Device.wait` */
export async function copyOut(device: MovingDevice, block: Block): Promise<void> {
  if (block.host !== undefined) return;
  const cells = new Uint8Array(block.bytes);
  await device.wait(device.read(block.pointer, cells));
  block.host = cells;
}
