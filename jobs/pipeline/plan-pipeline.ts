/**
 * What `reprise plan` says of a pipeline: which steps are skipped and which run, why, and what that
 * costs by what it cost before. Runs no step and writes nothing.
 */

import { DataError } from '../../driver/errors.js';
import { reusePolicy } from '../../driver/reuse/setting.js';
import type { EngineName } from '../runs/run-events.js';
import type { StepPlanContext } from '../steps/step-kind.js';
import { inputOf } from './inputs.js';
import { type LookOptions, lookAtStep, placedOutputs, type StepLook } from './look-at-step.js';
import type { Pipeline, PipelineStep } from './pipeline.js';
import { Sessions } from './sessions.js';
import { type OutputRecord, outputNamed, type StepRecord } from './step-record.js';
import { ownOutputPath, readStepRecords, stepsFolder } from './step-records.js';

/**
 * - `skip`: what it would leave is there; `run`.
 * - `wait`: a step before it runs, and may leave what it left last; `fail`: its input is not there.
 */
type StepForecast = 'skip' | 'run' | 'wait' | 'fail';

export interface StepPlan {
  readonly step: string;
  readonly kind: string;
  readonly needs: readonly string[];
  readonly plan: StepForecast;
  readonly why: string;
  /** Spark, or this process; null where its data say, and are not there yet. */
  readonly where: 'here' | 'spark' | null;
  /** By its last run and the size of its inputs; null where it never ran. @units seconds */
  readonly expectedSeconds: number | null;
  /** What the step says of itself. */
  readonly notes: readonly string[];
  readonly outputs: readonly Pick<OutputRecord, 'name' | 'path'>[];
}

export interface PipelinePlan {
  readonly kind: 'pipeline';
  readonly name: string;
  readonly parallel: number;
  readonly steps: readonly StepPlan[];
  /** Of all steps one after the other that run or may; null where one never ran. @units seconds */
  readonly expectedSeconds: number | null;
  /** Where outputs that name no place are kept; null for the run's folder. */
  readonly folder: string | null;
  /** Held there now. @units bytes */
  readonly keptBytes: number;
}

export interface PlanPipelineOptions {
  readonly engine: EngineName;
  readonly signal: AbortSignal;
}

/** @throws ConfigError when an engine that has to look at remote data is missing */
export async function planPipeline(
  pipeline: Pipeline,
  { engine, signal }: PlanPipelineOptions,
): Promise<PipelinePlan> {
  const folder = stepsFolder(pipeline);
  const records: ReadonlyMap<string, StepRecord> =
    folder === undefined ? new Map() : await readStepRecords(folder);
  const { store, spark, reuse, devices } = pipeline;
  const sessions = new Sessions({
    engine,
    store,
    ...(reuse === undefined ? {} : { reuse }),
    ...(devices === undefined ? {} : { devices }),
    ...(spark ? { spark } : {}),
    signal,
    onEvent: () => undefined,
  });
  const plans = new Map<string, StepPlan>();
  const options = (step: PipelineStep): LookOptions => ({
    signal,
    open: (asked) => sessions.open(asked),
    ownPath: (owner, file) => ownOutputPath(folder ?? 'outputs', owner, file),
    outputOf: (owner, name) => outputNamed(records.get(owner)!.outputs, name),
    known: folder === undefined ? null : records.get(step.name),
    isSkipping: reusePolicy(reuse).steps,
  });
  try {
    for (const step of pipeline.steps) {
      signal.throwIfAborted();
      const waits = step.reads.find((need) => plans.get(need)?.plan !== 'skip');
      const own = options(step);
      const known = describe(step, pipeline.steps, own.ownPath);
      const found =
        waits === undefined
          ? await planned(step, own, engine, sessions)
          : waiting(own.known, waits);
      plans.set(step.name, { ...known, ...found });
    }
  } finally {
    await sessions.close();
  }
  const steps = [...plans.values()];
  const kept = folder === undefined ? [] : [...records.values()].flatMap(({ outputs }) => outputs);
  return {
    kind: 'pipeline',
    name: pipeline.name,
    parallel: pipeline.parallel,
    steps,
    expectedSeconds: total(steps),
    folder: folder ?? null,
    keptBytes: kept
      .filter(({ path }) => path.startsWith(`${folder}/`))
      .reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
  };
}

/** What is found out about a step beside what its keys say. */
type Found = Pick<StepPlan, 'plan' | 'why' | 'expectedSeconds'> & Partial<StepPlan>;

async function planned(
  step: PipelineStep,
  options: LookOptions,
  engine: EngineName,
  sessions: Sessions,
): Promise<Found> {
  let look: StepLook;
  try {
    look = await lookAtStep(step, options);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { plan: 'fail', why: error.message, expectedSeconds: null };
  }
  const { record, why, inputs } = look;
  if (record !== undefined) return { plan: 'skip', why, expectedSeconds: 0 };
  const context: StepPlanContext = {
    engine,
    signal: options.signal,
    input: (name) => inputOf(inputs, step.name, name),
    open: (asked) => sessions.open(asked),
  };
  const chosen = await step.work.engine?.(context);
  const notes = await step.work.plan?.(context);
  const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
  return {
    plan: 'run',
    why,
    expectedSeconds: expected(options.known, bytes),
    ...(chosen === undefined ? {} : { where: chosen === 'spark' ? 'spark' : 'here' }),
    ...(notes === undefined ? {} : { notes }),
  };
}

function waiting(known: LookOptions['known'], before: string): Found {
  const why = !known
    ? 'it was not done before'
    : `${before} comes first, and may leave other content`;
  return { plan: 'wait', why, expectedSeconds: known?.seconds ?? null };
}

/** What is known of a step before any data are looked at. */
function describe(
  step: PipelineStep,
  steps: readonly PipelineStep[],
  ownPath: LookOptions['ownPath'],
) {
  const { name, kind, needs, work } = step;
  /** Where an input is, or will be. */
  const pathOf = (input: string): string => {
    const { from } = work.inputs.find((one) => one.name === input)!;
    if ('path' in from) return from.path;
    const owner = steps.find((one) => one.name === from.step)!;
    return outputNamed(placedOutputs(owner, ownPath), from.output).path;
  };
  const place = work.isOnSpark?.(pathOf) ? ('spark' as const) : ('here' as const);
  const where = work.engine === undefined ? place : null;
  const outputs = placedOutputs(step, ownPath).map(({ name: output, path }) => {
    return { name: output, path };
  });
  return { step: name, kind: kind.name, needs, where, outputs, notes: [] as readonly string[] };
}

/** Seconds grow with the bytes that are read. */
function expected(known: StepRecord | undefined | null, bytes: number): number | null {
  if (!known) return null;
  return known.inputBytes > 0 ? known.seconds * (bytes / known.inputBytes) : known.seconds;
}

function total(steps: readonly StepPlan[]): number | null {
  let seconds = 0;
  for (const { expectedSeconds } of steps) {
    if (expectedSeconds === null) return null;
    seconds += expectedSeconds;
  }
  return seconds;
}
