/**
 * The environment of a command: what programs need of user and machine, and what the step declares.
 * Invariants: values that count in a step's key count as digests; a secret's value stands in no
 * file, and counts only by where it comes from, as a renewed one changes nothing.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { env, SECRET_NAME } from '../../driver/support/env.js';
import { createRedactor } from '../../spark-bridge/channel/redact.js';
import { secretSource } from '../config/secret-schema.js';
import { OPEN_SECRET, readSecret, type SecretSource } from '../config/secrets.js';
import type { StepPlace } from './step-kind.js';

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, {
  error: 'a name of letters, digits and _',
});
/** A word for a command, as text, or a number or truth value that is handed over as it prints. */
export const commandWord = z.union([
  z.string().max(100_000),
  z.number().refine((number) => !Number.isInteger(number) || Number.isSafeInteger(number), {
    error: 'a number of at most 15 digits, or text in quotes',
  }),
  z.boolean(),
]);
export const environmentSchema = z.union([
  z.array(variable).max(1000),
  z.record(variable, z.union([commandWord, secretSource])),
]);
export type EnvironmentDocument = z.output<typeof environmentSchema>;

export interface CommandEnvironment {
  /** What of it counts in the step's key. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Values as they are now, and what takes secrets out of texts. @throws ConfigError */
  open(fill: (text: string) => string): OpenEnvironment;
}

export interface OpenEnvironment {
  readonly values: NodeJS.ProcessEnv;
  readonly scrub: (text: string) => string;
}

/** `open`: a variable that is handed on and is no secret. */
type Given = readonly [
  name: string,
  value: string | number | boolean | SecretSource | { readonly open: string },
];

/** @throws ConfigError for a secret that stands in the file */
export function commandEnvironment(
  document: EnvironmentDocument,
  place: StepPlace,
): CommandEnvironment {
  const given: readonly Given[] = Array.isArray(document)
    ? document.map(
        (name) => [name, SECRET_NAME.test(name) ? { env: name } : { open: name }] as const,
      )
    : Object.entries(document);
  const parameters: Record<string, string> = {};
  for (const [name, said] of given) {
    if (typeof said !== 'object') {
      if (SECRET_NAME.test(name) && said !== '') {
        place.fail(['environment', name], OPEN_SECRET);
      }
      parameters[name] = digest(String(said));
    } else if ('open' in said) parameters[name] = digest(env.variable(said.open) ?? '');
    else parameters[name] = `secret ${JSON.stringify(said)}`;
  }
  return { parameters, open: (fill) => opened(given, fill, place) };
}

function opened(
  given: readonly Given[],
  fill: (text: string) => string,
  place: StepPlace,
): OpenEnvironment {
  const redactor = createRedactor();
  const values = env.forCommand();
  for (const [name, said] of given) {
    if (typeof said !== 'object') {
      values[name] = fill(String(said));
      continue;
    }
    const where = place.where(['environment']);
    const isSecret = !('open' in said);
    const text = readSecret(isSecret ? said : { env: said.open }, where, place.folder);
    values[name] = text;
    if (!isSecret) continue;
    // Logs are read line by line.
    for (const part of [text, ...text.split(/\r?\n/)]) redactor.add(part);
  }
  return { values, scrub: redactor.scrub };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
