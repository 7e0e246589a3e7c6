/**
 * Waits for files that a run needs. Invariant: files count as there when each pattern has one and
 * none is being written: two looks in a row found the same, or nothing was written for so long.
 */
import { stat } from 'node:fs/promises';
import { expandGlob, isGlob } from '../../driver/frame/glob.js';
import type { Clock } from './clock.js';
import type { WaitFor } from './schedule.js';

export interface Waiting extends WaitFor {
  /** When the wait began. @units ms */
  readonly since: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The time is long past: files that are missing now will not come. */
  readonly isPast: boolean;
}

/** Answers what is missing at the deadline, or when the signal is aborted; undefined for nothing. */
export async function waitForFiles(waiting: Waiting): Promise<string | undefined> {
  const { files, since, deadlineMs, everyMs, clock, signal, isPast } = waiting;
  let before = '';
  for (;;) {
    const look = await lookAt(files);
    const isQuiet = look.writtenMs < Date.now() - everyMs || look.text === before;
    if (look.missing === undefined && isQuiet) return undefined;
    before = look.missing === undefined ? look.text : '';
    const leftMs = since + deadlineMs - clock.now();
    const isOver = leftMs <= 0 || (isPast && look.missing !== undefined);
    if (isOver || signal.aborted) return look.missing ?? `${files[0]} (still being written)`;
    await clock.sleep(Math.min(everyMs, leftMs), signal);
  }
}

interface Look {
  /** The first pattern without a file. */
  readonly missing?: string;
  /** What was found. */
  readonly text: string;
  /** When any of it was last written. @units ms */
  readonly writtenMs: number;
}

async function lookAt(patterns: readonly string[]): Promise<Look> {
  const found: string[] = [];
  let writtenMs = 0;
  for (const pattern of patterns) {
    const exact = await stat(pattern).catch(() => undefined);
    const paths = exact === undefined && isGlob(pattern) ? await expandGlob(pattern) : [pattern];
    let isThere = false;
    for (const path of paths) {
      const stats = await stat(path).catch(() => undefined);
      if (stats === undefined) continue;
      isThere = true;
      found.push(`${path} ${stats.size} ${stats.mtimeMs}`);
      writtenMs = Math.max(writtenMs, stats.mtimeMs);
    }
    if (!isThere) return { missing: pattern, text: '', writtenMs };
  }
  return { text: found.join('\n'), writtenMs };
}
