/**
 * What an attempt came to, and whether another is worth its time. Read from exit codes of a process
 * that was watched, else from the run's folder, so that a run is judged alike whoever started it.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lives, overviewOf, type RunOverview } from '../runs/run-state.js';
import type { BestSummary } from '../runs/summary.js';
import { scheduledRunId } from './logical-time.js';
import type { ScheduledFile } from './read-schedule.js';
import type { Retries } from './schedule.js';
import type { ActiveTime } from './state.js';

/** How a process ended. */
export interface Exit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal?: string;
  /** The end of what it said. */
  readonly said?: string;
}

export type AttemptOutcome =
  | { readonly kind: 'done'; readonly best?: BestSummary }
  /** `mayPass`: the same may go well later. */
  | { readonly kind: 'failed'; readonly why: string; readonly mayPass: boolean }
  /** It ended before its time while nobody watched, by a signal or a crash, and can be gone on with. */
  | { readonly kind: 'cut-off'; readonly wasStopped: boolean };

/** Usage, and what is wrong with job, settings or data: as wrong the next time. */
const LASTING_CODES: readonly number[] = [2, 3];
const LASTING_ERRORS: readonly string[] = [
  'CONFIG',
  'DATA',
  'PLAN',
  'SHAPE',
  'DTYPE',
  'UNSUPPORTED',
  'SINGULAR',
];
/** Done, but not in every part. */
const IN_PART = 4;

/** The run of an id, a pipeline's with the best of its latest search; undefined where there is none. */
export async function runOf(output: string, run: string): Promise<RunOverview | undefined> {
  const found = await overviewOf(join(output, run)).catch(() => undefined);
  if (found?.kind !== 'pipeline' || found.state !== 'finished') return found;
  const names = await readdir(join(found.path, 'steps')).catch(() => []);
  const searches = await Promise.all(
    names.map((name) => overviewOf(join(found.path, 'steps', name)).catch(() => undefined)),
  );
  const scored = searches.flatMap((one) => (one?.best ? [one] : []));
  scored.sort((a, b) => Date.parse(a.updatedAt) - Date.parse(b.updatedAt));
  return { ...found, best: scored.at(-1)?.best ?? null };
}

export type TimeRun = Pick<ActiveTime, 'run' | 'round'>;

/** The first run of a time, from a round on, whose folder is not there. */
export async function freeRun(
  { name, file, output }: ScheduledFile,
  time: number,
  from: number,
): Promise<TimeRun> {
  for (let round = from; ; round++) {
    const run = scheduledRunId(name, file, time, round);
    const found = await stat(join(output, run)).catch(() => undefined);
    if (found === undefined) return { run, round };
  }
}

/** What a process came to that ended by itself. @param found the run's folder afterwards */
export function outcomeOfExit(exit: Exit, found: RunOverview | undefined): AttemptOutcome {
  const { code, signal, said } = exit;
  const best = bestOf(found);
  if (code === 0) return { kind: 'done', ...best };
  if (code === IN_PART && found?.state === 'finished' && found.best !== null) {
    return { kind: 'done', ...best };
  }
  const how = code === null ? `ended by ${signal ?? 'a signal'}` : `exit code ${code}`;
  const why = found?.error ?? said ?? '';
  const mayPass = code === null || (code !== IN_PART && !LASTING_CODES.includes(code));
  return { kind: 'failed', why: why === '' ? how : `${how}: ${why}`, mayPass };
}

/** What a run at rest came to that nobody watched; undefined while a process has it. */
export function outcomeOfRun(run: RunOverview): AttemptOutcome | undefined {
  if (lives(run.state)) return undefined;
  if (run.state === 'finished') {
    if (run.best !== null || run.kind === 'pipeline') return { kind: 'done', ...bestOf(run) };
    return { kind: 'failed', why: 'no candidate could be scored', mayPass: false };
  }
  if (run.state === 'partial') return { kind: 'cut-off', wasStopped: true };
  if (run.state === 'interrupted') return { kind: 'cut-off', wasStopped: false };
  const mayPass = run.state === 'lost' || !LASTING_ERRORS.includes(run.code ?? '');
  return { kind: 'failed', why: run.error ?? run.state, mayPass };
}

function bestOf(run: RunOverview | undefined): { readonly best?: BestSummary } {
  return run?.best ? { best: run.best } : {};
}

/** How long to wait before the next attempt; undefined when there is none. @units ms */
export function retryDelay(retries: Retries, attempts: number): number | undefined {
  if (attempts > retries.times) return undefined;
  return Math.min(retries.mostMs, retries.delayMs * retries.factor ** (attempts - 1));
}
