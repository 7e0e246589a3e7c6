/** `reprise plan` of a pipeline: a line a step, in the order in which they have their turn. */
import { relative } from 'node:path';
import { formatBytes } from '../../driver/support/size.js';
import { formatSeconds, formatTable, plural } from '../format.js';
import type { ReadDocument } from '../job-file/document.js';
import type { PipelinePlan, StepPlan } from '../pipeline/plan-pipeline.js';
import type { ReadPipelineOptions } from '../pipeline/read-pipeline.js';
import type { EngineName } from '../runs/run-events.js';
import { EXIT } from './exit-codes.js';
import { interruptible } from './interrupt.js';
import { type Terminal, writeData } from './terminal.js';

export async function planPipelineCommand(
  document: ReadDocument,
  reading: ReadPipelineOptions,
  terminal: Terminal,
  { engine, json }: { readonly engine: EngineName; readonly json?: boolean },
): Promise<number> {
  const [{ pipelineOf }, { planPipeline }] = await Promise.all([
    import('../pipeline/read-pipeline.js'),
    import('../pipeline/plan-pipeline.js'),
  ]);
  const pipeline = await pipelineOf(document, reading);
  const plan = await interruptible(
    (signal) => planPipeline(pipeline, { engine, signal }),
    () => terminal.note('stopping; press Ctrl-C again to stop at once'),
  );
  await writeData(json ? `${JSON.stringify(plan)}\n` : planText(plan));
  return EXIT.done;
}

const WORDS: Readonly<Record<StepPlan['plan'], string>> = {
  skip: 'skipped',
  run: 'runs',
  wait: 'may run',
  fail: 'fails',
};

const COUNTED: Readonly<Record<StepPlan['plan'], string>> = {
  skip: 'skipped',
  run: 'to run',
  wait: 'may run',
  fail: 'to fail',
};

function planText({ steps, parallel, expectedSeconds, folder, keptBytes }: PipelinePlan): string {
  const count = (wanted: StepPlan['plan']): number =>
    steps.filter(({ plan }) => plan === wanted).length;
  const counts = (['skip', 'run', 'wait', 'fail'] as const)
    .filter((wanted) => count(wanted) > 0)
    .map((wanted) => `${count(wanted)} ${COUNTED[wanted]}`);
  const head = ['step', 'kind', 'after', 'plan', 'where', 'cost', 'why'];
  const rows = steps.map((step) => [
    step.step,
    step.kind,
    step.needs.join(' '),
    WORDS[step.plan],
    step.plan === 'skip' ? '' : (step.where ?? '?'),
    costText(step),
    step.why.split('\n')[0]!,
  ]);
  const notes = steps.flatMap(({ step, notes: own }) => own.map((note) => `${step}: ${note}`));
  const held = keptBytes > 0 ? `, which hold ${formatBytes(keptBytes)}` : '';
  return `${[
    formatTable([head, ...rows]),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
    `steps   ${counts.join(', ')} of ${steps.length}; at most ${plural(parallel, 'step')} at once`,
    `cost    ${expectedSeconds === null ? 'not known: a step was never done here' : `at most about ${formatSeconds(expectedSeconds)}, by what steps took before`}`,
    `kept    ${folder === null ? "outputs without a place in the run's folder" : `outputs without a place in ${shownPath(folder)}${held}`}`,
  ].join('\n')}\n`;
}

function costText({ plan, expectedSeconds }: StepPlan): string {
  if (plan === 'skip') return '';
  return expectedSeconds === null ? '?' : `~${formatSeconds(expectedSeconds)}`;
}

function shownPath(path: string): string {
  const here = relative('', path);
  return here.startsWith('..') ? path : here;
}
