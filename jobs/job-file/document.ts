/**
 * A document of a job or a pipeline before it is checked: the file with what it includes, settings
 * of the command line put in, and values in place of templates. Invariant: every problem found in
 * it, now or later, is told with the file, line and column that said it, or with the setting.
 */
import { dirname, isAbsolute, resolve } from 'node:path';
import * as z from 'zod';
import { ConfigError } from '../../driver/errors.js';
import { closestText } from '../../driver/support/closest.js';
import { environmentOverrides, groundOf } from '../config/in-documents.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import { scheduleSchema } from '../schedule/schedule-schema.js';
import type { Problem } from './check-job.js';
import { secretFiles } from './check-spark.js';
import { type Layered, requireMapping, withIncludes } from './includes.js';
import { applyOverrides, type Override, parseOverride } from './overrides.js';
import { isMap, valueAt } from './plain-data.js';
import { readText } from './read-text.js';
import { fillTemplates, type Variables } from './templates.js';
import { isPrefix, type KeyPath, parseYaml } from './yaml-source.js';

export interface DocumentOptions {
  /** `key.path=value` as on the command line; later ones win. */
  readonly overrides?: readonly string[];
  /** Folder that paths given on the command line are relative to. Default: the current folder. */
  readonly cwd?: string;
  /** Values for templates, before those of the file; settings `variables.NAME=..` beat both. */
  readonly variables?: Variables;
  /** First words of template names that are bound later; of pipelines `steps` is one. */
  readonly later?: readonly string[];
  /** Whether the text is what a run recorded: filled before, and with its settings. */
  readonly isRecorded?: boolean;
}

/** A document as it is to be checked. */
export interface ReadDocument {
  readonly file: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** The section that says when it runs, its templates not filled: no part of what it does. */
  readonly schedule?: unknown;
  readonly overrides: readonly Override[];
  /** The folder that a relative path at this place starts at: of the file that says it. */
  readonly folderOf: Layered['folderOf'];
  /** All problems as one error, in the order of the file. `scrub` takes secrets out. */
  error(problems: readonly Problem[], scrub?: (text: string) => string): ConfigError;
}

/** The keys of any document, for schemas; `include` is gone when a document is checked. */
export const documentKeys = {
  include: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .meta({
      description: 'Files to build upon, relative to this one; what stands here wins.',
    }),
  variables: z.record(z.string(), z.unknown()).optional().meta({
    description: 'Values by name, which `{{ name }}` stands for in other values.',
  }),
  schedule: scheduleSchema.optional(),
};

const VARIABLE_NAME = /^[A-Za-z_]\w*$/;
const RESERVED: readonly string[] = ['env', 'steps'];

/** Reads a job or pipeline file. @throws ConfigError listing what is wrong */
export async function readDocument(
  file: string,
  options: DocumentOptions = {},
): Promise<ReadDocument> {
  const path = resolve(options.cwd ?? process.cwd(), file);
  return parseDocument(file, await readText(path, file), options);
}

/** As `readDocument`, from text already read; `file` names it and is the base of its paths. */
export function parseDocument(
  file: string,
  text: string,
  options: DocumentOptions = {},
): ReadDocument {
  const given = (options.overrides ?? []).map(parseOverride);
  requireNoInclude(given);
  const source = parseYaml(file, text);
  requireMapping(source);
  const isRecorded = options.isRecorded === true;
  const cwd = options.cwd ?? process.cwd();
  const folder = dirname(resolve(cwd, file));
  const layered = withIncludes(source, cwd, isRecorded ? undefined : groundOf(folder));
  const overrides = isRecorded ? given : [...environmentOverrides(layered.value.kind), ...given];
  const all = applyOverrides(layered.value, overrides) as Record<string, unknown>;
  const { schedule, ...whole } = all;
  const error: ReadDocument['error'] = (problems, scrub = (line) => line) =>
    problemError(file, layered, overrides, problems, scrub);
  const ready = isRecorded ? whole : filled(whole, overrides, options, layered, error);
  return {
    file,
    value: placed(ready, folder, layered, overrides),
    ...(schedule === undefined ? {} : { schedule }),
    overrides,
    folderOf: layered.folderOf,
    error,
  };
}

/** Keys of any document that hold paths. */
const PATHS: readonly KeyPath[] = [['data', 'path'], ['output'], ['store', 'folder']];

/**
 * A path starts at the file that it stands in: makes those absolute that an included file or a
 * settings file of another folder says.
 */
