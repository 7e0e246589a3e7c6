/**
 * Runs a pipeline whose run is kept from the start: each step when those it needs are over, as many
 * at once as may be. Invariants: what a failed step does not stop goes on to its end; however the
 * run ends, its journal says so, and `result.json` what became of every step.
 */
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ResourceError } from '../../driver/errors.js';
import { reusePolicy } from '../../driver/reuse/setting.js';
import { packageVersion } from '../../driver/support/package-root.js';
import type { EngineName, RunEvent } from '../runs/run-events.js';
import { json, writeRunFiles } from '../runs/write-run.js';
import { claimSteps } from './claim.js';
import type { Pipeline, PipelineStep } from './pipeline.js';
import type { PipelineEvent } from './pipeline-events.js';
import type { PipelineJournal } from './pipeline-journal.js';
import { type PipelineResult, StepsFailedError, stateOfSteps, stepSummaries } from './result.js';
import { doStep } from './run-step.js';
import { Sessions } from './sessions.js';
import { isSettled } from './step-ends.js';
import { type OutputRecord, outputNamed, type StepEnd } from './step-record.js';
import { makeStepsFolder, ownOutputPath, StepRecords, stepsFolder } from './step-records.js';

export interface RunPipelineOptions {
  readonly journal: PipelineJournal;
  readonly engine: EngineName;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: PipelineEvent) => void;
  readonly renderReport: (result: PipelineResult) => string;
}

/**
 * The run's result, which stands in its folder; the caller closes nothing.
 * @throws LockedError when another run of the pipeline is under way, ResourceError for a full disk;
 *   what a step fails with is in the result
 */
export async function runPipeline(
  pipeline: Pipeline,
  options: RunPipelineOptions,
): Promise<PipelineResult> {
  const { journal, engine, signal, onEvent } = options;
  const began = performance.now();
  const folder = stepsFolder(pipeline);
  const say = (event: RunEvent): void => onEvent?.({ kind: 'in-step', step: '', event });
  const warn = (message: string): void => say({ kind: 'warning', message });
  const records = await openRecords(pipeline, folder, journal, warn);
  const sessions = new Sessions({
    engine,
    store: pipeline.store,
    ...(pipeline.reuse === undefined ? {} : { reuse: pipeline.reuse }),
    ...(pipeline.devices === undefined ? {} : { devices: pipeline.devices }),
    ...(pipeline.spark ? { spark: pipeline.spark } : {}),
    origin: journal.attempt.run,
    signal,
    onEvent: say,
  });
  try {
    const run = new PipelineRun(pipeline, options, sessions, records);
    const ends = await run.finish();
    const result = resultOf(pipeline, journal, ends, (performance.now() - began) / 1000);
    await write(pipeline, result, options);
    if (result.state === 'failed') await journal.failed(new StepsFailedError(result), false);
    else await journal.finished(result.state === 'stopped');
    return result;
  } catch (error) {
    await journal.failed(error, false);
    throw error;
  } finally {
    await sessions.close();
    await records?.close();
    await journal.close();
  }
}

/** Undefined where nothing outlives the run. A run that may not begin leaves no folder. */
async function openRecords(
  pipeline: Pipeline,
  folder: string | undefined,
  journal: PipelineJournal,
  warn: (message: string) => void,
): Promise<StepRecords | undefined> {
  if (folder === undefined) return undefined;
  try {
    await makeStepsFolder(pipeline, folder);
    await claimSteps(folder, journal.folder);
    return await StepRecords.open(folder);
  } catch (error) {
    const { code = '' } = (error instanceof ResourceError ? error.facts : error) as NodeJS.ErrnoException; // biome-ignore format: a line
    if (['EACCES', 'EPERM', 'EROFS'].includes(code)) {
      warn(
        `steps can't be kept in ${folder} (${code}): each runs, and later runs know nothing of it`,
      );
      return undefined;
    }
    if (journal.attempt.attempt === 1 && !journal.isNamed) await journal.discard();
    else {
      await journal.failed(error, false);
      await journal.close();
    }
    throw error;
  }
}

function resultOf(
  pipeline: Pipeline,
  { attempt, folder }: PipelineJournal,
  ends: ReadonlyMap<string, StepEnd>,
  total: number,
): PipelineResult {
  return {
    kind: 'pipeline',
    run: attempt.run,
    name: pipeline.name,
    startedAt: attempt.startedAt,
    ...(attempt.attempt > 1 ? { attempts: attempt.attempt } : {}),
    reprise: packageVersion(),
    state: stateOfSteps(pipeline, ends),
    steps: stepSummaries(pipeline, ends),
    seconds: { total },
    path: folder,
    pipeline: pipeline.document,
  };
}

