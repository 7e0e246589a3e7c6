/** `reprise schedule`: runs schedules until stopped, or what is due now, and says what it does. */
import { resolve } from 'node:path';
import { formatDuration } from '../../driver/support/duration.js';
import type { EngineName } from '../runs/run-events.js';
import { launchProcess, STOP_MS } from '../schedule/launch.js';
import type { Metrics } from '../schedule/metrics.js';
import { Scheduler } from '../schedule/scheduler.js';
import type { SchedulerEvent } from '../schedule/scheduler-event.js';
import { EXIT } from './exit-codes.js';
import { type InterruptError, interruptible } from './interrupt.js';
import { createTerminal } from './terminal.js';

export interface ScheduleCommandOptions {
  readonly once?: boolean;
  readonly parallel: number;
  readonly metrics?: number;
  readonly engine?: EngineName;
  readonly store?: boolean;
  readonly output?: string;
  readonly quiet?: boolean;
}

/** Answers 0, or with `--once` 4 when a run failed. */
export async function scheduleCommand(
  files: readonly string[],
  options: ScheduleCommandOptions,
): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  let failed = 0;
  const metrics = options.metrics === undefined ? undefined : await loadMetrics();
  const onEvent = (event: SchedulerEvent): void => {
    if (event.kind === 'failed') failed++;
    metrics?.onEvent(event);
    terminal.note(eventText(event));
  };
  const scheduler = await Scheduler.open({
    files,
    launch: launchProcess(runArguments(options)),
    parallel: options.parallel,
    isOnce: options.once === true,
    ...(options.output === undefined ? {} : { output: resolve(options.output) }),
    onEvent,
  });
  const served = await metrics?.listen(scheduler, options.metrics ?? 0);
  if (served !== undefined) terminal.note(`health and metrics: ${served.url}`);
  let interrupt: InterruptError | undefined;
  const onStopping = (reason: InterruptError): void => {
    interrupt = reason;
    terminal.note('stopping: runs keep what is done, and the next scheduler goes on with them');
  };
  const work = (signal: AbortSignal): Promise<void> =>
    options.once ? scheduler.once(signal) : scheduler.run(signal);
  await interruptible(work, onStopping, STOP_MS).finally(() => served?.close());
  if (interrupt !== undefined) return interrupt.exitCode;
  return failed > 0 ? EXIT.candidatesFailed : EXIT.done;
}

async function loadMetrics(): Promise<Metrics> {
  const { createMetrics } = await import('../schedule/metrics.js');
  return createMetrics();
}

/** What every run is started with. */
export function runArguments(options: {
  readonly engine?: EngineName;
  readonly store?: boolean;
}): readonly string[] {
  const engine = options.engine === undefined ? [] : ['--engine', options.engine];
  const store = options.store === false ? ['--no-store'] : [];
  return [...engine, ...store];
}

const WORDS: Readonly<Record<SchedulerEvent['kind'], string>> = {
  claimed: 'due',
  waiting: 'waits for',
  started: 'started as',
  resumed: 'goes on as',
  adopted: 'is run by another process as',
  retry: 'failed, and is tried again:',
  'took-over': 'taken over from a scheduler that is gone',
  done: 'done',
  failed: 'failed:',
  skipped: 'skipped:',
  replaced: 'stopped:',
  missed: 'missed:',
  told: 'told of',
  warning: 'warning:',
};

/** An event as a line: when, which schedule, which of its times, what. */
export function eventText(event: SchedulerEvent, now = new Date()): string {
  const { kind, schedule, at, run, why, seconds } = event;
  const which = at === undefined ? '' : ` ${at}`;
  const isStart = kind === 'started' || kind === 'resumed' || kind === 'adopted';
  const what = isStart ? (run ?? '') : (why ?? '');
  const took = seconds === undefined ? '' : ` after ${formatDuration(seconds * 1000)}`;
  return `${now.toISOString().replace(/\.\d+Z$/, 'Z')} ${schedule}${which} ${WORDS[kind]}${kind === 'done' ? took : ''}${what === '' ? '' : ` ${what}`}`;
}
