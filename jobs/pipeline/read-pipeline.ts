/**
 * From a pipeline file and overrides to a `Pipeline`. Invariant: either a valid pipeline comes out or
 * one `ConfigError` that lists the problems with their places, as for job files.
 */
import { basename, dirname, extname, resolve } from 'node:path';
import { parseDuration } from '../../driver/support/duration.js';
import { devicesOf } from '../devices/device-choice.js';
import type { Problem } from '../job-file/check-job.js';
import { checkSpark, scrubberOf, shownSpark, sparkSection } from '../job-file/check-spark.js';
import { resolveDataPath } from '../job-file/data-path.js';
import {
  type DocumentOptions,
  parseDocument,
  type ReadDocument,
  readDocument,
} from '../job-file/document.js';
import { problemsOf } from '../job-file/problems.js';
import { isPrefix, type KeyPath } from '../job-file/yaml-source.js';
import { checkSchedule } from '../schedule/read-schedule.js';
import { stepKinds } from '../steps/index.js';
import type { StepKind, StepPlace } from '../steps/step-kind.js';
import { storePlace } from '../store-place.js';
import {
  checkGraph,
  needsOf,
  readsOf,
  stepsInOrder,
  strayTemplates,
  templateInputs,
} from './graph.js';
import type { Pipeline, PipelineStep } from './pipeline.js';
import {
  type PipelineDocument,
  pipelineSchema,
  STEP_KEYS,
  type StepKeys,
  stepSchema,
} from './schema.js';

export interface ReadPipelineOptions extends DocumentOptions {
  /** Folder for run folders, before any `output` of the file. Relative to `cwd`. */
  readonly output?: string;
  /** False: results are kept nowhere, whatever file and environment say. */
  readonly store?: boolean;
}

/** Reads and checks a pipeline file. @throws ConfigError listing every problem */
export async function readPipeline(
  file: string,
  options: ReadPipelineOptions = {},
): Promise<Pipeline> {
  return pipelineOf(await readDocument(file, options), options);
}

/** As `readPipeline`, from text already read; `file` names it in messages and is its paths' base. */
export async function parsePipeline(
  file: string,
  text: string,
  options: ReadPipelineOptions = {},
): Promise<Pipeline> {
  return pipelineOf(parseDocument(file, text, options), options);
}

/** The pipeline of a document. @throws ConfigError listing every problem */
export async function pipelineOf(
  source: ReadDocument,
  options: ReadPipelineOptions = {},
): Promise<Pipeline> {
  const parsed = pipelineSchema.safeParse(source.value);
  const scrub = scrubberOf(source.value);
  if (!parsed.success) {
    throw source.error(problemsOf(parsed.error.issues, source.value, pipelineSchema), scrub);
  }
  const cwd = options.cwd ?? process.cwd();
  checkSchedule(source, cwd);
  const file = resolve(cwd, source.file);
  const reader = new StepReader(source, cwd, parsed.data.variables ?? {});
  const { steps, variables: _, ...own } = parsed.data;
  const problems = [...checkSpark(own.spark), ...strayTemplates(own, [])];
  const drafts: Draft[] = [];
  for (const [name, document] of Object.entries(steps)) {
    const step = await reader.read(name, document);
    if (Array.isArray(step)) problems.push(...step);
    else drafts.push(step);
  }
  if (problems.length === 0) problems.push(...checkGraph(drafts));
  if (problems.length > 0) throw source.error(problems, scrub);
  return assemble(parsed.data, stepsInOrder(drafts), { source, reader, file, cwd, options });
}

/** A step as it was read, before those it waits for are known to be there. */
type Draft = Omit<PipelineStep, 'needs' | 'reads'> & { readonly after: readonly string[] };

interface Parts {
  readonly source: ReadDocument;
  readonly reader: StepReader;
  readonly file: string;
  readonly cwd: string;
  readonly options: ReadPipelineOptions;
}

function assemble(
  document: PipelineDocument,
  drafts: readonly Draft[],
  { source, reader, file, cwd, options }: Parts,
): Pipeline {
  const folder = dirname(file);
  const { name = basename(file, extname(file)), spark, output, reuse, parallel = 2 } = document;
  const place = (given: string): string => resolve(reader.baseOf(['output']), given);
  const runs =
    options.output !== undefined || output === undefined
      ? resolve(cwd, options.output ?? 'runs')
      : place(output);
  return {
    name,
    file,
    folder,
    steps: drafts.map(({ after, ...step }) => ({
      ...step,
      needs: needsOf({ after, work: step.work }),
      reads: readsOf(step.work),
    })),
    parallel,
    store: options.store === false ? null : storePlace(folder, document.store, cwd),
    ...(reuse === undefined ? {} : { reuse }),
    ...devicesOf(document.devices),
    ...(spark ? { spark: sparkSection(spark, folder) } : {}),
    output: runs,
    document: {
      ...reader.keptDocument(source.value),
      name,
      output: runs,
      ...(spark ? { spark: shownSpark(spark) } : {}),
    },
  };
}

