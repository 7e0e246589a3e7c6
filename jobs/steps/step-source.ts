/** How a step's input is written: a path, another step, a table, and how its files are read. */
import * as z from 'zod';
import { readOptions } from '../job-file/read-options.js';
import { readKeys } from '../job-file/schema.js';
import type { KeyPath } from '../job-file/yaml-source.js';
import type { StepInput, StepPlace, StepSource } from './step-kind.js';

const word = (max: number) => z.string().min(1).max(max);

/** `{step: NAME}`, where it can be nothing else. */
export const ofStepSchema = z.strictObject({
  step: word(100).meta({ description: 'A step of the pipeline.' }),
  output: word(100).optional().meta({ description: 'Which output of it. Default: its first.' }),
});

/** What a step leaves. */
export function ofStep({
  step,
  output,
}: {
  readonly step: string;
  readonly output?: string | undefined;
}): StepSource & { readonly step: string } {
  return { step, ...(output === undefined ? {} : { output }) };
}

const sourceKeys = z
  .strictObject({
    path: word(4096).optional().meta({
      description: 'A file, folder or glob, relative to the pipeline file; or a URI.',
    }),
    step: word(100).optional().meta({ description: 'Instead: another step of the pipeline.' }),
    output: word(100).optional().meta({
      description: 'Which output of that step. Default: its first.',
    }),
    table: word(1000).optional().meta({ description: 'Instead: a table of the catalog of Spark.' }),
    ...readKeys,
  })
  .meta({ id: 'source' });

/** A path, or a mapping that says more. */
export const sourceSchema = z.union([word(4096), sourceKeys]);
export type SourceDocument = z.output<typeof sourceSchema>;

/** The input that keys at `at` describe. @throws ConfigError when they name no source, or two */
export function sourceInput(
  name: string,
  given: SourceDocument,
  at: KeyPath,
  place: StepPlace,
): StepInput {
  if (typeof given === 'string') return { name, from: { path: place.path(at, given) }, at };
  const { path, step, output, table, ...read } = given;
  const sources = [path, step, table].filter((source) => source !== undefined);
  if (sources.length !== 1) {
    const got = sources.length === 0 ? 'none' : `${sources.length} of them`;
    place.fail(at, `expected one of \`path\`, \`step\` and \`table\`, got ${got}`);
  }
  if (output !== undefined && step === undefined) {
    place.fail([...at, 'output'], 'expected `output` beside `step`, got it without one; remove it');
  }
  const options = readOptions(read);
  return {
    name,
    from:
      step === undefined
        ? { path: path === undefined ? `table://${table}` : place.path([...at, 'path'], path) }
        : ofStep({ step, output }),
    ...(Object.keys(options).length > 0 ? { read: options } : {}),
    at,
  };
}
