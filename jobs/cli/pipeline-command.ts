/** `reprise run` and `resume` of pipelines: a line a step as it goes, and the table of them. */
import { join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { formatSeconds, plural } from '../format.js';
import type { ReadDocument } from '../job-file/document.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { PipelineEvent } from '../pipeline/pipeline-events.js';
import type { PipelineJournal } from '../pipeline/pipeline-journal.js';
import type { ReadPipelineOptions } from '../pipeline/read-pipeline.js';
import type { PipelineResult, StepSummary } from '../pipeline/result.js';
import type { EngineName } from '../runs/run-events.js';
import { EXIT, retriedExitCode } from './exit-codes.js';
import { type InterruptError, interruptible } from './interrupt.js';
import { createLogger } from './log.js';
import { stepsTable } from './pipeline-show.js';
import { createProgress, type Progress } from './progress.js';
import { type Terminal, writeData } from './terminal.js';

export interface PipelineCommandOptions {
  readonly engine: EngineName;
  readonly json?: boolean;
  /** Of the run. */
  readonly runId?: string;
  readonly maxFailures?: number;
  readonly failFast?: boolean;
}

/** `reprise run` of a pipeline file. Answers the exit code: 0, or 4 when a step failed. */
export async function runPipelineCommand(
  document: ReadDocument,
  reading: ReadPipelineOptions,
  terminal: Terminal,
  options: PipelineCommandOptions,
): Promise<number> {
  const { engine, runId } = options;
  if (options.maxFailures !== undefined || options.failFast) {
    throw new ConfigError(
      `--max-failures: expected a job, got the pipeline ${document.file}; say \`search.max_failures\` in its jobs, or by \`with\``,
      { key: '--max-failures', source: 'flag' },
    );
  }
  const [{ pipelineOf }, { PipelineJournal }] = await Promise.all([
    import('../pipeline/read-pipeline.js'),
    import('../pipeline/pipeline-journal.js'),
  ]);
  const pipeline = await pipelineOf(document, reading);
  const begin = () => PipelineJournal.begin(pipeline, engine, runId);
  return runPipelineAndAnswer(pipeline, begin, terminal, options);
}

/** `reprise resume` of a pipeline's run. */
export async function resumePipelineCommand(
  folder: string,
  terminal: Terminal,
  options: Pick<PipelineCommandOptions, 'json'>,
): Promise<number> {
  const { openPipelineResume } = await import('../pipeline/resume-pipeline.js');
  const { pipeline, engine, begin, notes } = await openPipelineResume(folder);
  for (const note of notes) terminal.note(note);
  return runPipelineAndAnswer(pipeline, begin, terminal, { ...options, engine });
}

/** Runs a pipeline as its journal says, and prints what became of its steps. Answers the exit code. */
export async function runPipelineAndAnswer(
  pipeline: Pipeline,
  begin: () => Promise<PipelineJournal>,
  terminal: Terminal,
  { engine, json }: PipelineCommandOptions,
): Promise<number> {
  let journal: PipelineJournal | undefined;
  let interrupt: InterruptError | undefined;
  const work = async (signal: AbortSignal): Promise<PipelineResult> => {
    const [{ runPipeline }, { renderPipelineReport }, logger, progress] = await Promise.all([
      import('../pipeline/run-pipeline.js'),
      import('../report/index.js'),
      createLogger(),
      createProgress(terminal.isInteractive),
    ]);
    journal = await begin();
    const onProgress = progressOfOne(progress);
    const onEvent = (event: PipelineEvent): void => {
      logger?.debug(event, event.kind);
      const text = eventText(event);
      if (text !== undefined) terminal.note(text);
      onProgress(event);
    };
    const renderReport = renderPipelineReport;
    return runPipeline(pipeline, { journal, engine, signal, renderReport, onEvent }).finally(() =>
      progress.stop(),
    );
  };
  const onStopping = (reason: InterruptError): void => {
    interrupt = reason;
    void journal?.stopping();
    terminal.note(
      'stopping, and keeping the steps that are done; press Ctrl-C again to stop at once',
    );
  };
  let result: PipelineResult;
  try {
    result = await interruptible(work, onStopping);
  } catch (error) {
    if (journal?.isKept) {
      const { run } = journal.attempt;
      const done = plural(journal.done, 'step');
      terminal.note(`run ${run}: ${done} done; \`reprise resume ${run}\` goes on from there`);
    }
    throw error;
  }
  await writeData(json ? `${JSON.stringify(result)}\n` : resultText(result));
  if (result.state === 'finished') return EXIT.done;
  if (result.state === 'stopped' && interrupt !== undefined) return interrupt.exitCode;
  return failedExitCode(result);
}

/** The line of progress is that of the step which runs longest. */
function progressOfOne(progress: Progress): (event: PipelineEvent) => void {
  const running = new Set<string>();
  return (event) => {
    const { step } = event;
    if (event.kind === 'step') {
      if (event.state === 'running') running.add(step);
      else if (running.delete(step)) progress.stop();
    } else if (running.values().next().value === step) {
      const { event: own } = event;
      progress.onEvent('phase' in own ? { ...own, phase: `${step}: ${own.phase}` } : own);
    }
  };
}

/** That of all failures, where one that a later try may mend is the only one there is; else 4. */
function failedExitCode({ steps }: PipelineResult): number {
  const codes = steps
    .filter(({ state }) => state === 'failed')
    .map(({ code }) => retriedExitCode(code) ?? EXIT.stepFailed);
  return new Set(codes).size === 1 ? codes[0]! : EXIT.stepFailed;
}

function eventText(event: PipelineEvent): string | undefined {
  if (event.kind === 'in-step') {
    const { step, event: own } = event;
    const before = step === '' ? '' : `${step}: `;
    if (own.kind === 'warning') return `${before}warning: ${own.message}`;
    if (own.kind === 'data') return `${before}bringing ${own.what} through npm`;
    if (own.kind === 'setup') return `${before}${own.what}`;
    if (own.kind === 'spark') return `${before}spark: ${own.way}`;
    return undefined;
  }
  const { step, state, why } = event;
  if (state === 'running') return `${step}: begins (${why})`;
  if (state !== 'done') return `${step}: ${state} (${why})`;
  return `${step}: done in ${formatSeconds(event.seconds)}${event.note ? `; ${event.note}` : ''}`;
}

function resultText(result: PipelineResult): string {
  const { run, steps, seconds, path, state } = result;
  const count = (wanted: StepSummary['state']): number =>
    steps.filter((step) => step.state === wanted).length;
  const counts = (['done', 'skipped', 'failed', 'not-run', 'stopped'] as const)
    .filter((wanted) => count(wanted) > 0)
    .map((wanted) => `${count(wanted)} ${wanted}`);
  return `${[
    stepsTable(steps.map((step) => ({ ...step, now: step.state }))),
    '',
    ...steps
      .filter((step) => step.state === 'failed')
      .map(({ step, why }) => `failed  ${step}: ${why}`),
    `steps   ${counts.join(', ')}`,
    `time    ${formatSeconds(seconds.total)}`,
    `run     ${path}`,
    `report  ${join(path, 'report.html')}`,
    ...(state === 'finished' ? [] : [`next    \`reprise resume ${run}\` goes on from there`]),
  ].join('\n')}\n`;
}
