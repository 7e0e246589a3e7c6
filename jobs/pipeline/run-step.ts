/**
 * One step of a pipeline's run: skipped where what it would leave is there, else done, as often as
 * it may be tried. Invariant: its record stands, here and in the run's journal, only once its
 * outputs are in their places and its inputs still are what it was given.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, ExecutionError, InternalError, RepriseError } from '../../driver/errors.js';
import { isRemote } from '../../driver/frame/identity.js';
import { formatDuration } from '../../driver/support/duration.js';
import type { EngineName, RunEvent } from '../runs/run-events.js';
import type { StepContext, StepReport, StepResult } from '../steps/step-kind.js';
import { outputContent } from './content.js';
import { fillSteps } from './graph.js';
import { type FoundInput, inputOf, verifyInputs } from './inputs.js';
import {
  type LookOptions,
  lackOf,
  lookAtStep,
  placedOutputs,
  type StepLook,
} from './look-at-step.js';
import { Outputs, type PlacedOutput } from './outputs.js';
import type { PipelineStep } from './pipeline.js';
import { isSettled } from './step-ends.js';
import type { OutputRecord, StepEnd, StepRecord } from './step-record.js';

/** What a step is done with. */
export interface StepSurroundings extends LookOptions {
  readonly run: string;
  /** Of the pipeline file. */
  readonly folder: string;
  /** Of the run. */
  readonly runFolder: string;
  readonly engine: EngineName;
  /** How it ended in this run before, and the key with which it was begun last. */
  readonly earlier: StepEnd | undefined;
  readonly keyBegun: string | undefined;
  readonly begin: (key: string, why: string) => Promise<void>;
  readonly onEvent: (event: RunEvent) => void;
}

/** What became of the step, in this run or already before; whatever it fails with is an end. */
export async function doStep(step: PipelineStep, given: StepSurroundings): Promise<StepEnd> {
  const began = performance.now();
  const attempt = new StepRun(step, given);
  const seconds = (): number => (performance.now() - began) / 1000;
  try {
    const end = await attempt.run();
    return end === given.earlier ? given.earlier : { ...end, seconds: seconds() };
  } catch (error) {
    const { signal } = given;
    const why = error instanceof Error ? error.message : String(error);
    const found = attempt.found === undefined ? {} : { report: attempt.found };
    const ended = { step: step.name, seconds: seconds(), ...found };
    if (signal.aborted) return { ...ended, state: 'stopped', why: 'the run was stopped' };
    const code = error instanceof RepriseError ? { code: error.code } : {};
    const tries = attempt.tries > 1 ? { tries: attempt.tries } : {};
    return { ...ended, state: 'failed', why, ...code, ...tries };
  }
}

class StepRun {
  tries = 0;
  /** What the step said that it found. */
  found: StepReport | undefined;
  readonly #step: PipelineStep;
  readonly #given: StepSurroundings;
  readonly #outputs: readonly PlacedOutput[];
  #isResumed = false;

  constructor(step: PipelineStep, given: StepSurroundings) {
    this.#step = step;
    this.#given = given;
    this.#outputs = placedOutputs(step, given.ownPath);
  }

