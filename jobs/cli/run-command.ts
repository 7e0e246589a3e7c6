/** `reprise run`: runs a job with a progress line, writes the run folder, prints the answer. */

import { resolve } from 'node:path';
import { deviceWorkText } from '../devices/device-warnings.js';
import {
  formatBest,
  formatCandidate,
  formatCount,
  formatMembers,
  formatNumber,
  formatSeconds,
  formatStore,
  formatTable,
  formatWithSpread,
  plural,
  shownParam,
} from '../format.js';
import type { Job } from '../job-file/job.js';
import { jobOf } from '../job-file/read-job.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import type { RunRecord } from '../runs/record.js';
import type { EngineName, RunEvent } from '../runs/run-events.js';
import { RunJournal } from '../runs/run-journal.js';
import { failedTrials, type RunSummary, summarize } from '../runs/summary.js';
import { readDocumentOf } from '../schedule/read-schedule.js';
import { resourcesOf, rungColumns } from '../search/result.js';
import { EXIT, exitCodeOf } from './exit-codes.js';
import { type InterruptError, interruptible } from './interrupt.js';
import { createLogger } from './log.js';
import { runOverrides } from './options.js';
import { createProgress } from './progress.js';
import { createTerminal, type Terminal, writeData } from './terminal.js';

export interface RunCommandOptions {
  readonly engine: EngineName;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly output?: string;
  readonly store?: boolean;
  readonly reuse?: string;
  readonly devices?: string;
  readonly maxFailures?: number;
  readonly failFast?: boolean;
  readonly parallel?: number;
  /** The logical date or time that templates name. */
  readonly date?: string;
  /** Of the run. */
  readonly runId?: string;
}

/** Answers the exit code: 0, or 4 when a candidate could not be fitted or none could be scored. */
export async function runCommand(
  file: string,
  overrides: readonly string[],
  options: RunCommandOptions,
): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const { date, runId } = options;
  const reading = {
    overrides: [
      ...overrides,
      ...limitOverrides(options),
      ...runOverrides(options),
      ...(options.parallel === undefined ? [] : [`parallel=${options.parallel}`]),
    ],
    ...(options.output === undefined ? {} : { output: options.output }),
    ...(options.store === false ? { store: false } : {}),
  };
  const document = await readDocumentOf(file, date, reading);
  if (isPipeline(document.value)) {
    const { runPipelineCommand } = await import('./pipeline-command.js');
    return runPipelineCommand(document, reading, terminal, options);
  }
  const job = jobOf(document, reading);
  const begin = () => RunJournal.begin(job, resolve(file), options.engine, runId);
  return runAndAnswer(job, begin, terminal, options);
}

/** The flags that stop a search early, as settings of the job. */
export function limitOverrides(flags: {
  readonly maxFailures?: number;
  readonly maxSeconds?: number;
  readonly failFast?: boolean;
}): string[] {
  return [
    ...(flags.maxFailures === undefined ? [] : [`search.max_failures=${flags.maxFailures}`]),
    ...(flags.maxSeconds === undefined ? [] : [`search.max_seconds=${flags.maxSeconds}`]),
    ...(flags.failFast ? ['search.fail_fast=true'] : []),
  ];
}

/** Runs a job as its journal says, and prints the answer. Answers the exit code. */
export async function runAndAnswer(
  job: Job,
  begin: () => Promise<RunJournal>,
  terminal: Terminal,
  { engine, json }: Pick<RunCommandOptions, 'engine' | 'json'>,
): Promise<number> {
  let journal: RunJournal | undefined;
  let interrupt: InterruptError | undefined;
  const work = async (signal: AbortSignal) => {
    const kept = await begin();
    journal = kept;
    return runWithProgress(terminal, async (onEvent) => {
      const { keepRun } = await import('../keep-run.js');
      const reporting = () => import('../report/index.js');
      const renderReport = async (record: RunRecord) => (await reporting()).renderReport(record);
      const isOfUser = (error: unknown) => signal.aborted || exitCodeOf(error) === EXIT.invalid;
      const told = (event: RunEvent): void => {
        // While the data are read, which is other threads' work.
        if (event.kind === 'phase' && event.phase === 'profile') void reporting().catch(() => {});
        onEvent(event);
      };
      return keepRun(job, {
        ...{ engine, signal, onEvent: told, journal: kept, renderReport, isOfUser },
      });
    });
  };
  const onStopping = (reason: InterruptError): void => {
    interrupt = reason;
    void journal?.stopping();
    terminal.note('stopping, and keeping what is scored; press Ctrl-C again to stop at once');
  };
  let answer: Awaited<ReturnType<typeof work>>;
  try {
    answer = await interruptible(work, onStopping);
  } catch (error) {
    if (journal !== undefined) terminal.note(leftText(journal));
    throw error;
  }
  const [record, path] = answer;
  const failed = failedTrials(record);
  if (failed > 0)
    terminal.note(
      `warning: ${failed} of ${record.search.trials.length} candidates failed: ${firstFailure(record)}`,
    );
  const summary = summarize(record, path);
  await writeData(json ? `${JSON.stringify(summary)}\n` : summaryText(record, summary));
  if (interrupt !== undefined && record.search.partial) return interrupt.exitCode;
  const isWhole = failed === 0 && summary.best !== null && !record.search.partial;
  return isWhole ? EXIT.done : EXIT.candidatesFailed;
}

/** What there is of a run that ended with an error. */
function leftText(journal: RunJournal): string {
  if (!journal.isKept) return 'no run folder was left';
  const { run } = journal.attempt;
  const what = plural(journal.waves, 'wave');
  return `run ${run}: ${what} of candidates kept; \`reprise resume ${run}\` goes on from there`;
}

