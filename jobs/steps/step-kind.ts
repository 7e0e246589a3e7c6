/**
 * What a kind of step of a pipeline is: the keys it takes, and from them what a step reads, leaves
 * and does. Invariants: a step reads what its inputs name and leaves what its outputs name, and what
 * it leaves follows from its inputs' content, its `parameters` and its kind's `version` alone, or it
 * says `isNeverSkipped` why not. Who runs steps (`jobs/pipeline`) owns graph, keys, retries, time
 * limits and the places of outputs.
 */
import type { z } from 'zod';
import type { FileIdentity } from '../../driver/frame/identity.js';
import type { DescribeOptions } from '../../driver/index.js';
import type { OpenSession } from '../engines.js';
import type { Problem } from '../job-file/check-job.js';
import type { Variables } from '../job-file/templates.js';
import type { KeyPath } from '../job-file/yaml-source.js';
import type { EngineName, RunEvent } from '../runs/run-events.js';

/** Where an input comes from. */
export type StepSource =
  /** As `StepPlace.path` gives it, or `table://NAME` of Spark's catalog. */
  | { readonly path: string }
  /** What another step leaves: its first output, unless one is named. */
  | { readonly step: string; readonly output?: string };

export interface StepInput {
  /** Unique within the step. */
  readonly name: string;
  readonly from: StepSource;
  /** How it is read; part of the step's key. */
  readonly read?: DescribeOptions;
  /** Any file or folder, as commands take them. Default: data, listed as jobs list theirs. */
  readonly isAnyFile?: boolean;
  /** Its place in the step's keys, for messages. */
  readonly at: KeyPath;
}

export interface StepOutput {
  /** Unique within the step. */
  readonly name: string;
  /** As `StepPlace.path` gives it. Absent: kept in the pipeline's own folder. */
  readonly path?: string;
  /** What it is called in the pipeline's own folder, such as `data.parquet`. */
  readonly file: string;
  /** The step puts it there itself, as a command does or who adds to a folder. Default false. */
  readonly isDirect?: boolean;
  readonly at: KeyPath;
}

/** A step as it is to be done. */
export interface StepWork {
  readonly inputs: readonly StepInput[];
  /** The first is what `{step: NAME}` means. */
  readonly outputs: readonly StepOutput[];
  /** What it depends on besides its inputs, as JSON without paths of inputs and outputs. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Why it can't be skipped: `random() gives other values each time`. Absent: it can. */
  readonly isNeverSkipped?: string;
  /** @throws what it fails with: `ConfigError` and `DataError` for what the user is to mend */
  run(context: StepContext): Promise<StepResult>;
  /** Whether Spark does it, by the paths of its inputs. Absent: this process does, or `engine` says. */
  isOnSpark?(pathOf: (input: string) => string): boolean;
  /** Which engine it would run on, where its data have to be looked at. */
  engine?(context: StepPlanContext): Promise<'local' | 'spark'>;
  /** What `plan` says beyond inputs and outputs: lines. Runs nothing. */
  plan?(context: StepPlanContext): Promise<readonly string[]>;
}

export interface ResolvedInput {
  readonly name: string;
  /** Absolute, of a file, folder or glob; a URI; `table://NAME`. */
  readonly path: string;
  readonly read: DescribeOptions;
  /** What the step's key was made of; the files of remote data have the digests Spark gives. */
  readonly files: readonly FileIdentity[];
}

export interface StepPlanContext {
  readonly engine: EngineName;
  readonly signal: AbortSignal;
  /** @throws InternalError for a name the step has not */
  input(name: string): ResolvedInput;
  /** The pipeline's session on an engine, opened when first asked for; never closed by a step. */
  open(engine: 'local' | 'spark'): Promise<OpenSession>;
}

export interface StepContext extends StepPlanContext {
  /** The step's name. */
  readonly step: string;
  /** The run's id. */
  readonly run: string;
  /** Of the pipeline file, absolute: where commands run. */
  readonly folder: string;
  /** The step's own in the run's folder, for logs and runs of its own; there only once made. */
  readonly runFolder: string;
  /** From 1: beyond, it failed and is tried again. */
  readonly attempt: number;
  /** An earlier process began it with the same inputs and was cut off. */
  readonly isResumed: boolean;
  readonly onEvent: (event: RunEvent) => void;
  /** Where an output is to be written: it appears in its place when all of them are there. */
  output(name: string): string;
  /** `{{ steps.NAME }}` and `{{ steps.NAME.OUTPUT }}` in a text as the paths they stand for. */
  fill(text: string): string;
  /** Says what the step found, also when it fails then. The last word counts. */
  report(found: StepReport): void;
}

/** For people: in the run's journal, `runs show` and the report. JSON. */
export interface StepReport {
  /** A line: `best r2 0.81 at lambda=1`. */
  readonly note?: string;
  /** The first row names the columns. */
  readonly table?: readonly (readonly string[])[];
  /** Files to look at, relative to the run's folder: a log, a report. */
  readonly files?: readonly string[];
}

export interface StepResult {
  /** By output, where it was counted. */
  readonly rows?: Readonly<Record<string, number>>;
}

/** Where a step stands while it is read. */
export interface StepPlace {
  readonly step: string;
  /** Of the pipeline file, absolute. */
  readonly folder: string;
  /** Folder that paths given on the command line are relative to. */
  readonly cwd: string;
  /** Values for the templates of files that it names. */
  readonly variables: Variables;
  /** A path that is written at a place, absolute; URIs as they are. */
  path(at: KeyPath, given: string): string;
  /** What stands in the run's journal in place of the value there: files that were read, say. */
  keep(at: KeyPath, value: unknown): void;
  /** `FILE:LINE:COLUMN: steps.NAME.KEY`, for what is found wrong later. */
  where(at: KeyPath): string;
  /** Refuses a value: `FILE:LINE:COLUMN: steps.NAME.KEY: expected .., got ..`. @throws ConfigError */
  fail(at: KeyPath, message: string): never;
  /** Refuses several. @throws ConfigError */
  failAll(problems: readonly Problem[]): never;
}

export interface StepKind {
  /** The key that says it: `sql`, `check`, .. */
  readonly name: string;
  /** Of what it computes: raised when the same step would leave something else. */
  readonly version: number;
  /** Its own keys; those that every step may have are added to them. */
  readonly schema: z.ZodObject<z.core.$ZodShape, z.core.$strict>;
  /** Those of its keys whose texts it gives to `StepContext.fill`. */
  readonly fills: readonly string[];
  /** The step that keys describe. Reads files that they name, a job file, but no data. */
  bind(document: unknown, place: StepPlace): Promise<StepWork>;
}

/** States a kind whose keys are typed by its schema. */
export function defineStep<Shape extends z.core.$ZodShape>(kind: {
  readonly name: string;
  readonly version: number;
  readonly schema: z.ZodObject<Shape, z.core.$strict>;
  readonly fills?: readonly string[];
  readonly bind: (
    document: z.output<z.ZodObject<Shape, z.core.$strict>>,
    place: StepPlace,
  ) => StepWork | Promise<StepWork>;
}): StepKind {
  const { name, version, schema, fills = [], bind } = kind;
  type Document = z.output<z.ZodObject<Shape, z.core.$strict>>;
  return {
    name,
    version,
    schema: schema as unknown as StepKind['schema'],
    fills,
    bind: async (document, place) => bind(document as Document, place),
  };
}