  async run(): Promise<Omit<StepEnd, 'seconds'>> {
    const { name } = this.#step;
    const { earlier, keyBegun, begin } = this.#given;
    const look = await lookAtStep(this.#step, this.#given);
    const { key, why } = look;
    const before = earlier !== undefined && isSettled(earlier) ? earlier.record : undefined;
    if (before?.key === key && (await lackOf(before, this.#outputs)) === undefined) return earlier!;
    if (look.record !== undefined) {
      const { record } = look;
      const { report } = record;
      return { step: name, state: 'skipped', why, record, ...(report ? { report } : {}) };
    }
    await begin(key, why);
    this.#isResumed = keyBegun === key;
    const record = await this.#tryUntilDone(look);
    const report = this.found === undefined ? {} : { report: this.found };
    const tries = this.tries > 1 ? { tries: this.tries } : {};
    return { step: name, state: 'done', why, record, ...report, ...tries };
  }

  /** Each try looks at the inputs anew: one may have changed under the try before. */
  async #tryUntilDone(first: StepLook): Promise<StepRecord> {
    const { retries, retryDelayMs } = this.#step;
    const { signal, onEvent, begin } = this.#given;
    let look = first;
    for (;;) {
      this.tries++;
      try {
        if (this.tries > 1) look = await lookAtStep(this.#step, this.#given);
        if (look.key !== first.key) await begin(look.key, first.why);
        return await this.#tryOnce(look);
      } catch (error) {
        if (signal.aborted || error instanceof ConfigError || this.tries > retries) throw error;
        const { message } = error as Error;
        onEvent({ kind: 'warning', message: `try ${this.tries} of ${retries + 1}: ${message}` });
        await sleep(retryDelayMs, undefined, { signal });
      }
    }
  }

  async #tryOnce({ inputs, parts, key }: StepLook): Promise<StepRecord> {
    const began = performance.now();
    const outputs = await Outputs.stage(this.#outputs);
    try {
      const result = await this.#withinTime((signal) =>
        this.#step.work.run(this.#context(inputs, outputs, signal)),
      );
      await verifyInputs(inputs);
      this.#given.signal.throwIfAborted();
      await outputs.place();
      return {
        step: this.#step.name,
        key,
        parts,
        outputs: await this.#outputRecords(result),
        run: this.#given.run,
        seconds: (performance.now() - began) / 1000,
        inputBytes: inputs.reduce((sum, { bytes }) => sum + bytes, 0),
        ...(this.found ? { report: this.found } : {}),
      };
    } finally {
      await outputs.clear();
    }
  }

  /** @throws ExecutionError when the step takes longer than it may */
  async #withinTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { name, timeoutMs } = this.#step;
    const { signal } = this.#given;
    if (timeoutMs === undefined) return work(signal);
    const limit = new AbortController();
    const late = new ExecutionError(
      `step ${name}: expected to end within ${formatDuration(timeoutMs)}, got no end; \`timeout\` says how long it may take`,
      { step: name, timeoutMs },
    );
    const timer = setTimeout(() => limit.abort(late), timeoutMs);
    try {
      return await work(AbortSignal.any([signal, limit.signal]));
    } catch (error) {
      throw limit.signal.aborted && !signal.aborted ? late : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #outputRecords({ rows = {} }: StepResult): Promise<OutputRecord[]> {
    return Promise.all(
      this.#outputs.map(async ({ name, path }): Promise<OutputRecord> => {
        const counted = rows[name] === undefined ? {} : { rows: rows[name] };
        if (isRemote(path)) return { name, path, digest: null, bytes: null, ...counted };
        const { digest, bytes } = (await outputContent(path))!;
        return { name, path, digest, bytes, ...counted };
      }),
    );
  }

  #context(
    inputs: readonly FoundInput[],
    outputs: Outputs | undefined,
    signal: AbortSignal,
  ): StepContext {
    const { name } = this.#step;
    const { run, folder, runFolder, engine, open, onEvent, outputOf } = this.#given;
    return {
      step: name,
      run,
      folder,
      runFolder: join(runFolder, 'steps', name),
      engine,
      signal,
      attempt: this.tries,
      isResumed: this.#isResumed,
      onEvent,
      open,
      input: (input) => inputOf(inputs, name, input),
      output: (output) => {
        const path = outputs?.pathOf(output);
        if (path !== undefined) return path;
        throw new InternalError(`step ${name}: no output ${output}`, { step: name, output });
      },
      fill: (text) => fillSteps(text, (step, output) => outputOf(step, output).path),
      report: (found) => {
        this.found = found;
      },
    };
  }
}
