/**
 * What may stand next on a command line: walked over the grammar that parses it, so that a command or
 * an option is completed as soon as it exists. Invariant: completing prints nothing but candidates;
 * whatever is wrong means there are none.
 */
import { readdir } from 'node:fs/promises';
import type { Command, Option } from 'commander';
import type { z } from 'zod';
import { isMap, valueAt } from '../job-file/plain-data.js';

/** What the shell is to offer besides the candidates: files of its own finding, or nothing. */
export type Offer = 'files' | 'folders' | 'jobs' | 'nothing';

export interface Completion {
  readonly candidates: readonly string[];
  readonly offer: Offer;
}

const nothing: Completion = { candidates: [], offer: 'nothing' };
const words = (candidates: readonly string[]): Completion => ({ candidates, offer: 'nothing' });
const offer = (what: Offer): Completion => ({ candidates: [], offer: what });

/** Candidates for the last of the words, which follow the program's name. */
export async function complete(program: Command, given: readonly string[]): Promise<Completion> {
  const last = given.at(-1) ?? '';
  const place = placeOf(program, given.slice(0, -1));
  const all = await allAt(place, last);
  return { ...all, candidates: all.candidates.filter((one) => one.startsWith(last)) };
}

interface Place {
  readonly command: Command;
  /** Arguments of the command so far. */
  readonly operands: readonly string[];
  /** The option whose value is next. */
  readonly pending?: Option;
  /** Whether options are over, by `--`. */
  readonly isPlain: boolean;
}

function placeOf(program: Command, before: readonly string[]): Place {
  let command = program;
  let operands: string[] = [];
  let pending: Option | undefined;
  let isPlain = false;
  for (const word of before) {
    if (pending !== undefined) pending = undefined;
    else if (!isPlain && word === '--') isPlain = true;
    else if (!isPlain && word.startsWith('-')) pending = takesNext(command, word);
    else {
      const inner = command.commands.find((one) => one.name() === word);
      if (inner !== undefined && operands.length === 0) command = inner;
      else operands = [...operands, word];
    }
  }
  return { command, operands, isPlain, ...(pending ? { pending } : {}) };
}

/** The option that a word is, when its value is the next word. */
function takesNext(command: Command, word: string): Option | undefined {
  return command.options.find(
    (one) => (one.short === word || one.long === word) && (one.required || one.optional),
  );
}

async function allAt({ command, operands, pending, isPlain }: Place, last: string) {
  if (pending !== undefined) return valuesOf(pending);
  if (!isPlain && last.startsWith('-')) return words(optionsOf(command, last));
  if (command.commands.length > 0 && operands.length === 0) return words(commandsOf(command));
  const args = command.registeredArguments;
  const argument = args[operands.length] ?? (args.at(-1)?.variadic ? args.at(-1) : undefined);
  if (argument === undefined) return nothing;
  if (argument.argChoices !== undefined) return words(argument.argChoices);
  const name = argument.name();
  if (/^(job|file|files|pipeline)$/.test(name) && argument.description !== '') {
    return /\.(onnx|pmml)/.test(argument.description) ? offer('files') : offer('jobs');
  }
  if (name === 'overrides') return words(await overrideKeys(operands[0] ?? '', last));
  if (name === 'key' && command.parent?.name() === 'config') return words(await settingKeys());
  if (/^runs?$/.test(name) || /^(run folder|as the first)/.test(argument.description))
    return words(await runIds());
  return name === 'data' ? offer('files') : nothing;
}

function valuesOf({ argChoices, flags }: Option): Completion {
  if (argChoices !== undefined) return words(argChoices);
  if (/<(folder|dir)>/.test(flags)) return offer('folders');
  return /<(path|file)>/.test(flags) ? offer('files') : nothing;
}

/** Options, or the values of one that is written with `=`. */
function optionsOf(command: Command, last: string): string[] {
  const name = last.split('=', 1)[0];
  const own = last.includes('=') ? command.options.find(({ long }) => long === name) : undefined;
  if (own !== undefined) return (own.argChoices ?? []).map((choice) => `${name}=${choice}`);
  const shown = command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
  return [...shown, '--help'];
}

function commandsOf(command: Command): string[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((one) => one.name());
}

/** Runs of the folder where they are by the settings here, the latest first. */
async function runIds(): Promise<string[]> {
  const [{ loadSettings }, { runsFolder }, { isRunId }] = await Promise.all([
    import('../config/current.js'),
    import('./settings.js'),
    import('../runs/run-id.js'),
  ]);
  await loadSettings(process.cwd());
  const names = await readdir(runsFolder(undefined));
  return ['latest', ...names.filter(isRunId).sort().reverse()];
}

async function settingKeys(): Promise<string[]> {
  const { SETTINGS } = await import('../config/settings.js');
  return SETTINGS.map(({ key }) => key);
}

/** Keys at the level that is being written: with `=`, or with a dot where there are keys below. */
async function overrideKeys(file: string, last: string): Promise<string[]> {
  const [{ readDocument }, { knownKeys }] = await Promise.all([
    import('../job-file/document.js'),
    import('../job-file/problems.js'),
  ]);
  const { value } = await readDocument(file, { isRecorded: true });
  const schema = await schemaFor(value);
  const path = last.split('.').slice(0, -1);
  const [first] = path;
  // These maps are the document's own.
  const own = first === 'variables' || first === 'steps' ? valueAt(value, path) : undefined;
  const names = isMap(own) ? Object.keys(own) : knownKeys(path, schema);
  return names.map((name) => {
    const inner = [...path, name];
    const hasKeys = knownKeys(inner, schema).length > 0 || isMap(valueAt(value, inner));
    return `${inner.join('.')}${hasKeys ? '.' : '='}`;
  });
}

async function schemaFor(document: Readonly<Record<string, unknown>>): Promise<z.ZodType> {
  if (document.kind === 'pipeline') return (await import('../pipeline/schema.js')).pipelineSchema;
  return (await import('../job-file/schema.js')).schemaOf(document);
}
