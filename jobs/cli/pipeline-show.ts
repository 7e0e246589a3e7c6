/** A pipeline's run for `reprise runs show`: its steps as the journal has them. */
import { formatCount, formatSeconds, formatTable } from '../format.js';
import { type StepOverview, stepOverviews } from '../pipeline/step-ends.js';
import type { OutputRecord, StepRecord } from '../pipeline/step-record.js';
import { readJournal } from '../runs/journal.js';
import { attemptsOf, lives, type RunOverview } from '../runs/run-state.js';
import { stepKinds } from '../steps/index.js';
import { writeData } from './terminal.js';

/** @param lines what is said of any run */
export async function showPipeline(
  run: RunOverview,
  lines: readonly string[],
  asJson: boolean,
): Promise<void> {
  const records = (await readJournal(run.path)) ?? [];
  const attempt = attemptsOf(records).at(-1)!;
  const steps = stepOverviews(records, attempt, lives(run.state));
  if (asJson) {
    const list = steps.map(({ keys, now, record, ...step }) => {
      return { ...step, kind: kindOf(keys), state: now, ...outputsOf(record) };
    });
    await writeData(`${JSON.stringify({ ...run, steps: { ...run.steps, list } })}\n`);
    return;
  }
  const shown = steps.map(({ record, ...step }) => {
    return { ...step, kind: kindOf(step.keys), outputs: record?.outputs ?? [] };
  });
  await writeData(`${[...lines, '', stepsTable(shown), ...reportTables(steps)].join('\n')}\n`);
}

function outputsOf(record: StepRecord | undefined) {
  return record === undefined ? {} : { outputs: record.outputs, from: record.run };
}

function kindOf(keys: readonly string[]): string {
  return stepKinds.find(({ name }) => keys.includes(name))?.name ?? '';
}

/** A step as a line of the table. */
export interface ShownStep extends Partial<Pick<StepOverview, 'why' | 'seconds' | 'report'>> {
  readonly step: string;
  readonly kind: string;
  readonly now: StepOverview['now'];
  readonly outputs?: readonly OutputRecord[];
}

/** A line a step, as `run` and `runs show` print them. */
export function stepsTable(steps: readonly ShownStep[]): string {
  const rows = steps.map(({ step, kind, now, seconds, outputs = [], why = '', report }) => [
    step,
    kind,
    now,
    now === 'done' && seconds !== undefined ? formatSeconds(seconds) : '',
    outputs[0]?.rows === undefined ? '' : formatCount(outputs[0].rows),
    shortened((now === 'done' && report?.note) || why),
  ]);
  return formatTable([['step', 'kind', 'state', 'time', 'rows', 'note'], ...rows]);
}

/** What steps found, each below its name. */
function reportTables(steps: readonly StepOverview[]): string[] {
  return steps.flatMap(({ step, report }) =>
    report?.table === undefined ? [] : ['', step, formatTable(report.table)],
  );
}

const MOST_TEXT = 100;

/** The first line, cut short. */
function shortened(text: string): string {
  const [line = ''] = text.split('\n');
  return line.length > MOST_TEXT ? `${line.slice(0, MOST_TEXT - 2)}..` : line;
}
