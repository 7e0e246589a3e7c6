/** `reprise backfill`: runs a schedule's times of the past, or says which it would. */
import { resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { processToken } from '../../driver/support/process-token.js';
import { formatTable, plural } from '../format.js';
import type { EngineName } from '../runs/run-events.js';
import { type BackfillTime, backfill, planBackfill, type Reprocess } from '../schedule/backfill.js';
import { systemClock } from '../schedule/clock.js';
import { launchProcess, STOP_MS } from '../schedule/launch.js';
import { readSchedule } from '../schedule/read-schedule.js';
import { ScheduleWork, stateFolderOf } from '../schedule/schedule-work.js';
import { slots } from '../schedule/scheduler.js';
import type { SchedulerEvent } from '../schedule/scheduler-event.js';
import { zonedText } from '../schedule/zone.js';
import { EXIT } from './exit-codes.js';
import { type InterruptError, interruptible } from './interrupt.js';
import { eventText, runArguments } from './schedule-command.js';
import { createTerminal, writeData } from './terminal.js';

export interface BackfillCommandOptions {
  readonly from: string;
  readonly to: string;
  readonly reprocess: Reprocess;
  readonly backwards?: boolean;
  readonly dryRun?: boolean;
  readonly parallel: number;
  readonly engine?: EngineName;
  readonly store?: boolean;
  readonly output?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const POLL_MS = 1000;

/** Answers 0, or 4 when a run failed. */
export async function backfillCommand(
  file: string,
  options: BackfillCommandOptions,
): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const output = options.output === undefined ? {} : { output: resolve(options.output) };
  const scheduled = await readSchedule(file, output);
  if (scheduled.isPipeline && options.parallel > 1) {
    throw new ConfigError(
      `--parallel: expected 1 for a pipeline, whose runs share what its steps leave, got ${options.parallel}`,
      { key: '--parallel', value: options.parallel, source: 'flag' },
    );
  }
  const nowMs = Date.now();
  const asked = { ...options, backwards: options.backwards === true, nowMs };
  const plan = await planBackfill(scheduled, await stateFolderOf(scheduled, nowMs), asked);
  const { zone } = scheduled.schedule;
  if (options.dryRun) {
    await writeData(options.json ? `${JSON.stringify(shown(plan, zone))}\n` : planText(plan, zone));
    return EXIT.done;
  }
  const ends = new Map<number, SchedulerEvent>();
  let wake = new AbortController();
  const onEvent = (event: SchedulerEvent): void => {
    const isEnd = event.kind === 'done' || event.kind === 'failed' || event.kind === 'replaced';
    if (isEnd && event.time !== undefined) ends.set(event.time, event);
    terminal.note(eventText(event));
  };
  const work = await ScheduleWork.open(file, {
    owner: processToken(),
    launch: launchProcess(runArguments(options)),
    clock: systemClock,
    isOnce: false,
    takeSlot: slots(options.parallel),
    onEvent,
    onEnd: () => wake.abort(),
    ...output,
  });
  const untilEnd = async (): Promise<void> => {
    await systemClock.sleep(POLL_MS, wake.signal);
    wake = new AbortController();
  };
  let interrupt: InterruptError | undefined;
  const onStopping = (reason: InterruptError): void => {
    interrupt = reason;
    wake.abort();
    terminal.note('stopping: runs keep what is done, and the next backfill goes on with them');
  };
  const run = (signal: AbortSignal) => backfill(work, plan, options.parallel, signal, untilEnd);
  await interruptible(run, onStopping, STOP_MS);
  if (interrupt !== undefined) return interrupt.exitCode;
  const failed = [...ends.values()].filter(({ kind }) => kind !== 'done');
  const times = shown(plan, zone, ends);
  const left = plan.filter((one) => one.left !== undefined).length;
  await writeData(
    options.json
      ? `${JSON.stringify(times)}\n`
      : `${plural(ends.size, 'time')} run, ${failed.length} failed, ${left} left as they were\n`,
  );
  return failed.length > 0 ? EXIT.candidatesFailed : EXIT.done;
}

interface ShownTime {
  readonly time: string;
  readonly before: BackfillTime['state'];
  readonly runs: boolean;
  readonly left?: string;
  readonly state?: string;
  readonly run?: string;
}

function shown(
  plan: readonly BackfillTime[],
  zone: string,
  ends: ReadonlyMap<number, SchedulerEvent> = new Map(),
): ShownTime[] {
  return plan.map(({ time, state: before, left }) => {
    const end = ends.get(time);
    return {
      time: zonedText(time, zone),
      before,
      runs: left === undefined,
      ...(left === undefined ? {} : { left }),
      ...(end === undefined ? {} : { state: end.kind, ...(end.run ? { run: end.run } : {}) }),
    };
  });
}

function planText(plan: readonly BackfillTime[], zone: string): string {
  const rows = shown(plan, zone).map(({ time, before, left }) => [time, before, left ?? 'runs']);
  const count = plan.filter(({ left }) => left === undefined).length;
  const head = plan.length === 0 ? '' : `${formatTable([['time', 'state', ''], ...rows])}\n\n`;
  return `${head}${plural(count, 'time')} would run, ${plan.length - count} would not\n`;
}
