/**
 * What `reprise plan` says of a pipeline: which steps are skipped and which run, why, and what that
 * costs by what it cost before. Runs no step and writes nothing.
 */
import { DataError } from '../../driver/errors.js';
import type { EngineName } from '../runs/run-events.js';
import type { StepPlanContext } from '../steps/step-kind.js';
import { inputOf } from './inputs.js';
import { type LookOptions, lookAtStep, placedOutputs, type StepLook } from './look-at-step.js';
import type { Pipeline, PipelineStep } from './pipeline.js';
import { Sessions } from './sessions.js';
import type { OutputRecord, StepRecord } from './step-record.js';
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
  /** The engine, or this process; null where its data say, and are not there yet. */
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
  const { store, spark } = pipeline;
  const shared = { engine, store, signal, onEvent: () => undefined };
  const sessions = new Sessions({ ...shared, ...(spark ? { spark } : {}) });
  const plans = new Map<string, StepPlan>();
  const options = (step: PipelineStep): LookOptions => ({
    signal,
    open: (asked) => sessions.open(asked),
    ownPath: (owner, file) => ownOutputPath(folder ?? 'outputs', owner, file),
    outputOf: (owner, name) => {
      const { outputs } = records.get(owner)!;
      return name === undefined ? outputs[0]! : outputs.find((one) => one.name === name)!;
    },
    known: folder === undefined ? null : records.get(step.name),
  });
  try {
    for (const step of pipeline.steps) {
      signal.throwIfAborted();
      const waits = step.reads.find((need) => plans.get(need)?.plan !== 'skip');
      const own = options(step);
      const plan =
        waits === undefined
          ? await planned(step, own, engine, sessions)
          : waiting(step, own, waits);
      plans.set(step.name, plan);
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

async function planned(
  step: PipelineStep,
  options: LookOptions,
  engine: EngineName,
  sessions: Sessions,
): Promise<StepPlan> {
  let look: StepLook;
  try {
    look = await lookAtStep(step, options);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { ...describe(step, options), plan: 'fail', why: error.message, expectedSeconds: null };
  }
  const { record, why, inputs } = look;
  if (record !== undefined) {
    return { ...describe(step, options), plan: 'skip', why, expectedSeconds: 0 };
  }
  const context: StepPlanContext = {
    engine,
    signal: options.signal,
    input: (name) => inputOf(inputs, step.name, name),
    open: (asked) => sessions.open(asked),
  };
  const isOfSpark = (await step.work.engine?.(context)) === 'spark';
  const notes = await step.work.plan?.(context);
  const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
  return {
    ...describe(step, options),
    where: isOfSpark ? 'spark' : 'here',
    plan: 'run',
    why,
    expectedSeconds: expected(options.known, bytes),
    notes: notes ?? [],
  };
}

function waiting(step: PipelineStep, options: LookOptions, before: string): StepPlan {
  const { known } = options;
  const why = !known
    ? 'it was not done before'
    : `${before} comes first, and may leave other content`;
  return { ...describe(step, options), plan: 'wait', why, expectedSeconds: known?.seconds ?? null };
}

function describe(step: PipelineStep, { ownPath }: LookOptions) {
  const { name, kind, needs, work } = step;
  const where = work.engine === undefined ? ('here' as const) : null;
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
