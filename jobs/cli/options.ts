/** Arguments and options that several commands have. */
import { InvalidArgumentError, Option } from 'commander';
import { REUSE_WORDS } from '../../driver/support/reuse-words.js';
import { EXPECTED_DEVICES, parseDevices } from '../devices/device-choice.js';
import { isGivenRunId } from '../runs/run-id.js';

/** What names a run. */
export const RUN = 'run folder, run id, start of an id, or `latest`';
/** What names a run's model. */
export const MODEL = 'run folder, run id, start of an id, `latest`, or a model file';
/** Where runs are looked for. */
export const RUNS_FOLDER = 'folder that holds the run folders (default: ./runs)';

export const memoryOption = (): Option =>
  new Option(
    '--memory <size>',
    'what the run may take, such as 8GiB or 50% (default: REPRISE_MEMORY, else 80% of the machine)',
  );

export const reuseOption = (): Option =>
  new Option('--reuse <setting>', 'what is reused (default: full)').choices(REUSE_WORDS);

export const devicesOption = (): Option =>
  new Option(
    '--devices <devices>',
    'GPUs that work beside the processor: auto, none, or names such as opencl:0,cuda:0 (default: auto)',
  ).argParser((text) => {
    if (parseDevices(text) !== undefined) return text;
    throw new InvalidArgumentError(`Expected ${EXPECTED_DEVICES}.`);
  });

/** Flags of `run` and `plan` that are settings of a document. */
export function runOverrides(flags: {
  readonly reuse?: string;
  readonly devices?: string;
}): string[] {
  const { reuse, devices } = flags;
  return [
    ...(reuse === undefined ? [] : [`reuse=${reuse}`]),
    ...(devices === undefined ? [] : [`devices=${devices}`]),
  ];
}

/** Before anything is opened: what is opened takes its share. */
export async function useMemory({ memory }: { readonly memory?: string }): Promise<void> {
  if (memory === undefined) return;
  const { setMemory } = await import('../../driver/support/memory.js');
  setMemory(memory);
}

/** @throws InvalidArgumentError */
export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number from 0.');
}

/** @throws InvalidArgumentError */
export function runId(text: string): string {
  if (isGivenRunId(text)) return text;
  throw new InvalidArgumentError(
    'Expected a UTC time, a hyphen, and lower case letters, digits and hyphens.',
  );
}
