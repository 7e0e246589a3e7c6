/** Memories of compiled loops that have ended, for the next ones: each is a mapping of its own. */
import { TOTALS_BYTES } from '../simd/column-folds.js';
import { LaneMemory } from '../simd/lane-memory.js';

const MAX_IDLE = 2;
/** Larger ones are left to the garbage collector. @units bytes */
const MAX_IDLE_BYTES = 16 * 1024 * 1024;

const idle: LaneMemory[] = [];

/**
 * One that nobody else uses, of at least so many bytes; what it holds is unspecified. Undefined
 * where the engine has no place left for one: each takes gigabytes of addresses.
 */
export function takeMemory(bytes: number): LaneMemory | undefined {
  const memory = idle.pop() ?? new LaneMemory();
  try {
    memory.stand(bytes, TOTALS_BYTES);
    return memory;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export function giveMemory(memory: LaneMemory): void {
  if (idle.length < MAX_IDLE && memory.bytes <= MAX_IDLE_BYTES) idle.push(memory);
}
