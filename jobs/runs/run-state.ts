/**
 * What becomes of a run, read from its folder by any process. Invariant: a state is derived and
 * stands nowhere: from `result.json`, the journal, and whether the process that has the run lives.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ConfigError, DataError } from '../../driver/errors.js';
import { readPlainFile } from '../../driver/support/plain-file.js';
import { isFromDeadProcess, isOfThisMachine } from '../../driver/support/process-token.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import { type StepProgress, stepOverviews, stepProgress } from '../pipeline/step-ends.js';
import type { Division } from '../search/wave-log.js';
import { bestOf, type WaveResult } from '../search/wave-result.js';
import { type AttemptRecord, type Journaled, journalPath, readJournal } from './journal.js';
import { isRunId, startOfRun } from './run-id.js';
import type { BestSummary, RunSummary } from './summary.js';

/**
 * - `finished`: `result.json` is there; `partial`: it is, with some of the candidates.
 * - `running`: a process has it; `stopping`: it was told to end.
 * - `failed`: it ended with an error; `lost`: contact with the cluster was lost.
 * - `interrupted`: its process is gone and said nothing.
 */
export type StateName =
  | 'finished'
  | 'partial'
  | 'running'
  | 'stopping'
  | 'failed'
  | 'lost'
  | 'interrupted';

/** Whether a process has the run. */
export function lives(state: StateName): boolean {
  return state === 'running' || state === 'stopping';
}

/** What a journal says. */
export interface RunState {
  readonly state: StateName;
  /** The latest. */
  readonly attempt: AttemptRecord;
  readonly error?: string;
  /** Of the error, such as `DATA`. */
  readonly code?: string;
}

/** A run for lists. */
export interface RunOverview {
  /** What ran: a job, or a pipeline, which has steps in place of trials. */
  readonly kind: 'job' | 'pipeline';
  /** Of a pipeline. */
  readonly steps?: StepProgress;
  readonly run: string;
  readonly name: string;
  readonly state: StateName;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** When the last record was written, or the run ended. */
  readonly updatedAt: string;
  readonly attempts: number;
  readonly trials: { readonly done: number; readonly of: number | null };
  /** So far. */
  readonly best: BestSummary | null;
  readonly engine: string;
  /** The process that has it, of a run that has one. */
  readonly process?: { readonly host: string; readonly pid: number };
  readonly error?: string;
  /** Of the error, such as `DATA`. */
  readonly code?: string;
  readonly tags: readonly string[];
  readonly path: string;
}

/** How often a process says that it lives. @units ms */
export const HEARTBEAT_MS = 15_000;
/** Silence after which a process of another machine, or from before a restart, is gone. @units ms */
const SILENCE_MS = 120_000;

/** @param touchedMs when the journal was last written or touched */
export function stateOf(
  folder: string,
  records: readonly Journaled[],
  touchedMs = Number.NEGATIVE_INFINITY,
): RunState {
  const attempt = attemptsOf(records).at(-1);
  if (attempt === undefined) {
    throw new ConfigError(
      `run: expected the journal of a run in ${folder}, got one without a beginning; \`reprise runs rm ${basename(folder)}\` removes it`,
      { key: 'run', value: folder },
    );
  }
  const own = records.slice(records.indexOf(attempt) + 1);
  const end = own.findLast((record) => record.kind === 'end');
  if (end !== undefined) return { state: end.isPartial ? 'partial' : 'finished', attempt };
  const why = own.findLast((record) => record.kind === 'state');
  if (why !== undefined && why.state !== 'stopping') {
    const { error, code } = why;
    return { state: why.state, attempt, ...(error ? { error } : {}), ...(code ? { code } : {}) };
  }
  const isAlive = isOfThisMachine(attempt.token)
    ? !isFromDeadProcess(attempt.token)
    : Date.now() - touchedMs < SILENCE_MS;
  if (isAlive) return { state: why === undefined ? 'running' : 'stopping', attempt };
  return { state: 'interrupted', attempt };
}

