/**
 * Run folders of a schedule's times, of which only the latest are kept where the schedule says so.
 * Invariant: only folders are removed whose ids are those of times of this schedule, and none that a
 * process has.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeRun } from '../runs/remove-run.js';
import { isRunId, startOfRun } from '../runs/run-id.js';
import { scheduledRunId } from './logical-time.js';
import type { ScheduledFile } from './read-schedule.js';

/** A time that ran more often keeps what it ran later. */
const MOST_ROUNDS = 20;

/** Removes the runs of older times than the latest `keep`, but for those named. */
export async function removeOldRuns(
  scheduled: ScheduledFile,
  keep: number,
  busy: ReadonlySet<string>,
): Promise<void> {
  const { output } = scheduled;
  const own = (await readdir(output)).flatMap((run) => {
    const time = timeOf(run, scheduled);
    return time === undefined ? [] : [{ run, time }];
  });
  const times = [...new Set(own.map(({ time }) => time))].sort((a, b) => b - a);
  const oldest = times[keep - 1] ?? Number.NEGATIVE_INFINITY;
  for (const { run, time } of own) {
    if (time < oldest && !busy.has(run)) await removeRun(join(output, run));
  }
}

/** The time that a run's id was made of; undefined when it is no run of the schedule. @units ms */
function timeOf(run: string, { name, file }: ScheduledFile): number | undefined {
  if (!isRunId(run)) return undefined;
  const time = Date.parse(startOfRun(run));
  if (!Number.isFinite(time)) return undefined;
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    if (scheduledRunId(name, file, time, round) === run) return time;
  }
  return undefined;
}