async function runWithProgress<T>(
  terminal: Terminal,
  run: (onEvent: (event: RunEvent) => void) => Promise<T>,
): Promise<T> {
  const logger = await createLogger();
  const progress = await createProgress(terminal.isInteractive);
  try {
    return await run((event) => {
      logger?.debug(event, event.kind);
      if (event.kind === 'engine') terminal.note(`engine: ${event.engine} (${event.reason})`);
      if (event.kind === 'devices') terminal.note(`devices: ${event.devices.join('; ')}`);
      if (event.kind === 'data') terminal.note(`data: bringing ${event.what} through npm`);
      if (event.kind === 'setup') terminal.note(event.what);
      if (event.kind === 'spark') terminal.note(`spark: ${event.way}`);
      if (event.kind === 'warning') terminal.note(`warning: ${event.message}`);
      progress.onEvent(event);
    });
  } finally {
    progress.stop();
  }
}

/** What the model is a sum of. */
function ensembleText({ ensemble, refit }: RunRecord['search']): string[] {
  if (ensemble === undefined) return [];
  const score = formatNumber(ensemble.meanScore[refit] ?? Number.NaN);
  const label = ensemble.voting === 'decision' ? 'sum  ' : 'votes';
  return [`${label}   ${formatMembers(ensemble)}: ${refit} ${score}`];
}

function firstFailure(record: RunRecord): string {
  for (const trial of record.search.trials) {
    const [entry] = Object.entries(trial.errors ?? {});
    if (entry) return `${formatCandidate(trial)}, fold ${entry[0]}: ${entry[1]}`;
  }
  return '';
}

const SHOWN_TRIALS = 5;

/** The answer for people: the best candidates, what the run did, and where it left its folder. */
function summaryText(record: RunRecord, summary: RunSummary): string {
  const { search, reuse } = record;
  const byRank = search.trials.toSorted(
    (a, b) =>
      (b.budget ? resourcesOf(b) : 0) - (a.budget ? resourcesOf(a) : 0) ||
      (a.rank[search.refit] ?? 0) - (b.rank[search.refit] ?? 0),
  );
  const rungs = rungColumns(search);
  const named = search.models ? ['model'] : [];
  const head = [
    'rank',
    ...rungs.map(({ label }) => label),
    ...named,
    ...search.paramNames,
    ...search.metrics.flatMap((m) => [m, 'std']),
  ];
  const rows = byRank
    .slice(0, SHOWN_TRIALS)
    .map((trial) => [
      summary.best === null ? '-' : String(trial.rank[search.refit] ?? ''),
      ...rungs.map(({ value }) => cellText(value(trial))),
      ...named.map(() => trial.model ?? ''),
      ...search.paramNames.map((name) => cellText(trial.params[name])),
      ...search.metrics.flatMap((metric) => [
        formatNumber(trial.meanScore[metric] ?? Number.NaN),
        formatNumber(trial.stdScore[metric] ?? Number.NaN),
      ]),
    ]);
  const { total = 0, ...phases } = record.seconds;
  const shares = Object.entries(phases)
    .filter(([, seconds]) => seconds >= 0.005)
    .map(([phase, seconds]) => `${phase} ${formatSeconds(seconds)}`);
  return `${[
    formatTable([head, ...rows]),
    '',
    ...partialText(summary),
    `best    ${formatBest(summary.best)}`,
    ...ensembleText(search),
    ...nestedText(summary),
    `fits    ${formatCount(summary.trials * summary.folds)}: ${plural(summary.trials, rungs.length > 0 ? 'trial' : 'candidate')} on ${plural(summary.folds, 'fold')} of ${formatCount(search.rows)} rows x ${search.columns} columns`,
    `reuse   ${reuse.setting === undefined || reuse.setting === 'full' ? '' : `${reuse.setting}: `}${formatCount(reuse.hits)} reused, ${formatCount(reuse.partial)} in part, ${formatCount(reuse.misses)} computed${reuse.savedSeconds > 0 ? `; ${formatSeconds(reuse.savedSeconds)} of work saved` : ''}`,
    ...(record.store ? [`store   ${formatStore(record.store, 'answered this run')}`] : []),
    `work    ${plural(record.passes, 'pass', 'passes')} over the data, ${plural(record.kernels, 'kernel')}, ${plural(record.sparkJobs, 'Spark job')} on ${record.engine}`,
    ...Object.entries(record.devices ?? {}).map(
      ([name, work]) => `device  ${name}: ${deviceWorkText(work)}`,
    ),
    `time    ${formatSeconds(total)}${shares.length ? ` (${shares.join(', ')})` : ''}`,
    `run     ${summary.path}`,
    `report  ${summary.path}/report.html`,
  ].join('\n')}\n`;
}

/** What there is of a search that was not done. */
function partialText({ partial, trials, run }: RunSummary): string[] {
  if (partial === undefined) return [];
  return [
    `partial ${trials} of ${plural(partial.of, 'candidate')}: ${partial.why}; \`reprise resume ${run}\` goes on`,
  ];
}

/** How the search does on rows it has not seen. */
function nestedText({ nested }: RunSummary): string[] {
  if (nested === undefined) return [];
  const { metric, score, std, splits } = nested;
  return [
    `outer   ${metric} ${formatWithSpread(score, std)} by the best candidates of ${plural(splits, 'outer split')}`,
  ];
}

function cellText(value: unknown): string {
  return typeof value === 'number' ? formatNumber(value) : String(shownParam(value) ?? '');
}
