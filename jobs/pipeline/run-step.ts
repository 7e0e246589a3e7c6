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
import { packageVersion } from '../../driver/support/package-root.js';
import type { EngineName, RunEvent } from '../runs/run-events.js';
import type { StepContext, StepReport, StepResult } from '../steps/step-kind.js';
import { outputContent } from './content.js';
import { fillSteps } from './graph.js';
import { type FindOptions, type FoundInput, findInputs, inputOf, verifyInputs } from './inputs.js';
import { Outputs, type PlacedOutput } from './outputs.js';
import type { PipelineStep } from './pipeline.js';
import { isSettled } from './step-ends.js';
import {
  changeOf,
  digestOf,
  type KeyParts,
  keyOf,
  type OutputRecord,
  type StepEnd,
  type StepRecord,
} from './step-record.js';

/** What a step is done with. */
export interface StepSurroundings extends FindOptions {
  readonly run: string;
  /** Of the pipeline file. */
  readonly folder: string;
  /** Of the run. */
  readonly runFolder: string;
  readonly engine: EngineName;
  /** Where an output is kept that names no place. */
  readonly ownPath: (step: string, file: string) => string;
  /** How it ended in this run before, and the key with which it was begun last. */
  readonly earlier: StepEnd | undefined;
  readonly keyBegun: string | undefined;
  /** What it left last, in any run. */
  readonly known: StepRecord | undefined;
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
    const inputs = await findInputs(this.#step, this.#given);
    const parts = await this.#parts(inputs);
    const key = keyOf(parts);
    const before = earlier !== undefined && isSettled(earlier) ? earlier.record : undefined;
    if (before?.key === key && (await this.#lacks(before)) === undefined) return earlier!;
    const decision = await this.#decide(key, parts);
    if (decision.record !== undefined) {
      const { record, why } = decision;
      const { report } = record;
      return { step: name, state: 'skipped', why, record, ...(report ? { report } : {}) };
    }
    await begin(key, decision.why);
    this.#isResumed = keyBegun === key;
    const record = await this.#tryUntilDone({ inputs, parts, key });
    const report = this.found === undefined ? {} : { report: this.found };
    const tries = this.tries > 1 ? { tries: this.tries } : {};
    return { step: name, state: 'done', why: decision.why, record, ...report, ...tries };
  }

  async #parts(inputs: readonly FoundInput[]): Promise<KeyParts> {
    const { kind, work } = this.#step;
    const facts = (await work.facts?.(this.#context(inputs, undefined, this.#given.signal))) ?? {};
    const named = (prefix: string, values: object): [string, string][] =>
      Object.entries(values).map(([name, value]) => [`${prefix} ${name}`, digestOf(value)]);
    return Object.fromEntries([
      ['kind of step', `${kind.name} ${kind.version}`],
      ['version of Reprise', packageVersion()],
      ...inputs.map(({ title, digest }) => [title, digest] as const),
      ...named('parameter', work.parameters),
      ...named('fact', facts),
    ]);
  }

  /** Whether it is skipped, by the record of what is there, or why not. */
  async #decide(
    key: string,
    parts: KeyParts,
  ): Promise<{ readonly record?: StepRecord; readonly why: string }> {
    const { work, isAlways } = this.#step;
    const { known } = this.#given;
    if (isAlways) return { why: 'it always runs' };
    if (work.isNeverSkipped !== undefined) return { why: work.isNeverSkipped };
    if (known === undefined) return { why: 'it was not done before' };
    if (known.key !== key) return { why: `${changeOf(parts, known)} since ${known.run}` };
    if (known.outputs.some(({ digest }) => digest === null)) {
      return { why: 'nobody here can look at what it left' };
    }
    const lack = await this.#lacks(known);
    if (lack !== undefined) return { why: `${lack} since ${known.run}` };
    return { record: known, why: `same inputs and parameters as in ${known.run}` };
  }

  /** What a record says to be there and is not; undefined when all is. */
  async #lacks({ outputs }: StepRecord): Promise<string | undefined> {
    for (const { name, path } of this.#outputs) {
      const known = outputs.find((output) => output.name === name);
      if (known?.path !== path) return `output ${name} has another place, ${path},`;
      if (known.digest === null) continue;
      const content = await outputContent(path).catch(() => undefined);
      if (content === undefined) return `output ${path} is gone`;
      if (content.digest !== known.digest) return `output ${path} changed`;
    }
    return undefined;
  }

  async #tryUntilDone(task: Task): Promise<StepRecord> {
    const { retries, retryDelayMs } = this.#step;
    const { signal, onEvent } = this.#given;
    for (;;) {
      this.tries++;
      try {
        return await this.#tryOnce(task);
      } catch (error) {
        if (signal.aborted || error instanceof ConfigError || this.tries > retries) throw error;
        const { message } = error as Error;
        onEvent({ kind: 'warning', message: `try ${this.tries} of ${retries + 1}: ${message}` });
        await sleep(retryDelayMs, undefined, { signal });
      }
    }
  }

  async #tryOnce({ inputs, parts, key }: Task): Promise<StepRecord> {
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

interface Task {
  readonly inputs: readonly FoundInput[];
  readonly parts: KeyParts;
  readonly key: string;
}

export function placedOutputs(
  { name, work }: PipelineStep,
  ownPath: StepSurroundings['ownPath'],
): PlacedOutput[] {
  return work.outputs.map((output) => ({
    ...output,
    path: output.path ?? ownPath(name, output.file),
  }));
}
