/**
 * A pipeline's run that this process has, step by step in its journal. Invariant: a step whose end
 * was said to be done stands there, and is not done again while what it left is there.
 */
import { beginRun, HeldRun, takeUpRun } from '../runs/held-run.js';
import type { EngineName } from '../runs/run-events.js';
import type { Pipeline } from './pipeline.js';
import { endsOfSteps, isSettled } from './step-ends.js';
import type { StepEnd } from './step-record.js';

export class PipelineJournal extends HeldRun {
  readonly #ends = endsOfSteps(this.earlier);

  /**
   * Makes the folder of a new run.
   * @param run its id. Default: a new one
   * @throws ResourceError when it can't be written
   */
  static async begin(
    { name, document, output, store, file }: Pipeline,
    engine: EngineName,
    run?: string,
  ): Promise<PipelineJournal> {
    const id = run === undefined ? {} : { run };
    const isStored = store !== null;
    return new PipelineJournal(
      await beginRun({ name, document, output, store: isStored, file, engine, ...id }),
    );
  }

  /** @throws LockedError when a process has it, DataError for a journal that can't be read */
  static async resume(folder: string): Promise<PipelineJournal> {
    return new PipelineJournal(await takeUpRun(folder));
  }

  /** How a step ended in earlier attempts, the last time. */
  endOf(step: string): StepEnd | undefined {
    return this.#ends.get(step);
  }

  /** The key with which an earlier attempt began a step, the last time. */
  keyBegun(step: string): string | undefined {
    const begun = this.earlier.findLast((one) => one.kind === 'step-begin' && one.step === step);
    return begun?.kind === 'step-begin' ? begun.key : undefined;
  }

  /** Steps that are over, here or before, and need not be done again. */
  get done(): number {
    return [...this.#ends.values()].filter(isSettled).length;
  }

  beginStep(step: string, key: string, why: string): Promise<void> {
    return this.append({ kind: 'step-begin', step, key, why });
  }

  async endStep(end: StepEnd): Promise<void> {
    await this.append({ kind: 'step-end', ...end });
    this.#ends.set(end.step, end);
  }
}