/** Problems that a step's own code found. */
class StepProblems extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('a step has problems');
    this.problems = problems;
  }
}

/** Reads the steps of a document, and notes what the journal has to hold in place of its values. */
class StepReader {
  readonly #source: ReadDocument;
  readonly #cwd: string;
  readonly #folder: string;
  readonly #variables: Readonly<Record<string, unknown>>;
  readonly #kept: (readonly [KeyPath, unknown])[] = [];

  constructor(source: ReadDocument, cwd: string, variables: Readonly<Record<string, unknown>>) {
    this.#source = source;
    this.#cwd = cwd;
    this.#folder = dirname(resolve(cwd, source.file));
    this.#variables = variables;
  }

  /** The step, or what is wrong with it. */
  async read(
    name: string,
    document: Readonly<Record<string, unknown>>,
  ): Promise<Draft | Problem[]> {
    const at = (path: KeyPath): KeyPath => ['steps', name, ...path];
    const kind = stepKinds.find((candidate) => Object.hasOwn(document, candidate.name));
    if (kind === undefined) return [{ path: at([]), message: kindless(document), atKey: true }];
    const schema = stepSchema(kind);
    const parsed = schema.safeParse(document);
    if (!parsed.success) {
      const found = problemsOf(parsed.error.issues, document, schema);
      return found.map((problem) => ({ ...problem, path: at(problem.path) }));
    }
    const strays = strayTemplates(document, kind.fills);
    if (strays.length > 0) return strays.map((problem) => ({ ...problem, path: at(problem.path) }));
    try {
      return await this.#bind(name, kind, parsed.data as StepKeys);
    } catch (error) {
      if (!(error instanceof StepProblems)) throw error;
      return error.problems.map((problem) => ({ ...problem, path: at(problem.path) }));
    }
  }

  async #bind(name: string, kind: StepKind, document: StepKeys): Promise<Draft> {
    const { after, retries, timeout, on_failure: onFailure = 'stop', always = false } = document;
    const own = Object.entries(document).filter(
      ([key, value]) => value !== undefined && !(STEP_KEYS as readonly string[]).includes(key),
    );
    const work = await kind.bind(Object.fromEntries(own), this.#place(name));
    const named = templateInputs(Object.fromEntries(own), work.inputs);
    const times = typeof retries === 'object' ? retries.times : (retries ?? 0);
    const delay = typeof retries === 'object' ? retries.delay : undefined;
    return {
      name,
      kind,
      work: named.length === 0 ? work : { ...work, inputs: [...work.inputs, ...named] },
      after: after === undefined ? [] : [after].flat(),
      retries: times,
      retryDelayMs: delay === undefined ? 0 : parseDuration(delay)!,
      ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout)! }),
      onFailure,
      isAlways: always,
    };
  }

  #place(step: string): StepPlace {
    const at = (path: KeyPath): KeyPath => ['steps', step, ...path];
    const failAll = (problems: readonly Problem[]): never => {
      throw new StepProblems(problems);
    };
    return {
      step,
      folder: this.#folder,
      cwd: this.#cwd,
      variables: this.#variables,
      path: (path, given) => this.#path(at(path), given),
      keep: (path, value) => void this.#kept.push([at(path), value]),
      where: (path) => this.#source.error([{ path: at(path), message: '' }]).message.slice(0, -2),
      fail: (path, message) => failAll([{ path, message }]),
      failAll,
    };
  }

  #path(at: KeyPath, given: string): string {
    const base = this.baseOf(at);
    const path = resolveDataPath(given, this.#folder, base);
    if (base !== this.#folder) this.#kept.push([at, path]);
    return path;
  }

  /** The folder that a relative path at a place starts at. */
  baseOf(at: KeyPath): string {
    const isOverridden = this.#source.overrides.some(({ path }) => isPrefix(path, at));
    return isOverridden ? this.#cwd : this.#source.folderOf(at);
  }

  /** The document with what it says in the folder of the file alone. */
  keptDocument(document: object): Record<string, unknown> {
    const kept = structuredClone(document) as Record<string, unknown>;
    for (const [path, value] of this.#kept) put(kept, path, value);
    return kept;
  }
}

function put(document: Record<string, unknown>, path: KeyPath, value: unknown): void {
  let level = document;
  for (const part of path.slice(0, -1)) level = level[part] as Record<string, unknown>;
  level[path.at(-1)!] = value;
}

function kindless(document: object): string {
  const names = stepKinds.map(({ name }) => name).join(', ');
  const keys = Object.keys(document);
  return `expected one of the keys ${names}, got ${keys.length === 0 ? 'none' : keys.join(', ')}`;
}
