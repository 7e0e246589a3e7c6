/**
 * `job`: a job file, or a job written out, run as a step. Invariants: the job is one that `reprise
 * run` would take; its run is kept as any other, in the pipeline's run folder, so that a step that
 * was cut off goes on from its own journal. It leaves the model and the table of results.
 */
import { copyFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { DataError } from '../../driver/errors.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { formatBest } from '../format.js';
import type { Problem } from '../job-file/check-job.js';
import { isCause, type ReadDocument, readDocument } from '../job-file/document.js';
import type { Job } from '../job-file/job.js';
import { applyOverrides, type Override, parseOverride } from '../job-file/overrides.js';
import { problemsOf } from '../job-file/problems.js';
import { jobOf } from '../job-file/read-job.js';
import type { KeyPath } from '../job-file/yaml-source.js';
import { isOfPackage } from '../npm-data.js';
import { stepName, stepOf } from '../prepare/chosen-steps.js';
import type { RunRecord } from '../runs/record.js';
import { RunJournal } from '../runs/run-journal.js';
import { overviewOf, type RunOverview } from '../runs/run-state.js';
import { failedTrials, summarize } from '../runs/summary.js';
import { engineByData } from './step-data.js';
import {
  defineStep,
  type StepContext,
  type StepInput,
  type StepPlace,
  type StepPlanContext,
  type StepResult,
  type StepSource,
  type StepWork,
} from './step-kind.js';
import { ofStep, ofStepSchema } from './step-source.js';

const schema = z.strictObject({
  job: z
    .union([z.string().min(1).max(4096), z.record(z.string(), z.unknown())])
    .meta({ description: 'A job file, relative to the pipeline file, or a job as a mapping.' }),
  with: z.record(z.string().min(1).max(500), z.unknown()).optional().meta({
    description:
      'Settings in place of those of the job: `cv.folds: 5`, `data.path: {step: joined}`.',
  }),
});

type JobKeys = z.output<typeof schema>;

export const jobStep = defineStep({
  name: 'job',
  version: 1,
  schema,
  bind: async (keys, place) => {
    const data = stepSource(keys.with?.['data.path'], ['with', 'data.path'], place);
    const { job, document } = await readStepJob(keys, data !== undefined, place);
    place.keep(['job'], document);
    const input: StepInput = {
      name: 'data',
      from: data ?? { path: job.data.path },
      read: job.data.read,
      at: data === undefined ? ['job'] : ['with', 'data.path'],
    };
    return workOf(job, [input, ...(await stepFiles(job))]);
  },
});

/** Files that its cleaning steps read. Those of packages are always the same. */
async function stepFiles({ models }: Job): Promise<StepInput[]> {
  const inputs: StepInput[] = [];
  for (const document of models[0]?.prepare ?? []) {
    const { files = [], filesOf } = stepOf(document);
    for (const path of files.map((key) => document[key])) {
      if (typeof path !== 'string' || isOfPackage(path)) continue;
      for (const [i, own] of ((await filesOf?.(path)) ?? [path]).entries()) {
        const name = `${stepName(document)}${i === 0 ? '' : ` ${i + 1}`}`;
        inputs.push({ name, from: { path: own }, isAnyFile: true, at: ['job'] });
      }
    }
  }
  return inputs;
}

function workOf(job: Job, inputs: readonly StepInput[]): StepWork {
  const model = { name: 'model', file: 'model.json', at: ['job'] };
  const results = { name: 'results', file: 'results.csv', at: ['job'] };
  return {
    inputs,
    outputs: job.refit ? [model, results] : [results],
    parameters: parametersOf(job),
    run: (context) => runSearch(job, context),
    engine: (context) => engineOf(job, context),
    plan: (context) => planSearch(job, context),
  };
}

/** All that the job's results follow from besides the data. */
function parametersOf({ document, data }: Job): Record<string, unknown> {
  const {
    output: _,
    store: __,
    spark: ___,
    reuse: ____,
    ...keys
  } = document as Record<string, unknown>;
  const { path: _____, table: ______, ...read } = keys.data as Record<string, unknown>;
  return { ...keys, data: { ...read, dialect: data.dialect ?? null } };
}

/** `{step: NAME}` as the value of a setting; a mapping without a step is the job's to refuse. */
function stepSource(value: unknown, at: KeyPath, place: StepPlace): StepSource | undefined {
  if (typeof value !== 'object' || value === null || !('step' in value)) return undefined;
  const parsed = ofStepSchema.safeParse(value);
  if (parsed.success) return ofStep(parsed.data);
  const problems = problemsOf(parsed.error.issues, value, ofStepSchema);
  return place.failAll(problems.map((one) => ({ ...one, path: [...at, ...one.path] })));
}

/** Stands for the data of a step while the job is checked. */
const LATER = '/of-a-step';

async function readStepJob(
  { job: given, with: settings = {} }: JobKeys,
  isOfStep: boolean,
  place: StepPlace,
): Promise<{ readonly job: Job; readonly document: unknown }> {
  const source = typeof given === 'string' ? await readFileOf(given, place) : inline(given, place);
  const overrides = Object.entries(settings).map(([key, value]): Override => {
    const text = key === 'data.path' && isOfStep ? LATER : settingText(key, value, place);
    try {
      return parseOverride(`${key}=${text}`);
    } catch (error) {
      const why = (error as Error).message.replace(/^command line: /, '');
      return place.fail(['with', key], why);
    }
  });
  const value = applyOverrides(source.value, overrides) as Record<string, unknown>;
  const error: ReadDocument['error'] = (problems, scrub) => {
    const ofSettings = problems.flatMap((problem) => settingProblem(problem, overrides));
    if (ofSettings.length > 0) place.failAll(ofSettings);
    return source.error(problems, scrub);
  };
  const job = jobOf({ ...source, value, overrides: [], error }, { cwd: place.folder });
  const { data } = value as { readonly data: object };
  const path = job.data.path.startsWith('table://') ? {} : { path: job.data.path };
  return {
    job,
    document: { ...value, name: job.name, data: { ...data, ...(isOfStep ? {} : path) } },
  };
}

function readFileOf(given: string, place: StepPlace): Promise<ReadDocument> {
  return readDocument(place.path(['job'], given), {
    cwd: place.folder,
    variables: place.variables,
  });
}

/** A job that stands in the pipeline file; templates were filled with the file's. */
function inline(value: Readonly<Record<string, unknown>>, place: StepPlace): ReadDocument {
  return {
    file: join(place.folder, `${place.step}.yaml`),
    value: { kind: 'grid-search', ...value },
    overrides: [],
    folderOf: () => place.folder,
    error: (problems) =>
      place.failAll(problems.map((problem) => ({ ...problem, path: ['job', ...problem.path] }))),
  };
}

function settingText(key: string, value: unknown, place: StepPlace): string {
  const isPath = key === 'data.path' && typeof value === 'string';
  return JSON.stringify(isPath ? place.path(['with', key], value) : value);
}

/** A problem of a setting, told where the setting stands. */
function settingProblem(problem: Problem, overrides: readonly Override[]): Problem[] {
  const cause = overrides.find((one) => isCause(one, problem));
  if (cause === undefined) return [];
  const { path } = cause;
  return [{ ...problem, path: ['with', path.join('.'), ...problem.path.slice(path.length)] }];
}

function engineOf(job: Job, context: StepPlanContext): Promise<'local' | 'spark'> {
  return engineByData(context, 'data', job.data.dialect);
}

/** The job with the step's data, as a run in the pipeline's run folder. */
function placed(job: Job, path: string, output: string): Job {
  const document = job.document as { readonly data: object };
  const isTable = path.startsWith('table://');
  const data = { ...document.data, ...(isTable ? {} : { path }) };
  return {
    ...job,
    output,
    data: { ...job.data, path },
    document: { ...document, data, output },
  };
}

async function runSearch(asked: Job, context: StepContext): Promise<StepResult> {
  const { path } = context.input('data');
  const { runFolder, run, signal, onEvent, engine } = context;
  // `<output>/<run>/steps/<step>`: the step's run has an id that says where it is.
  const output = dirname(dirname(dirname(runFolder)));
  const job = placed(asked, path, output);
  const id = `${run}/steps/${context.step}`;
  const before = await earlierRun(context);
  const record = before?.state === 'finished' ? await keptRun() : await goOn();
  const { search } = record;
  const summary = summarize(record, runFolder);
  const failed = failedTrials(record);
  context.report({
    note: `best ${formatBest(summary.best)}; ${search.trials.length} candidates`,
    files: [join('steps', context.step, 'report.html')],
  });
  if (search.partial) {
    signal.throwIfAborted();
    throw new DataError(`search: expected all candidates, got some of them: ${search.partial.why}`);
  }
  if (summary.best === null)
    throw new DataError('search: expected a candidate with a finite score, got none');
  if (failed > 0) {
    const message = `${failed} of ${search.trials.length} candidates failed`;
    onEvent({ kind: 'warning', message });
  }
  if (job.refit) await copyFile(join(runFolder, 'model.json'), context.output('model'));
  await copyFile(join(runFolder, 'results.csv'), context.output('results'));
  return { rows: { results: search.trials.length } };

  async function keptRun(): Promise<RunRecord> {
    const { readRun } = await import('../runs/read-run.js');
    return readRun(runFolder);
  }

  async function goOn(): Promise<RunRecord> {
    const open = await context.open(await engineOf(job, context));
    const [{ keepRun }, { renderReport }] = await Promise.all([
      import('../keep-run.js'),
      import('../report/index.js'),
    ]);
    const journal = before === undefined ? await begin() : await RunJournal.resume(runFolder);
    const isOfUser = (): boolean => true;
    const [made] = await keepRun(job, {
      engine: open.engine,
      open,
      signal,
      onEvent,
      journal,
      renderReport,
      isOfUser,
    });
    return made;
  }

  async function begin(): Promise<RunJournal> {
    await rm(runFolder, { recursive: true, force: true });
    await makeFolder(dirname(runFolder));
    return RunJournal.begin(job, join(context.folder, `${context.step}.yaml`), engine, id);
  }
}

/** That of an earlier try, here or of a process that is gone, where it can be gone on with. */
async function earlierRun({
  isResumed,
  attempt,
  runFolder,
}: StepContext): Promise<RunOverview | undefined> {
  if (!isResumed && attempt === 1) return undefined;
  return overviewOf(runFolder).catch(() => undefined);
}

async function planSearch(job: Job, context: StepPlanContext): Promise<readonly string[]> {
  const { path } = context.input('data');
  const open = await context.open(await engineOf(job, context));
  const { planJob } = await import('../plan-job.js');
  const planned = placed(job, path, job.output);
  const report = await planJob(planned, { engine: open.engine, open, signal: context.signal });
  const { trials, folds, cached, operators, estimatedSeconds } = report;
  return [
    `${trials * folds} fits, ${cached} of ${operators} results are there, about ${estimatedSeconds.toPrecision(2)} s on ${open.engine}`,
  ];
}