function placed(
  given: Record<string, unknown>,
  folder: string,
  layered: Layered,
  overrides: readonly Override[],
): Record<string, unknown> {
  const document = structuredClone(given);
  for (const place of [...PATHS, ...secretFiles(document)]) {
    const base = layered.folderOf(place);
    const parent = valueAt(document, place.slice(0, -1));
    const key = String(place.at(-1));
    const path = isMap(parent) ? parent[key] : undefined;
    const isOverridden = overrides.some((one) => isPrefix(one.path, place));
    if (!isMap(parent) || typeof path !== 'string' || base === folder || isOverridden) continue;
    if (!isAbsolute(path) && !/^[a-z][a-z0-9+.-]+:\/\//i.test(path))
      parent[key] = resolve(base, path);
  }
  return document;
}

function requireNoInclude(overrides: readonly Override[]): void {
  const wrong = overrides.find(({ path }) => path[0] === 'include');
  if (wrong === undefined) return;
  throw new ConfigError(
    `command line: ${wrong.text}: expected a key other than include, got it; a file includes others`,
    { source: 'command line', key: 'include' },
  );
}

/** The document with its templates filled, and among `variables` all that they used. */
function filled(
  whole: Record<string, unknown>,
  overrides: readonly Override[],
  { variables: given = {}, later = [] }: DocumentOptions,
  layered: Layered,
  error: ReadDocument['error'],
): Record<string, unknown> {
  const said = variablesOf(whole, error);
  const set = new Set(overrides.flatMap(({ path }) => (path[0] === 'variables' ? [path[1]] : [])));
  const handedIn = pick(given, (name) => !set.has(name));
  const written = pick(said, (name) => !Object.hasOwn(handedIn, name));
  const document = { ...whole, variables: written };
  const names = { ...written, ...handedIn };
  const { value, problems, used } = fillTemplates(document, {
    names,
    written: new Set(Object.keys(written)),
    later: isPipeline(whole) ? ['steps', ...later] : later,
  });
  const known = new Set([...used, ...Object.keys(layered.value.variables ?? {})]);
  const all = [...problems, ...strangers(overrides, known)];
  if (all.length > 0) throw error(unique(all));
  const { variables, ...rest } = value as Record<string, unknown>;
  const kept = { ...(variables as Variables), ...pick(handedIn, (name) => used.has(name)) };
  return { ...rest, ...(Object.keys(kept).length > 0 ? { variables: kept } : {}) };
}

/** Variables of the command line that the file neither has nor uses: slips of typing. */
function strangers(overrides: readonly Override[], known: ReadonlySet<string>): Problem[] {
  return overrides.flatMap(({ path }) => {
    const [key, name] = path.map(String);
    if (key !== 'variables' || name === undefined || known.has(name)) return [];
    const names = known.size === 0 ? 'none' : closestText(name, [...known]);
    const message = `expected a variable that the file has or uses, got ${name}; its variables: ${names}`;
    return [{ path, message, atKey: true }];
  });
}

/** The variables that a document says. @throws ConfigError for names that no template can have */
function variablesOf(whole: Record<string, unknown>, error: ReadDocument['error']): Variables {
  const { variables = {} } = whole;
  if (!isMap(variables)) {
    throw error([
      { path: ['variables'], message: 'expected a mapping of names, got another value' },
    ]);
  }
  const wrong = Object.keys(variables).filter(
    (name) => !VARIABLE_NAME.test(name) || RESERVED.includes(name),
  );
  if (wrong.length === 0) return variables;
  throw error(
    wrong.map((name) => ({
      path: ['variables', name],
      message: `expected a name of letters, digits and _ other than ${RESERVED.join(' and ')}, got ${JSON.stringify(name)}`,
      atKey: true,
    })),
  );
}

function pick(map: Variables, isWanted: (name: string) => boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => isWanted(name)));
}

/** A variable's own problem is met where it is used and where it stands. */
function unique(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((p) => [JSON.stringify([p.path, p.message]), p])).values()];
}

function problemError(
  file: string,
  layered: Layered,
  overrides: readonly Override[],
  problems: readonly Problem[],
  scrub: (text: string) => string,
): ConfigError {
  const placed = problems.map((problem) => {
    const key = problem.path.join('.') || 'job';
    const override = overrides.findLast((candidate) => isCause(candidate, problem));
    if (override) {
      const line = `${override.by ?? 'command line'}: ${override.text}: ${key}: ${problem.message}`;
      return { file: '', order: 0, line };
    }
    const at = layered.position(problem.path, problem.atKey ? 'key' : 'value');
    const line = `${at.file}:${at.line}:${at.column}: ${key}: ${problem.message}`;
    return { file: at.file, order: at.line * 1e6 + at.column, line };
  });
  const lines = placed
    .sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.order - b.order))
    .map((problem) => scrub(problem.line));
  const [first] = problems;
  return new ConfigError(lines.join('\n'), {
    key: first?.path.join('.') ?? '',
    source: 'file',
    file,
    problems: lines.length,
  });
}

/** Whether an override set the place of a problem, or made the unknown key it complains of. */
export function isCause({ path }: Override, problem: Problem): boolean {
  return isPrefix(path, problem.path) || (problem.atKey === true && isPrefix(problem.path, path));
}
