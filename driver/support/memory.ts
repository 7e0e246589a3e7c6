/**
 * The memory one process may take, and what each part of it may: the only place that sizes memory.
 * Invariant: the shares that can be full at the same time add up to less than the whole, so that
 * what a run computes has room beside what is kept. The whole is `REPRISE_MEMORY` or `--memory`; by
 * default it follows the machine, or the container this process is in.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { env } from './env.js';
import { formatBytes, sizeOrShare, wrongSetting } from './size.js';

const MIB = 1024 ** 2;

/** Least memory anything runs in: Node, DuckDB and OpenBLAS alone take some 200 MiB. */
export const MIN_MEMORY_BYTES = 384 * MIB;
/** Of the machine, by default: the rest is for its system and other programs. */
const MACHINE_SHARE = 0.8;
/** Of what is free when the process begins, by default. */
const FREE_SHARE = 0.9;

/** What this process may take, and how that was decided. */
export interface MemorySetting {
  /** @units bytes */
  readonly bytes: number;
  /** Where it comes from, for messages: `REPRISE_MEMORY`, `80% of this machine's 24.0 GiB`. */
  readonly from: string;
  readonly isGiven: boolean;
}

/** @units bytes */
export interface MemoryShares {
  readonly totalBytes: number;
  /** Values kept for reuse. Half, as the moments, a search's largest value, must fit. */
  readonly cacheBytes: number;
  /** One data matrix kept whole rather than streamed again. */
  readonly materialiseBytes: number;
  /** Results kept for each part of data of many files, all parts together. */
  readonly partsBytes: number;
  /** Literals that the interner keeps though nothing reads them. */
  readonly literalsBytes: number;
  /** Values on their way to the disk. */
  readonly spillingBytes: number;
  /** Buffers of past results that wait for the next. */
  readonly idleBytes: number;
  /** DuckDB's buffers, beyond which it writes to the disk. */
  readonly duckdbBytes: number;
  /** Heap of the JVM of embedded Spark. Code and buffers outside it take some 400 MiB more. */
  readonly heapBytes: number;
}

/** What the machine or container holds, and what of that is free. */
export interface Machine {
  /** @units bytes */
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly isContainer: boolean;
}

/**
 * The most memory that this process has had resident. On Linux `getrusage` says that of the process
 * it was started by, where that had more: what is counted for a program begins before it is loaded.
 * @units bytes
 */
export function peakMemoryBytes(): number {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
    return Number(kibibytes) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

let given: { readonly text: string; readonly key: string } | undefined;
let setting: MemorySetting | undefined;

/** Sets the memory of what is opened from now on, as `REPRISE_MEMORY` does. @throws ConfigError */
export function setMemory(text: string | undefined, key = '--memory'): void {
  given = text === undefined ? undefined : { text, key };
  setting = undefined;
  memorySetting();
}

/** What this process may take. @throws ConfigError for a setting that is none */
export function memorySetting(): MemorySetting {
  if (setting === undefined) {
    const text = given?.text ?? env.memory();
    setting = readSetting(text, given?.key ?? 'REPRISE_MEMORY', thisMachine());
  }
  return setting;
}

/** The shares of this process. */
export function memoryShares(): MemoryShares {
  return sharesOf(memorySetting().bytes);
}

/** What a text sets on a machine; without one, the default of the machine. @throws ConfigError */
export function readSetting(
  text: string | undefined,
  key: string,
  machine: Machine,
): MemorySetting {
  const whole = `${machine.isContainer ? 'the container' : 'this machine'}'s ${formatBytes(machine.totalBytes)}`;
  if (text === undefined) {
    const share = machine.totalBytes * MACHINE_SHARE;
    const free = machine.freeBytes * FREE_SHARE;
    const bytes = Math.floor(Math.max(MIN_MEMORY_BYTES, Math.min(share, free)));
    const from =
      free < share
        ? `${FREE_SHARE * 100}% of the ${formatBytes(machine.freeBytes)} that were free`
        : `${MACHINE_SHARE * 100}% of ${whole}`;
    return { bytes, from, isGiven: false };
  }
  const bytes = sizeOrShare(text, machine.totalBytes);
  if (bytes === undefined || bytes < MIN_MEMORY_BYTES) {
    const least = formatBytes(MIN_MEMORY_BYTES);
    throw wrongSetting(
      key,
      `a size of at least ${least} such as 8GiB, or a share of ${whole} such as 50%`,
      text,
    );
  }
  return {
    bytes,
    from: text.includes('%') ? `${key}, ${text.replace(/\s/g, '')} of ${whole}` : key,
    isGiven: true,
  };
}

export function sharesOf(totalBytes: number): MemoryShares {
  const cacheBytes = totalBytes / 2;
  return {
    totalBytes,
    cacheBytes,
    materialiseBytes: Math.min(cacheBytes / 4, 512 * MIB),
    partsBytes: Math.min(cacheBytes / 2, 512 * MIB),
    literalsBytes: Math.min(totalBytes / 16, 256 * MIB),
    spillingBytes: Math.min(totalBytes / 32, 128 * MIB),
    idleBytes: Math.min(totalBytes / 64, 64 * MIB),
    duckdbBytes: Math.max(totalBytes / 4, 128 * MIB),
    heapBytes: Math.floor(totalBytes * 0.4),
  };
}

/** A container counts page cache as taken though it is given back: half is taken to be free. */
function thisMachine(): Machine {
  const total = totalmem();
  const limit = process.constrainedMemory();
  const isContainer = limit > 0 && limit < total;
  const totalBytes = isContainer ? limit : total;
  const available = process.availableMemory();
  return {
    totalBytes,
    freeBytes: isContainer ? Math.max(available, totalBytes / 2) : available,
    isContainer,
  };
}
