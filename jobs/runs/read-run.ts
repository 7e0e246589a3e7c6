/** Reads a run folder back into the record it was written from, for `reprise report`. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import type { TrialResult } from '../search/result.js';
import type { RunRecord } from './record.js';

/**
 * The folder of a run named by its path, its id or the start of its id; `latest` is the newest in `output`.
 * @throws ConfigError when there is none, or several fit
 */
export async function findRun(run: string, output: string): Promise<string> {
  if (await isRun(resolve(run))) return resolve(run);
  const names = (await readdir(output).catch(() => [])).filter((name) => !name.startsWith('.'));
  const fitting =
    run === 'latest' ? names.sort().slice(-1) : names.filter((name) => name.startsWith(run));
  const exact = names.includes(run) ? [run] : fitting;
  const [only] = exact;
  if (only === undefined || exact.length > 1 || !(await isRun(join(output, only)))) {
    const got = exact.length > 1 ? `${exact.length} that begin so` : 'none';
    throw new ConfigError(
      `run: expected a run folder at ${run} or a run of that id in ${output}, got ${got}`,
      { key: 'run', value: run, source: 'flag' },
    );
  }
  return join(output, only);
}

async function isRun(folder: string): Promise<boolean> {
  const stats = await stat(join(folder, 'result.json')).catch(() => undefined);
  return stats?.isFile() === true;
}

/** @throws ConfigError when a file of the folder is missing or damaged */
export async function readRun(folder: string): Promise<RunRecord> {
  const read = async (name: string): Promise<string> =>
    readFile(join(folder, name), 'utf8').catch((cause: NodeJS.ErrnoException) => {
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
  if (!Array.isArray(result.search?.trials)) throw damaged(folder, 'result.json', 'no trials');
  return {
    ...result,
    search: { ...result.search, trials: result.search.trials.map(restoreNumbers) },
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
