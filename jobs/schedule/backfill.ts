/**
 * Runs of a schedule's times in a range of the past: which of them, and then one after another or
 * several at once. Invariant: never a second run of a time that is under way, here or elsewhere.
 */
import { ConfigError } from '../../driver/errors.js';
import { requireMoment, scheduledRunId } from './logical-time.js';
import { freeRun, type TimeRun } from './outcome.js';
import type { ScheduledFile } from './read-schedule.js';
import type { ScheduleWork } from './schedule-work.js';
import type { SettledTime } from './state.js';
import type { StateFolder } from './state-folder.js';
import { timesBetween } from './times.js';
import { endOfDay, isDate } from './zone.js';

/** Of the times that ran before, those to run again. */
export const REPROCESS = ['none', 'failed', 'all'] as const;
export type Reprocess = (typeof REPROCESS)[number];

/** More at once are a slip. */
const MOST_TIMES = 10_000;

export interface BackfillOptions {
  /** A date or a time, in the zone of the schedule. */
  readonly from: string;
  /** As `from`; of a date the whole day. */
  readonly to: string;
  readonly reprocess: Reprocess;
  /** The latest first. */
  readonly backwards: boolean;
  /** @units ms */
  readonly nowMs: number;
}

/** One time of the range. */
export interface BackfillTime {
  /** @units ms */
  readonly time: number;
  /** What is known of it. */
  readonly state: SettledTime['state'] | 'under way' | 'never ran';
  /** Why it is left alone. Absent: it runs. */
  readonly left?: string;
  /** Of its next run. */
  readonly round: number;
}

/** The times of a range, in the order they run. @throws ConfigError for a range that is none */
export async function planBackfill(
  scheduled: ScheduledFile,
  folder: StateFolder,
  options: BackfillOptions,
): Promise<BackfillTime[]> {
  const { cron, zone } = scheduled.schedule;
  const [from, to] = rangeOf(options, zone);
  const times = timesBetween({ cron, zone }, from - 1, Math.min(to, options.nowMs), MOST_TIMES + 1);
  if (times.length > MOST_TIMES) {
    throw new ConfigError(
      `--from: expected a range of at most ${MOST_TIMES} times, got more; take a shorter one`,
      { key: '--from', value: options.from, source: 'flag' },
    );
  }
  const { active } = await folder.state.read();
  const busy = new Set(active.map(({ time }) => time));
  const plan: BackfillTime[] = [];
  for (const time of options.backwards ? times.toReversed() : times) {
    const before = await folder.settled(time);
    const round = (before?.round ?? 0) + 1;
    if (busy.has(time)) plan.push({ time, round, state: 'under way', left: 'it is under way' });
    else plan.push({ time, round, ...judge(before, options.reprocess) });
  }
  return plan;
}

function judge(
  before: SettledTime | undefined,
  reprocess: Reprocess,
): Pick<BackfillTime, 'state' | 'left'> {
  if (before === undefined) return { state: 'never ran' };
  const { state } = before;
  const isDone = state === 'done';
  if (reprocess === 'all' || (!isDone && state !== 'failed')) return { state };
  if (state === 'failed' && reprocess === 'failed') return { state };
  const more = isDone ? '--reprocess all' : '--reprocess failed';
  return { state, left: `it is ${state}; ${more} runs it again` };
}

/** @units ms */
function rangeOf({ from, to }: BackfillOptions, zone: string): readonly [number, number] {
  const first = requireMoment('--from', from, zone);
  const last = requireMoment('--to', to, zone);
  const end = isDate(to) ? endOfDay(to, zone) : last;
  if (first <= end) return [first, end];
  throw new ConfigError(`--to: expected a moment from ${from} on, got ${to}`, {
    key: '--to',
    value: to,
    source: 'flag',
  });
}

/** Runs what the plan says, `parallel` at once. Ends early, others go on, when the signal is aborted. */
export async function backfill(
  work: ScheduleWork,
  plan: readonly BackfillTime[],
  parallel: number,
  signal: AbortSignal,
  untilEnd: () => Promise<void>,
): Promise<void> {
  try {
    for (const { time, left, round } of plan) {
      if (left !== undefined) continue;
      while (work.busy >= parallel && !signal.aborted) {
        await untilEnd();
        await work.tick(false);
      }
      if (signal.aborted) break;
      await work.claimTime(time, await runOfTime(work.scheduled, time, round));
    }
    while (work.busy > 0 && !signal.aborted) {
      await untilEnd();
      await work.tick(false);
    }
  } finally {
    await work.stop();
  }
}

/** A first run that the state knows nothing of may be there: what it came to, the time came to. */
async function runOfTime(scheduled: ScheduledFile, time: number, round: number): Promise<TimeRun> {
  if (round > 1) return freeRun(scheduled, time, round);
  return { run: scheduledRunId(scheduled.name, scheduled.file, time, round), round };
}
