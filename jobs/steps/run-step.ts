/**
 * A command with the files it reads and writes: a list of words, or a text for the shell. Invariant:
 * it counts as done only when it ended with 0 and wrote every output it declares.
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { ConfigError, ExecutionError } from '../../driver/index.js';
import { type CommandEnd, runChild } from './command.js';
import {
  type CommandEnvironment,
  commandEnvironment,
  commandWord,
  environmentSchema,
} from './command-environment.js';
import {
  defineStep,
  type StepContext,
  type StepInput,
  type StepOutput,
  type StepPlace,
} from './step-kind.js';
import { ofStep, ofStepSchema } from './step-source.js';

const text = (max: number) => z.string().min(1).max(max);

const schema = z.strictObject({
  run: z.union([text(100_000), z.array(commandWord).min(1).max(10_000)]).meta({
    description:
      'A program and its arguments, or a text for `sh -c`. Runs beside the file. Numbers are handed over as they print: 1.10 is 1.1, unless it stands in quotes.',
  }),
  inputs: z
    .array(z.union([text(4096), ofStepSchema]))
    .max(10_000)
    .default([])
    .meta({
      description: 'Files and folders it reads, its own program among them, and steps.',
    }),
  outputs: z
    .union([z.array(text(4096)), z.record(text(100), text(4096))])
    .default([])
    .meta({ description: 'Files and folders it writes, in a list or by names.' }),
  environment: environmentSchema.default([]).meta({
    description: 'Variables it gets: names to pass on, or values by name; {env: NAME} for secrets.',
  }),
});

export const runStep = defineStep({
  name: 'run',
  version: 1,
  schema,
  fills: ['run', 'environment'],
  bind(document, place) {
    const command = typeof document.run === 'string' ? document.run : document.run.map(String);
    const words = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
    if (words[0] === '')
      place.fail(['run', 0], 'expected the name of a program, got an empty text');
    const outputs = outputsOf(document.outputs, place);
    const environment = commandEnvironment(document.environment, place);
    return {
      inputs: document.inputs.map((given, i) => inputOf(given, i, place)),
      outputs,
      parameters: { run: command, environment: environment.parameters },
      run: async (context) => {
        await run(context, words, outputs, environment, place.where(['run']));
        return {};
      },
    };
  },
});

function inputOf(
  given: string | z.output<typeof ofStepSchema>,
  i: number,
  place: StepPlace,
): StepInput {
  const at = ['inputs', i];
  if (typeof given === 'string') {
    return { name: given, from: { path: place.path(at, given) }, isAnyFile: true, at };
  }
  const { step, output } = given;
  const name = output === undefined ? step : `${step}.${output}`;
  return { name, from: ofStep(given), isAnyFile: true, at };
}

function outputsOf(
  given: readonly string[] | Readonly<Record<string, string>>,
  place: StepPlace,
): StepOutput[] {
  const named = Array.isArray(given)
    ? given.map((path, i) => [path, path, ['outputs', i]] as const)
    : Object.entries(given).map(([name, path]) => [name, path, ['outputs', name]] as const);
  return named.map(([name, path, at]) => {
    return { name, path: place.path(at, path), file: name, isDirect: true, at };
  });
}

async function run(
  context: StepContext,
  words: readonly string[],
  outputs: readonly StepOutput[],
  environment: CommandEnvironment,
  place: string,
): Promise<void> {
  const { folder, runFolder, attempt, signal } = context;
  const fill = (word: string): string => context.fill(word);
  const { values, scrub } = environment.open(fill);
  const name = `command-${attempt}.log`;
  context.report({ files: [`steps/${context.step}/${name}`] });
  const before = await stampsOf(outputs, context);
  const log = join(runFolder, name);
  const filled = words.map(fill) as [string, ...string[]];
  const shown = shownCommand(words);
  const end = await runChild({
    words: filled,
    folder,
    environment: values,
    log,
    scrub,
    signal,
  }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT' && cause.code !== 'EACCES') throw cause;
    throw new ConfigError(
      `${place}: expected a program that can be run, got ${cause.code} for ${words[0]}; name its path, or put it on the PATH`,
      { key: 'run', value: words[0] },
      { cause },
    );
  });
  if (end.code !== 0) throw failure(place, shown, end, log);
  const after = await stampsOf(outputs, context);
  for (const { name: output } of outputs) {
    const path = context.output(output);
    if (after.get(output) === undefined) throw unwritten(place, shown, path, 'nothing there', log);
    if (after.get(output) === before.get(output)) {
      throw unwritten(place, shown, path, 'what was there before', log);
    }
  }
}

function failure(place: string, shown: string, end: CommandEnd, log: string): ExecutionError {
  const got = end.killedBy === null ? `exit code ${end.code}` : `signal ${end.killedBy}`;
  const lines = end.lastLines.filter((line) => line.trim() !== '');
  const last =
    lines.length === 0 ? 'it printed nothing' : `it printed last:\n  ${lines.join('\n  ')}\n`;
  return new ExecutionError(
    `${place}: expected ${shown} to end with exit code 0, got ${got}; ${last}${lines.length === 0 ? '; ' : ''}the log is ${log}`,
    { op: 'run', exitCode: end.code, signal: end.killedBy },
  );
}

function unwritten(
  place: string,
  shown: string,
  path: string,
  got: string,
  log: string,
): ExecutionError {
  return new ExecutionError(
    `${place}: expected ${shown} to write ${path}, got ${got}; mend the command or its \`outputs\`; the log is ${log}`,
    { op: 'run', path },
  );
}

function shownCommand(words: readonly string[]): string {
  const text = (words[0] === '/bin/sh' ? words.slice(2) : words).join(' ').trim();
  const [first = ''] = text.split('\n');
  const isCut = first.length > 80 || first !== text;
  return `"${isCut ? `${first.slice(0, 79)}…` : text}"`;
}

/** What tells each output from what it was before; absent: it is not there. */
async function stampsOf(
  outputs: readonly StepOutput[],
  context: StepContext,
): Promise<ReadonlyMap<string, string>> {
  const stamps = new Map<string, string>();
  for (const { name } of outputs) {
    const stamp = await stampOf(context.output(name));
    if (stamp !== undefined) stamps.set(name, stamp);
  }
  return stamps;
}

async function stampOf(path: string): Promise<string | undefined> {
  const stats = await statOf(path);
  if (stats === undefined) return undefined;
  const hash = createHash('sha256').update(stampText('', stats));
  if (stats.isDirectory()) {
    const names = await readdir(path, { recursive: true });
    for (const name of names.sort()) {
      const own = await statOf(join(path, name));
      if (own !== undefined) hash.update(stampText(name, own));
    }
  }
  return hash.digest('hex');
}

function statOf(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(() => undefined);
}

function stampText(name: string, { size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return `${name}\0${size}\0${mtimeNs}\0${ctimeNs}\0${ino}\n`;
}