/** A record of each attempt, the latest last. */
export function attemptsOf(records: readonly Journaled[]): (AttemptRecord & Journaled)[] {
  return records.filter((record) => record.kind === 'run');
}

/** Results of waves by number; of one that two attempts kept, the first. */
export function wavesKept(records: readonly Journaled[]): Map<number, WaveResult> {
  const kept = new Map<number, WaveResult>();
  for (const record of records) {
    if (record.kind === 'trials' && !kept.has(record.wave)) kept.set(record.wave, record.result);
  }
  return kept;
}

/** The runs in a folder, the latest last. Folders that are no runs are left out. */
export async function listRuns(output: string): Promise<RunOverview[]> {
  const names = (await readdir(output).catch(() => [])).filter(isRunId).sort();
  const found = await Promise.all(
    names.map((name) =>
      overviewOf(join(output, name)).catch((error: unknown) =>
        error instanceof DataError ? damagedRun(join(output, name), error.message) : undefined,
      ),
    ),
  );
  return found.filter((run) => run !== undefined);
}

/** A run whose journal can't be read: what its name says. */
function damagedRun(path: string, error: string): RunOverview {
  const run = basename(path);
  const startedAt = startOfRun(run);
  const none = { kind: 'job', trials: { done: 0, of: null }, best: null, tags: [], engine: '-' } as const; // biome-ignore format: a record
  return { run, name: run, state: 'failed', startedAt, updatedAt: startedAt, attempts: 1, error, path, ...none }; // biome-ignore format: a record
}

/** @throws ConfigError for a folder that is no run, DataError for a damaged journal */
export async function overviewOf(folder: string): Promise<RunOverview> {
  const [records, result, tags] = await Promise.all([
    readJournal(folder),
    readResult(folder),
    readTags(folder),
  ]);
  const path = folder;
  if (records === undefined || records.length === 0) {
    if (result === undefined) {
      throw new ConfigError(
        `run: expected result.json or journal.jsonl in ${folder}, got neither; \`reprise runs ls\` lists the runs`,
        { key: 'run', value: folder },
      );
    }
    return { ...ofResult(result), attempts: 1, state: 'finished', tags, path };
  }
  const { mtimeMs } = await stat(journalPath(folder));
  const { state, attempt, error, code } = stateOf(folder, records, mtimeMs);
  const isOver = state === 'finished' || state === 'partial';
  const progress =
    result !== undefined && isOver && !isPipeline(attempt.job)
      ? ofResult(result)
      : progressOf(records, attempt, lives(state));
  return {
    ...progress,
    state: isOver && result === undefined ? 'interrupted' : state,
    attempts: attempt.attempt,
    ...(lives(state) ? { process: { host: attempt.host, pid: attempt.pid } } : {}),
    ...(error === undefined ? {} : { error }),
    ...(code === undefined ? {} : { code }),
    tags,
    path,
  };
}

type Progress = Pick<
  RunOverview,
  'kind' | 'steps' | 'run' | 'name' | 'startedAt' | 'updatedAt' | 'trials' | 'best' | 'engine'
>;

function progressOf(
  records: readonly Journaled[],
  attempt: AttemptRecord,
  isLive: boolean,
): Progress {
  const divided = divisionOf(records);
  const data = records.findLast((record) => record.kind === 'data');
  const kept = wavesKept(records);
  const { run, name, startedAt } = attempt;
  const engine = data?.engine ?? attempt.engine;
  const times = { run, name, startedAt, updatedAt: records.at(-1)!.at, engine };
  if (isPipeline(attempt.job)) {
    const steps = stepProgress(stepOverviews(records, attempt, isLive));
    return { kind: 'pipeline', steps, ...times, trials: { done: 0, of: null }, best: null };
  }
  const base = { kind: 'job', ...times } as const;
  if (divided === undefined) return { ...base, trials: { done: 0, of: null }, best: null };
  const { waves, metric } = divided;
  return {
    ...base,
    trials: {
      done: [...kept.keys()].reduce((sum, w) => sum + (waves[w]?.length ?? 0), 0),
      of: divided.of,
    },
    best: bestSummary(waves, kept, metric),
  };
}

