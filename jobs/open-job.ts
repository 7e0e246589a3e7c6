/**
 * What running a job and planning it begin with: an engine, a run in a session on it, the data, and
 * what the search is asked for. Invariant: a session that is opened here is closed when the work
 * ends, however it ends.
 */
import { type ConfigError, DataError, type Run } from '../driver/index.js';
import { type MemoryOutlook, memoryError, outlookOf, runShape } from './check-memory.js';
import { dataBytes } from './data-bytes.js';
import { chooseEngine, type OpenSession, openSession } from './engines.js';
import type { Params } from './estimators/estimator.js';
import type { Job } from './job-file/job.js';
import { localPath } from './npm-data.js';
import { type JobData, openData } from './open-data.js';
import type { Phases } from './runs/phases.js';
import type { RunOptions } from './runs/run-events.js';
import type { RunJournal } from './runs/run-journal.js';
import { candidatesOf } from './search/candidates.js';
import { chooseFit, type FitChoice, fitShape } from './search/choose-fit.js';
import type { GridSearchOptions } from './search/prepare.js';
import { hasProbabilities, predictionColumns, sqlScorers } from './search/scoring/formulas.js';
import { scorerOf } from './search/scoring/scorers.js';
import { allPartitions } from './search/splits/nested-splits.js';

export interface RunJobOptions extends RunOptions {
  /** Keeps the run while it runs. Default: it is kept by who writes the record. */
  readonly journal?: RunJournal;
  /** An open session to run in, which keeps its results for the next run. Default: a new one. */
  readonly open?: OpenSession;
}

interface OpenOptions extends RunJobOptions {
  /** The id of the run, which results it keeps are from. */
  readonly origin?: string;
}

export interface OpenJob {
  readonly open: OpenSession;
  /** Why this engine. */
  readonly reason: string;
  readonly run: Run;
  readonly data: JobData;
  readonly search: GridSearchOptions;
  /** How its fits are made, and why so. */
  readonly fit: FitChoice;
  readonly memory: MemoryOutlook;
  /** Thrown by whoever runs it; undefined when it fits. */
  readonly tooLarge: ConfigError | undefined;
}

/** Whether reading rows met a feature without a value. */
function isMissingValue(error: unknown): boolean {
  return error instanceof DataError && error.facts.feature !== undefined;
}

/**
 * Does the work, and again where the files' statistics said less of the data than their rows.
 * @throws ConfigError, DataError for what is wrong with job or data; what `work` throws
 */
export async function withOpenJob<T>(
  asked: Job,
  { engine: wanted, open: given, signal, onEvent, origin }: OpenOptions,
  clock: Phases,
  work: (opened: OpenJob) => Promise<T>,
): Promise<T> {
  clock.enter('start');
  const path = await localPath(asked.data.path, {
    signal,
    onBring: (what) => onEvent?.({ kind: 'data', what }),
  });
  const job: Job = { ...asked, data: { ...asked.data, path } };
  const { engine, reason, placement } =
    given === undefined
      ? await chooseEngine(wanted, path, dataBytes, job.data.dialect)
      : { engine: given.engine, reason: 'the open session', placement: undefined };
  onEvent?.({ kind: 'engine', engine, reason });
  const warn = (message: string): void => onEvent?.({ kind: 'warning', message });
  const open =
    given ??
    (await openSession(engine, warn, signal, placement, job.spark, {
      place: job.store,
      onSetup: (what) => onEvent?.({ kind: 'setup', what }),
      ...(origin === undefined ? {} : { origin }),
    }));
  if (open.way !== undefined) onEvent?.({ kind: 'spark', way: open.way });
  try {
    const run = open.session.run({
      ...(signal ? { signal } : {}),
      onProgress: (fraction) => clock.progress(fraction),
    });
    const workOn = async (data: JobData): Promise<T> => {
      const { estimator, params } = job.model;
      const candidates = candidatesOf(estimator, params, job.search.grid).map(({ all }) => all);
      const fit = chooseFit(
        estimator,
        candidates,
        fitShape(data.X, allPartitions(data.cv, data.nested), candidates.length),
      );
      const shape = runShape(open, job, data, fit);
      const memory = outlookOf(shape);
      const tooLarge = memoryError(memory, shape, data);
      const search = {
        ...data,
        columns: data.resolved.columns,
        imputations: data.resolved.imputations,
        ...job.model,
        grid: job.search.grid,
        standardize: job.data.standardize,
        scoring: job.scoring,
        metric: job.metric,
        refit: job.refit,
        errorScore: job.errorScore,
        ...(job.search.maxFailures === undefined ? {} : { maxFailures: job.search.maxFailures }),
        reportClasses: true,
        ...(open.formulas ? { formulas: open.formulas } : {}),
      };
      await checkFormulas(search, job.scoring, candidates[0]!);
      return work({ open, reason, run, data, search, fit, memory, tooLarge });
    };
    const data = await openData(open, run, job, clock, true);
    try {
      return await workOn(data);
    } catch (error) {
      if (!data.resolved.fromStatistics || !isMissingValue(error)) throw error;
      // A NaN that the files' statistics knew nothing of: every row is looked at first.
      return await workOn(await openData(open, run, job, clock, false));
    }
  } finally {
    if (given === undefined) await open.session.close();
  }
}

/** @throws DataError for a metric in SQL that is none, before anything is fitted */
async function checkFormulas(
  { estimator, formulas, classes = [], weight }: GridSearchOptions,
  scoring: Job['scoring'],
  params: Params,
): Promise<void> {
  const asked = sqlScorers(scoring.map(scorerOf)).map(({ formula }) => formula);
  if (asked.length === 0) return;
  const { task } = estimator;
  const outputs = estimator.outputs(params, classes.length);
  const link = estimator.link(params, classes.length);
  const columns = predictionColumns({
    task,
    classes,
    outputs,
    hasWeight: weight !== undefined,
    hasProbabilities: hasProbabilities(task, link),
  });
  await formulas?.check(asked, columns);
}
