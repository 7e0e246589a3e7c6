/** Finds run folders by name and reads one back into the record it was written from. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { readPlainFile } from '../../driver/support/plain-file.js';
import type { LinearModel } from '../estimators/model.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import type { PipelineResult } from '../pipeline/result.js';
import type { TrialResult } from '../search/result.js';
import type { RunRecord } from './record.js';
import { isRunId } from './run-id.js';
import { isOfRun } from './run-state.js';

/**
 * The folder of a run named by its path, its id or the start of its id; `latest` is the newest in
 * `output`.
 * @param which `finished` ones have a result, if only a partial one; `any` may be running or failed
 * @throws ConfigError when there is none, or several fit
 */
export async function findRun(
  run: string,
  output: string,
  which: 'finished' | 'any' = 'finished',
): Promise<string> {
  const isRun = (folder: string): Promise<boolean> => hasRun(folder, which);
  if (await isRun(resolve(run))) return resolve(run);
  // A search of a pipeline's run: `<id>/steps/<step>`.
  if (run.includes('/') && (await isRun(join(output, run)))) return join(output, run);
  const names = await readdir(output).catch(() => [] as string[]);
  const { found, got } =
    run === 'latest' ? await latestOf(names, output, which) : fitting(run, names);
  if (found === undefined || !(await isRun(join(output, found)))) {
    throw new ConfigError(
      `run: expected a run folder at ${run} or a run of that id in ${output}, got ${got}; \`reprise runs ls\` lists the runs, --output names another folder`,
      { key: 'run', value: run, source: 'flag' },
    );
  }
  return join(output, found);
}

interface Found {
  readonly found?: string;
  /** What there is in place of one run. */
  readonly got: string;
}

/** Notes, copies and folders of failed runs that lie there too are not the latest run. */
async function latestOf(
  names: readonly string[],
  output: string,
  which: 'finished' | 'any',
): Promise<Found> {
  for (const name of names.filter(isRunId).sort().reverse()) {
    if (await hasRun(join(output, name), which)) return { found: name, got: 'none' };
  }
  return { got: 'none' };
}

function fitting(run: string, names: readonly string[]): Found {
  if (names.includes(run)) return { found: run, got: 'a folder without result.json' };
  const [only, ...others] = names.filter((name) => isRunId(name) && name.startsWith(run));
  if (only === undefined) return { got: 'none' };
  if (others.length > 0) return { got: `${others.length + 1} that begin so` };
  return {
    found: only,
    got: `${only}, which has no result.json; \`reprise runs show ${only}\` says why`,
  };
}

async function hasRun(folder: string, which: 'finished' | 'any'): Promise<boolean> {
  const files = which === 'any' ? ['result.json', 'journal.jsonl'] : ['result.json'];
  for (const name of files) {
    const stats = await stat(join(folder, name)).catch(() => undefined);
    if (stats?.isFile()) return true;
  }
  return false;
}

/** What a pipeline's run left; undefined for the run of a job. */
export async function readPipelineResult(folder: string): Promise<PipelineResult | undefined> {
  const text = await readPlainFile(join(folder, 'result.json')).catch(() => '{}');
  try {
    const result: unknown = JSON.parse(text);
    return isPipeline(result) ? (result as PipelineResult) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws ConfigError for a pipeline's run, naming the searches in it */
export async function requireJob(folder: string): Promise<void> {
  const pipeline = await readPipelineResult(folder);
  if (pipeline !== undefined) throw noJob(folder, pipeline);
}

function noJob(folder: string, { steps }: PipelineResult): ConfigError {
  const searches = steps.filter(({ kind }) => kind === 'job');
  const names = searches.map(({ step, from, state }) => {
    const run = state === 'skipped' ? (from ?? basename(folder)) : basename(folder);
    return `${run}/steps/${step}`;
  });
  return new ConfigError(
    `run: expected the run of a job, got that of a pipeline at ${folder}; its searches: ${names.join(', ') || 'none'}`,
    { key: 'run', value: folder },
  );
}

/** @throws ConfigError when a file of the folder is missing or damaged, or a pipeline's run wrote it */
export async function readRun(folder: string): Promise<RunRecord> {
  const read = async (name: string): Promise<string> =>
    readPlainFile(join(folder, name)).catch((cause: NodeJS.ErrnoException) => {
      throw damaged(folder, name, cause.code ?? cause.message);
    });
  const parse = async <T>(name: string): Promise<T> => {
    const text = await read(name);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw damaged(folder, name, 'text that is not JSON');
    }
  };
  const result = await parse<Omit<RunRecord, 'lineage' | 'timeline' | 'plan'>>('result.json');
  if (!isOfRun(result)) throw damaged(folder, 'result.json', 'one of something else');
  if (isPipeline(result)) throw noJob(folder, result as unknown as PipelineResult);
  if (!Array.isArray(result.search?.trials)) throw damaged(folder, 'result.json', 'no trials');
  return {
    ...result,
    search: {
      ...result.search,
      trials: result.search.trials.map(restoreNumbers),
      model: restoreModel(result.search.model),
    },
    lineage: await parse<RunRecord['lineage']>('lineage.json'),
    timeline: await parse<RunRecord['timeline']>('timeline.json'),
    plan: await read('plan.txt'),
  };
}

function damaged(folder: string, name: string, got: string): ConfigError {
  return new ConfigError(`run: expected ${name} of a finished run in ${folder}, got ${got}`, {
    key: 'run',
    value: folder,
    source: 'flag',
  });
}

/** Models of earlier versions: of regressions, with one output whose numbers stood bare. */
type EarlierModel = Pick<LinearModel, 'kind' | 'columns' | 'imputed'> & {
  readonly coefficients: readonly number[];
  readonly intercept: number;
};

function restoreModel(model: LinearModel | EarlierModel | null | undefined): LinearModel | null {
  if (model === null || model === undefined) return null;
  if ('intercepts' in model) return model;
  const { coefficients, intercept, ...same } = model;
  const facts = { task: 'regression', link: 'identity' } as const;
  return { ...same, ...facts, coefficients: [coefficients], intercepts: [intercept] };
}

/** JSON holds NaN as null. */
function restoreNumbers(trial: TrialResult): TrialResult {
  const number = (value: number | null): number => value ?? Number.NaN;
  const record = (values: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, number(value)]));
  return {
    ...trial,
    splitScores: Object.fromEntries(
      Object.entries(trial.splitScores).map(([key, values]) => [key, values.map(number)]),
    ),
    meanScore: record(trial.meanScore),
    stdScore: record(trial.stdScore),
    rank: record(trial.rank),
  };
}
