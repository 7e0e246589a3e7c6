/** What a pipeline's run leaves as `result.json`, and prints as JSON. */
import { RepriseError } from '../../driver/errors.js';
import type { StepReport } from '../steps/step-kind.js';
import type { Pipeline } from './pipeline.js';
import type { OutputRecord, StepEnd, StepState } from './step-record.js';

export interface StepSummary {
  readonly step: string;
  /** `sql`, `check`, `job`, .. */
  readonly kind: string;
  /** Steps it waited for. */
  readonly needs: readonly string[];
  readonly state: StepState;
  readonly why: string;
  /** In this run. @units seconds */
  readonly seconds: number;
  readonly outputs: readonly OutputRecord[];
  /** The run that left them; absent where there are none. */
  readonly from?: string;
  readonly report?: StepReport;
  /** Of what it failed with, such as `BACKEND_LOST`. */
  readonly code?: string;
  readonly tries?: number;
}

export interface PipelineResult {
  readonly kind: 'pipeline';
  readonly run: string;
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Processes that took it up, where it was resumed. */
  readonly attempts?: number;
  readonly reprise: string;
  /** `failed`: a step did whose failure counts; `stopped`: it was told to end. */
  readonly state: 'finished' | 'failed' | 'stopped';
  readonly steps: readonly StepSummary[];
  /** Of the last attempt. @units seconds */
  readonly seconds: { readonly total: number };
  /** The run folder. */
  readonly path: string;
  /** As it ran. */
  readonly pipeline: unknown;
}

/** @param ends how each step ended */
export function stepSummaries(
  { steps }: Pipeline,
  ends: ReadonlyMap<string, StepEnd>,
): StepSummary[] {
  return steps.map(({ name, kind, needs }) => {
    const { state, why, seconds, record, report, code, tries } = ends.get(name)!;
    return {
      step: name,
      kind: kind.name,
      needs,
      state,
      why,
      seconds,
      outputs: record?.outputs ?? [],
      ...(record ? { from: record.run } : {}),
      ...(report ? { report } : {}),
      ...(code ? { code } : {}),
      ...(tries ? { tries } : {}),
    };
  });
}

/** What became of a run by its steps. */
export function stateOfSteps(
  { steps }: Pipeline,
  ends: ReadonlyMap<string, StepEnd>,
): PipelineResult['state'] {
  const all = steps.map((step) => ({ step, state: ends.get(step.name)?.state }));
  if (all.some(({ state }) => state === 'stopped')) return 'stopped';
  const isFailure = ({ step, state }: (typeof all)[number]): boolean =>
    state === 'failed' && step.onFailure !== 'warn';
  return all.some(isFailure) ? 'failed' : 'finished';
}

/** Steps of a pipeline failed; its code is that of all of them, where they have one. */
export class StepsFailedError extends RepriseError {
  constructor({ steps }: Pick<PipelineResult, 'steps'>) {
    const failed = steps.filter(({ state }) => state === 'failed');
    const names = failed.map(({ step }) => step).join(', ');
    const [code, ...others] = new Set(failed.map((step) => step.code));
    super(
      code !== undefined && others.length === 0 ? code : 'STEPS_FAILED',
      `${failed.length} of ${steps.length} steps failed: ${names}`,
    );
  }
}