async function write(
  { output }: Pipeline,
  result: PipelineResult,
  { journal, renderReport }: RunPipelineOptions,
): Promise<void> {
  const files = [
    ['pipeline.yaml', stringify(result.pipeline)],
    ['report.html', renderReport(result)],
  ] as const;
  const place = { output, path: journal.folder, isJournaled: true };
  await writeRunFiles(result.run, files, () => json(result), place);
}

class PipelineRun {
  readonly #pipeline: Pipeline;
  readonly #options: RunPipelineOptions;
  readonly #sessions: Sessions;
  readonly #records: StepRecords | undefined;
  readonly #ends = new Map<string, StepEnd>();
  readonly #running = new Map<string, Promise<void>>();
  /** What ends the whole run, such as a full disk. */
  readonly #fault = new AbortController();
  readonly #signal: AbortSignal;

  constructor(
    pipeline: Pipeline,
    options: RunPipelineOptions,
    sessions: Sessions,
    records: StepRecords | undefined,
  ) {
    this.#pipeline = pipeline;
    this.#options = options;
    this.#sessions = sessions;
    this.#records = records;
    this.#signal = AbortSignal.any([options.signal, this.#fault.signal]);
  }

  /** How each step ended. @throws what ends the whole run, once no step runs any more */
  async finish(): Promise<ReadonlyMap<string, StepEnd>> {
    for (;;) {
      for (const step of this.#pipeline.steps) {
        if (this.#isDue(step)) await this.#start(step);
      }
      if (this.#running.size === 0) break;
      await Promise.race(this.#running.values());
    }
    if (this.#fault.signal.aborted) throw this.#fault.signal.reason;
    return this.#ends;
  }

  #isDue({ name, needs }: PipelineStep): boolean {
    return (
      !this.#ends.has(name) &&
      !this.#running.has(name) &&
      this.#running.size < this.#pipeline.parallel &&
      needs.every((need) => this.#ends.has(need))
    );
  }

  async #start(step: PipelineStep): Promise<void> {
    const { name } = step;
    const why = this.#signal.aborted ? 'the run was stopped' : this.#obstacle(step);
    if (why !== undefined) {
      const state = this.#signal.aborted ? 'stopped' : 'not-run';
      await this.#end({ step: name, state, why, seconds: 0 }).catch((error) =>
        this.#fault.abort(error),
      );
      return;
    }
    const work = this.#run(step)
      .catch((error: unknown) => this.#fault.abort(error))
      .finally(() => this.#running.delete(name));
    this.#running.set(name, work);
  }

  /** Why a step whose turn it is can't run. */
  #obstacle({ needs, reads }: PipelineStep): string | undefined {
    for (const need of needs) {
      const { state } = this.#ends.get(need)!;
      if (isSettled({ state })) continue;
      if (state !== 'failed') return `${need} did not run`;
      const { onFailure } = this.#pipeline.steps.find(({ name }) => name === need)!;
      if (onFailure === 'stop') return `${need} failed`;
      if (reads.includes(need)) return `${need} failed and left nothing to read`;
    }
    return undefined;
  }

  async #run(step: PipelineStep): Promise<void> {
    const { name } = step;
    const { journal, engine, onEvent } = this.#options;
    const records = this.#records;
    const outputs = records?.folder ?? join(journal.folder, 'outputs');
    const earlier = journal.endOf(name);
    const end = await doStep(step, {
      run: journal.attempt.run,
      folder: this.#pipeline.folder,
      runFolder: journal.folder,
      engine,
      signal: this.#signal,
      open: (asked) => this.#sessions.open(asked),
      ownPath: (owner, file) => ownOutputPath(outputs, owner, file),
      outputOf: (owner, output) => this.#outputOf(owner, output),
      earlier,
      keyBegun: journal.keyBegun(name),
      known: records === undefined ? null : records.get(name),
      isSkipping: reusePolicy(this.#pipeline.reuse).steps,
      begin: async (key, why) => {
        await journal.beginStep(name, key, why);
        onEvent?.({ kind: 'step', step: name, state: 'running', why });
      },
      onEvent: (event) => onEvent?.({ kind: 'in-step', step: name, event }),
    });
    if (end === earlier) this.#ends.set(name, end);
    else {
      if (end.state === 'done') await records?.add(end.record!);
      await this.#end(end);
    }
  }

  /** Acknowledges how a step ended: first on the disk, then to whoever listens. */
  async #end(end: StepEnd): Promise<void> {
    await this.#options.journal.endStep(end);
    this.#ends.set(end.step, end);
    const { step, state, why, seconds, report } = end;
    const note = report?.note === undefined ? {} : { note: report.note };
    this.#options.onEvent?.({ kind: 'step', step, state, why, seconds, ...note });
  }

  #outputOf(step: string, name: string | undefined): OutputRecord {
    return outputNamed(this.#ends.get(step)!.record!.outputs, name);
  }
}
