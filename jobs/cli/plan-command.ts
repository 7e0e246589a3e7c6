/** `reprise plan`: what a job would run where, reuse and cost. Runs no kernel. */
import { formatBytes } from '../../driver/support/size.js';
import { formatCount, formatSeconds, plural } from '../format.js';
import { readDocument } from '../job-file/document.js';
import { jobOf } from '../job-file/read-job.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import type { EngineName, PlanReport } from '../runs/run-events.js';
import { EXIT } from './exit-codes.js';
import { interruptible } from './interrupt.js';
import { createTerminal, writeData } from './terminal.js';

export interface PlanCommandOptions {
  readonly engine: EngineName;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly store?: boolean;
}

export async function planCommand(
  file: string,
  overrides: readonly string[],
  options: PlanCommandOptions,
): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const reading = { overrides, ...(options.store === false ? { store: false } : {}) };
  const document = await readDocument(file, reading);
  if (isPipeline(document.value)) {
    const { planPipelineCommand } = await import('./pipeline-plan.js');
    return planPipelineCommand(document, reading, terminal, options);
  }
  const job = jobOf(document, reading);
  const report = await interruptible(
    async (signal) => {
      const { planJob } = await import('../plan-job.js');
      return planJob(job, {
        engine: options.engine,
        signal,
        verbose: options.verbose === true,
      });
    },
    () => terminal.note('stopping; press Ctrl-C again to stop at once'),
  );
  for (const warning of report.warnings) terminal.note(`warning: ${warning}`);
  await writeData(
    options.json ? `${JSON.stringify(report)}\n` : planText(report, options.verbose === true),
  );
  return EXIT.done;
}

function memoryText(memory: PlanReport['memory']): string {
  const { processBytes, heapBytes, limitBytes, limitFrom, items } = memory;
  const heap = heapBytes === null ? '' : ` and ${formatBytes(heapBytes)} of heap in Spark`;
  const parts = items.map(({ what, bytes }) => `${formatBytes(bytes)} for ${what}`).join(', ');
  return `about ${formatBytes(processBytes)}${heap} at the peak, of ${formatBytes(limitBytes)} (${limitFrom}): ${parts}`;
}

/** Stacks that are alike in one line. */
function trainingLines({ training }: PlanReport): string[] {
  const counts = new Map<string, number>();
  for (const text of training.map(trainingText)) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text}; ${count} of these`));
}

/** Passes of training: an iteration of all models of a stack is one pass, or two. */
function trainingText(plan: PlanReport['training'][number]): string {
  const { fits, models, atOnce, stacks, iterations, passes, stackBytes, maxIterations } = plan;
  const many = models > fits ? ` (${plural(models, 'start')})` : '';
  const together = stacks === 1 ? 'as one stack' : `in ${stacks} stacks of ${formatCount(atOnce)}`;
  const each = iterations.map((n) => plural(n, 'pass', 'passes')).join(', then ');
  const most = maxIterations === null ? '' : `, at most ${formatCount(maxIterations)} iterations`;
  const besides = passes > 0 ? `, and ${plural(passes, 'pass', 'passes')} besides` : '';
  const bytes = stackBytes === null ? '' : `; about ${formatBytes(stackBytes)} for a stack`;
  return `${plural(fits, 'fit')}${many} ${together}: ${each} over the data an iteration of all${most}${besides}${bytes}`;
}

/** A page for people; the operators are thousands of lines for those who ask. */
function planText(report: PlanReport, verbose: boolean): string {
  return `${[
    `engine  ${report.engine} (${report.reason})`,
    `data    ${formatCount(report.rows)} rows x ${formatCount(report.columns)} columns`,
    `fits    ${formatCount(report.trials * report.folds)}: ${plural(report.trials, 'candidate')} on ${plural(report.folds, 'fold')}`,
    `by      ${report.fit.by}${report.fit.why ? ` (${report.fit.why})` : ''}`,
    ...report.solvers.map((line, i) => `${i === 0 ? 'solver' : '      '}  ${line}`),
    ...trainingLines(report).map((line, i) => `${i === 0 ? 'train ' : '      '}  ${line}`),
    `cached  ${formatCount(report.cached)} of ${formatCount(report.operators)} results`,
    `cost    ${plural(report.passes, 'pass', 'passes')} over the data${report.training.length > 0 ? ' besides training' : ''}, about ${formatSeconds(report.estimatedSeconds)}`,
    `memory  ${memoryText(report.memory)}`,
    ...(verbose
      ? operatorLines(report)
      : [`steps   ${formatCount(report.operators)}, printed by --verbose`]),
  ].join('\n')}\n`;
}

function operatorLines({ plan }: PlanReport): string[] {
  return [
    '',
    'Steps that do alike (same operator, shape, place, and inputs that do alike) are one line, with the attributes of one',
    'of them and their number: `sub (#7, #7) 62x1 x4` is four differences, of any two values that line 7 stands for.',
    '',
    plan,
  ];
}
