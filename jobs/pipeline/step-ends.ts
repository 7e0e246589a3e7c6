/** How far a pipeline's run is, read from its journal by any process. */
import type { AttemptRecord, Journaled } from '../runs/journal.js';
import type { StepEnd, StepState } from './step-record.js';

/** Whether a step is done, now or before. */
export function isSettled({ state }: Pick<StepEnd, 'state'>): boolean {
  return state === 'done' || state === 'skipped';
}

/** How each step ended last, by a journal's records. */
export function endsOfSteps(records: readonly Journaled[]): Map<string, StepEnd> {
  const ends = new Map<string, StepEnd>();
  for (const record of records) {
    if (record.kind !== 'step-end') continue;
    const { kind: _, at: __, ...end } = record;
    ends.set(record.step, end);
  }
  return ends;
}

/** Steps of a run. */
export interface StepProgress {
  readonly done: number;
  readonly of: number;
  /** Those that are under way. */
  readonly running: readonly string[];
}

/** A step of a run that may not be over. */
export interface StepOverview extends Partial<StepEnd> {
  readonly step: string;
  /** The keys it has. */
  readonly keys: readonly string[];
  readonly now: StepState | 'running' | 'to do';
}

/** The steps of a run, in the order of the file. @param isLive a process has the run */
export function stepOverviews(
  records: readonly Journaled[],
  { job }: AttemptRecord,
  isLive: boolean,
): StepOverview[] {
  const { steps = {} } = job as { readonly steps?: Readonly<Record<string, object>> };
  const ends = endsOfSteps(records);
  const own = records.slice(records.findLastIndex(({ kind }) => kind === 'run'));
  return Object.entries(steps).map(([step, keys]): StepOverview => {
    const isOf = (record: Journaled): boolean => 'step' in record && record.step === step;
    const isRunning = isLive && own.findLast(isOf)?.kind === 'step-begin';
    const end = ends.get(step);
    const now = isRunning ? 'running' : (end?.state ?? 'to do');
    return { ...(isRunning ? {} : end), step, keys: Object.keys(keys), now };
  });
}

export function stepProgress(steps: readonly StepOverview[]): StepProgress {
  return {
    done: steps.filter(({ now }) => now === 'done' || now === 'skipped').length,
    of: steps.length,
    running: steps.filter(({ now }) => now === 'running').map(({ step }) => step),
  };
}
