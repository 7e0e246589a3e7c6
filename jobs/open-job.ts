/**
 * What running a job and planning it begin with: an engine, a run in a session on it, the data, and
 * what the search is asked for. Invariant: a session that is opened here is closed when the work
 * ends, however it ends.
 */
import { ConfigError, DataError, type Run } from '../driver/index.js';
import { type MemoryOutlook, memoryError, memoryOf } from './check-memory.js';
import { dataBytes } from './data-bytes.js';
import { chooseEngine, type OpenSession, openSession } from './engines.js';
import type { Job } from './job-file/job.js';
import { localPath } from './npm-data.js';
import { type JobData, openData } from './open-data.js';
import { openSteps } from './prepare/chosen-steps.js';
import type { Phases } from './runs/phases.js';
import type { RunOptions } from './runs/run-events.js';
import type { RunJournal } from './runs/run-journal.js';
import type { SearchGroup } from './search/groups.js';
import { planSearch, type SearchPlan } from './search/plan-search.js';
import type { SearchOptions } from './search/prepare.js';
import { hasProbabilities, predictionColumns, sqlScorers } from './search/scoring/formulas.js';
import { scorerOf } from './search/scoring/scorers.js';
import type { SearchFacts } from './search/strategies/strategy.js';

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
  readonly search: SearchOptions;
  /** What is known of it before it begins. */
  readonly plan: SearchPlan;
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
  if (given !== undefined) requireReuse(asked, given);
  const onBring = (what: string): void => onEvent?.({ kind: 'data', what });
  const bringing = { signal, onBring };
  const path = await localPath(asked.data.path, bringing);
  const job: Job = { ...asked, data: { ...asked.data, path } };
  for (const { prepare = [] } of job.models) await openSteps(prepare, bringing);
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
      ...(job.reuse === undefined ? {} : { reuse: job.reuse }),
      ...(job.devices === undefined ? {} : { devices: job.devices }),
      onSetup: (what) => onEvent?.({ kind: 'setup', what }),
      ...(origin === undefined ? {} : { origin }),
    }));
  if (open.devices !== undefined) onEvent?.({ kind: 'devices', devices: open.devices });
  if (open.way !== undefined) onEvent?.({ kind: 'spark', way: open.way });
  try {
    const run = open.session.run({
      ...(signal ? { signal } : {}),
      onProgress: (fraction) => clock.progress(fraction),
    });
    const workOn = async (data: JobData): Promise<T> => {
      const { type, space, settings, maxFailures, maxSeconds, ensemble } = job.search;
      const search = {
        ...data,
        columns: data.resolved.columns,
        features: data.resolved.summary.map(({ name }) => name),
        categories: categoriesOf(data.resolved),
        border: besideCategory(data.resolved),
        imputations: data.resolved.imputations,
        models: job.models,
        strategy: (facts: SearchFacts) => type.begin(space, settings, facts),
        standardize: job.data.standardize,
        scoring: job.scoring,
        metric: job.metric,
        refit: job.refit,
        errorScore: job.errorScore,
        ...(maxFailures === undefined ? {} : { maxFailures }),
        ...(maxSeconds === undefined ? {} : { maxSeconds }),
        ...(ensemble ? { ensemble } : {}),
        reportClasses: true,
        ...(open.formulas ? { formulas: open.formulas } : {}),
      };
      const plan = planSearch(run, search);
      const { shape, memory } = memoryOf(open, job, data, plan.groups);
      const tooLarge = memoryError(memory, shape, data);
      for (const group of plan.groups) await checkFormulas(group, open.formulas, job.scoring);
      return work({ open, reason, run, data, search, plan, memory, tooLarge });
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

/** The features of columns that are 1 for rows of one category, or of one bin. */
function categoriesOf({ summary, columns }: JobData['resolved']): ReadonlyMap<string, string> {
  const categories = new Map<string, string>();
  let next = 0;
  for (const { name, encode, columns: width } of summary) {
    const own = columns.slice(next, next + width);
    next += width;
    if (encode !== 'onehot' && encode !== 'bin') continue;
    for (const column of own) categories.set(column, name);
  }
  return categories;
}

/** The design columns of all features but the category with the most; none where none is one. */
function besideCategory({ summary }: JobData['resolved']): readonly number[] {
  const widths = summary.map(({ encode, columns }) => (encode === 'onehot' ? columns : 0));
  const most = Math.max(...widths);
  if (most === 0) return [];
  const category = widths.indexOf(most);
  let next = 0;
  return summary.flatMap(({ columns }, feature) => {
    const own = Array.from({ length: columns }, () => next++);
    return feature === category ? [] : own;
  });
}

/** @throws ConfigError for a job that asks for another setting than the session it is to run in */
function requireReuse({ reuse }: Job, { session }: OpenSession): void {
  const { setting } = session.reuse;
  if (reuse === undefined || reuse === setting) return;
  throw new ConfigError(
    `reuse: expected the setting of the session the job runs in, ${setting}, got ${reuse}; say it of the pipeline, or by REPRISE_REUSE`,
    { key: 'reuse', value: reuse },
  );
}

/** @throws DataError for a metric in SQL that is none, before anything is fitted */
async function checkFormulas(
  { estimator, candidates, classes, weight, X }: SearchGroup,
  formulas: OpenSession['formulas'],
  scoring: Job['scoring'],
): Promise<void> {
  const asked = sqlScorers(scoring.map(scorerOf)).map(({ formula }) => formula);
  if (asked.length === 0) return;
  const { task } = estimator;
  const { all: params } = candidates[0]!;
  const outputs = estimator.outputs(params, classes.length, X.cols);
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
