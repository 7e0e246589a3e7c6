/**
 * What a step reads, found and identified when it is its turn. Invariant: what other steps left is
 * read only if it still is as they left it.
 */

import { DataError, InternalError } from '../../driver/errors.js';
import { isRemote, verifyUnchanged } from '../../driver/frame/identity.js';
import type { OpenSession } from '../engines.js';
import { localPath } from '../npm-data.js';
import type { ResolvedInput, StepInput } from '../steps/step-kind.js';
import { anyContent, type Content, dataContent, remoteContent } from './content.js';
import type { PipelineStep } from './pipeline.js';
import { digestOf, type OutputRecord } from './step-record.js';

/** An input as a step and its key take it. */
export interface FoundInput extends ResolvedInput {
  /** Of its content and how it is read. */
  readonly digest: string;
  /** What it is called where changes are told: `input weather`, `step joined`. */
  readonly title: string;
  /** @units bytes */
  readonly bytes: number;
}

export interface FindOptions {
  readonly signal: AbortSignal;
  readonly open: (engine: 'local' | 'spark') => Promise<OpenSession>;
  /** What a step that is done left. */
  readonly outputOf: (step: string, output: string | undefined) => OutputRecord;
}

/** @throws DataError when an input is not there, ConfigError when it can't be brought */
export function findInputs(step: PipelineStep, options: FindOptions): Promise<FoundInput[]> {
  return Promise.all(step.work.inputs.map((input) => findInput(input, options)));
}

async function findInput(input: StepInput, options: FindOptions): Promise<FoundInput> {
  const { name, from, read = {} } = input;
  if ('step' in from) {
    const title = `step ${from.step}${name === from.step ? '' : ` as ${name}`}`;
    const output = options.outputOf(from.step, from.output);
    const { path } = output;
    const { files, bytes, digest: own } = await leftContent(output, from.step, input, options);
    return { name, path, read, files, digest: digestOf([own, read]), title, bytes };
  }
  const path = await localPath(from.path, { signal: options.signal });
  const content = await contentOf(path, input, options);
  const digest = digestOf([content.digest, read]);
  const { files, bytes } = content;
  return { name, path, read, files, digest, title: `input ${name}`, bytes };
}

/** What a step left, which has to be what its record says. @throws DataError for other content */
async function leftContent(
  output: OutputRecord,
  step: string,
  input: StepInput,
  options: FindOptions,
): Promise<Content> {
  const { path, digest } = output;
  if (digest === null) return contentOf(path, input, options);
  const all = await anyContent(path);
  if (all.digest !== digest) {
    throw new DataError(
      `input ${input.name}: expected ${path} as step ${step} left it, got other content; leave it alone and run again`,
      { path },
    );
  }
  // In a folder, those that are data: the same whole content either way.
  const isFolder = all.files.length !== 1 || all.files[0]!.path !== path;
  const isPart = isFolder && !input.isAnyFile;
  return isPart ? { ...(await contentOf(path, input, options)), digest } : all;
}

async function contentOf(
  path: string,
  { read = {}, isAnyFile }: StepInput,
  { open }: FindOptions,
): Promise<Content> {
  if (isRemote(path)) return remoteContent(path, read, await open('spark'));
  return isAnyFile ? anyContent(path) : dataContent(path, read);
}

/** @throws DataError naming the first file that is not what it was when the step began */
export async function verifyInputs(inputs: readonly FoundInput[]): Promise<void> {
  for (const { files } of inputs) {
    const local = files.filter(({ path }) => !isRemote(path));
    await verifyUnchanged({ files: local });
  }
}

/** The input of a name. @throws InternalError for one the step has not */
export function inputOf(inputs: readonly FoundInput[], step: string, name: string): FoundInput {
  const found = inputs.find((input) => input.name === name);
  if (found === undefined)
    throw new InternalError(`step ${step}: no input ${name}`, { step, name });
  return found;
}
