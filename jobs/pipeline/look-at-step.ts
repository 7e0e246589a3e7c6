/**
 * What a step would be made from, and whether that was done before: found out without doing it.
 * Invariant: a step is skipped only where its key is that of the record of what it left last, and
 * all of that stands there as it was left.
 */
import { isRemote } from '../../driver/frame/identity.js';
import { packageVersion } from '../../driver/support/package-root.js';
import { outputContent } from './content.js';
import { type FindOptions, type FoundInput, findInputs } from './inputs.js';
import type { PlacedOutput } from './outputs.js';
import type { PipelineStep } from './pipeline.js';
import { changeOf, digestOf, type KeyParts, keyOf, type StepRecord } from './step-record.js';

export interface LookOptions extends FindOptions {
  /** Where an output is kept that names no place. */
  readonly ownPath: (step: string, file: string) => string;
  /** What it left last, in any run; null where nothing is kept for later runs. */
  readonly known: StepRecord | undefined | null;
  /** Whether the setting of reuse lets steps be skipped. */
  readonly isSkipping: boolean;
}

/** A step with what it reads. */
export interface StepLook {
  readonly inputs: readonly FoundInput[];
  readonly parts: KeyParts;
  readonly key: string;
  /** The record of what it would leave, which is there; undefined: it has to be done. */
  readonly record?: StepRecord;
  /** Why it is skipped or has to be done. */
  readonly why: string;
}

/** @throws DataError when an input is not there */
export async function lookAtStep(step: PipelineStep, options: LookOptions): Promise<StepLook> {
  const inputs = await findInputs(step, options);
  const parts = partsOf(step, inputs);
  const key = keyOf(parts);
  return { inputs, parts, key, ...(await decide(step, options, key, parts)) };
}

function partsOf({ kind, work }: PipelineStep, inputs: readonly FoundInput[]): KeyParts {
  return Object.fromEntries([
    ['kind of step', `${kind.name} ${kind.version}`],
    ['version of Reprise', packageVersion()],
    ...inputs.map(({ title, digest }) => [title, digest] as const),
    ...Object.entries(work.parameters).map(
      ([name, value]) => [`parameter ${name}`, digestOf(value)] as const,
    ),
  ]);
}

async function decide(
  step: PipelineStep,
  { known, ownPath, isSkipping }: LookOptions,
  key: string,
  parts: KeyParts,
): Promise<Pick<StepLook, 'record' | 'why'>> {
  if (step.isAlways) return { why: 'it always runs' };
  if (!isSkipping) return { why: 'the setting of reuse skips nothing' };
  if (step.work.isNeverSkipped !== undefined) return { why: step.work.isNeverSkipped };
  if (known === null) return { why: 'nothing is kept for later runs' };
  if (known === undefined) return { why: 'it was not done before' };
  if (known.key !== key) return { why: `${changeOf(parts, known)} since ${known.run}` };
  const lack = await lackOf(known, placedOutputs(step, ownPath));
  if (lack !== undefined) return { why: `${lack} since ${known.run}` };
  if (known.outputs.some(({ digest }) => digest === null)) {
    return { why: 'what it left is in storage that this machine does not look into' };
  }
  return { record: known, why: `same inputs and parameters as in ${known.run}` };
}

/** What a record says to be there and is not; undefined when all is. */
export async function lackOf(
  { outputs }: StepRecord,
  wanted: readonly PlacedOutput[],
): Promise<string | undefined> {
  for (const { name, path } of wanted) {
    const known = outputs.find((output) => output.name === name);
    if (known?.path !== path) return `output ${name} has another place, ${path},`;
    if (isRemote(path)) continue;
    const content = await outputContent(path).catch(() => undefined);
    if (content === undefined) return `output ${path} is gone`;
    if (content.digest !== known.digest) return `output ${path} changed`;
  }
  return undefined;
}

export function placedOutputs(
  { name, work }: PipelineStep,
  ownPath: LookOptions['ownPath'],
): PlacedOutput[] {
  return work.outputs.map((output) => {
    return { ...output, path: output.path ?? ownPath(name, output.file) };
  });
}