/** How trials were divided, the rungs so far together; undefined before the first. */
export function divisionOf(records: readonly Journaled[]): Omit<Division, 'rung'> | undefined {
  const rungs = new Map<number, Extract<Journaled, { readonly kind: 'waves' }>>();
  for (const record of records) {
    if (record.kind === 'waves') rungs.set(record.rung ?? 0, record);
  }
  const [first] = rungs.values();
  if (first === undefined) return undefined;
  const waves = [...rungs.values()].flatMap((one) => one.waves);
  const trials = waves.reduce((sum, { length }) => sum + length, 0);
  return { waves, metric: first.metric, of: first.of ?? trials };
}

/** How a wave went. */
export interface WaveOverview {
  /** From 0. */
  readonly wave: number;
  readonly candidates: number;
  readonly failed: number;
  readonly state: 'done' | 'begun' | 'to do';
  /** Of its training and scoring. @units seconds */
  readonly seconds: number | null;
  readonly best: BestSummary | null;
}

/** The waves of a run, in order; none before they are divided, or without a journal. */
export async function waveOverviews(folder: string): Promise<WaveOverview[]> {
  const records = (await readJournal(folder)) ?? [];
  const divided = divisionOf(records);
  if (divided === undefined) return [];
  const { waves, metric } = divided;
  const kept = wavesKept(records);
  const begun = new Set(records.flatMap((one) => (one.kind === 'begin' ? [one.wave] : [])));
  return waves.map((candidates, w): WaveOverview => {
    const result = kept.get(w);
    const record = records.find((one) => one.kind === 'trials' && one.wave === w);
    return {
      wave: w,
      candidates: candidates.length,
      failed: result?.trials.filter(({ errors }) => errors !== undefined).length ?? 0,
      state: result !== undefined ? 'done' : begun.has(w) ? 'begun' : 'to do',
      seconds: record?.kind === 'trials' ? record.seconds : null,
      best: result === undefined ? null : bestSummary(waves, new Map([[w, result]]), metric),
    };
  });
}

function bestSummary(
  waves: readonly (readonly number[])[],
  kept: ReadonlyMap<number, WaveResult>,
  metric: string,
): BestSummary | null {
  const folds = Math.max(0, ...[...kept.values()].map(({ classRows }) => classRows.length));
  const best = bestOf(waves, kept, metric, folds);
  return best && { ...best, metric };
}

type Result = RunSummary & { readonly name: string; readonly startedAt: string; partial?: { of: number } }; // biome-ignore format: a type

/** Undefined for a file of that name that another program has reason to write. */
async function readResult(folder: string): Promise<Result | undefined> {
  try {
    const result = JSON.parse(await readPlainFile(join(folder, 'result.json'))) as Result;
    return isOfRun(result) ? result : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a parsed `result.json` is one of ours. */
export function isOfRun(value: unknown): boolean {
  const { run, startedAt, seconds } = (value ?? {}) as Partial<Record<keyof Result, unknown>>;
  const isTimed = typeof seconds === 'object' && seconds !== null;
  return typeof run === 'string' && typeof startedAt === 'string' && isTimed;
}

function ofResult(result: Result): Progress {
  const { run, name, startedAt, best, trials, engine, seconds, partial } = result;
  const ended = Date.parse(startedAt) + (seconds.total ?? 0) * 1000;
  return {
    kind: 'job',
    run,
    name,
    startedAt,
    updatedAt: new Date(ended).toISOString(),
    trials: { done: trials, of: partial?.of ?? trials },
    best,
    engine,
  };
}

const TAGS = 'tags.json';

/** Words that people gave a run. */
async function readTags(folder: string): Promise<string[]> {
  const text = await readPlainFile(join(folder, TAGS)).catch(() => '[]');
  try {
    const tags: unknown = JSON.parse(text);
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
  } catch {
    return [];
  }
}

export const tagsPath = (folder: string): string => join(folder, TAGS);
