/** What `reprise plan` says of a job: data, features, where it runs, what is reused, the cost. */
import { formatBytes } from '../../driver/support/size.js';
import { formatCount, formatSeconds, formatStore, plural } from '../format.js';
import type { PlanReport } from '../runs/run-events.js';

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

/** What fits read, model by model where there are several. */
function byLines({ fits }: PlanReport): string[] {
  const isOne = new Set(fits.map(({ model }) => model)).size === 1;
  // Candidates with other cleaning steps are fitted alike.
  const lines = new Set(
    fits.map(
      ({ model, by, why }) => `${isOne ? '' : `${model} by `}${by}${why ? ` (${why})` : ''}`,
    ),
  );
  return [...lines].map((line, i) => `${i === 0 ? 'by    ' : '      '}  ${line}`);
}

/** What each rung tries, of which there are at most so many where results decide. */
function rungLines({ rungs }: PlanReport): string[] {
  if (rungs.length < 2 && rungs[0]?.budget === undefined) return [];
  const texts = rungs.map(({ candidates, budget = {} }) => {
    const { rows, iterations } = budget;
    const each = rows === undefined ? iterations && plural(iterations, 'iteration') : plural(rows, 'row'); // biome-ignore format: a choice
    return `${formatCount(candidates)}${each ? ` with ${each}` : ''}`;
  });
  return [`rungs   ${texts.join(', ')}`];
}

/** A page for people; the operators are thousands of lines for those who ask. */
export function planPage(report: PlanReport, verbose: boolean): string {
  return `${[
    `job     ${jobText(report)}`,
    `data    ${dataText(report)}`,
    `from    ${featuresText(report)}`,
    `engine  ${report.way ?? report.engine} (${report.reason})`,
    ...(report.devices.length > 0 ? [`devices ${report.devices.join('; ')}`] : []),
    `fits    ${formatCount(report.trials * report.folds)}: ${plural(report.trials, report.rungs.length > 1 ? 'trial' : 'candidate')} on ${plural(report.folds, 'fold')}`,
    ...rungLines(report),
    ...byLines(report),
    ...report.solvers.map((line, i) => `${i === 0 ? 'solver' : '      '}  ${line}`),
    ...trainingLines(report).map((line, i) => `${i === 0 ? 'train ' : '      '}  ${line}`),
    ...(report.reuse === 'full' ? [] : [`reuse   ${report.reuse}: each fit by itself`]),
    `reused  ${reuseText(report)}`,
    `store   ${report.store === null ? 'none: nothing is kept for later runs' : formatStore(report.store, 'answer this plan')}`,
    `cost    ${report.reuse === 'full' ? '' : 'at least '}${plural(report.passes, 'pass', 'passes')} over the data${report.training.length > 0 ? ' besides training' : ''}, about ${formatSeconds(report.estimatedSeconds)}`,
    `memory  ${memoryText(report.memory)}`,
    ...(verbose
      ? operatorLines(report)
      : [`steps   ${formatCount(report.operators)}, printed by --verbose`]),
  ].join('\n')}\n`;
}

function jobText({ name, model, searched, scoring, target }: PlanReport): string {
  const by = searched.length === 0 ? '' : ` by ${searched.join(', ')}`;
  return `${name}: ${model}${by}${target === null ? '' : ` of ${target}`}, scored by ${scoring.join(', ')}`;
}

function dataText({ data, rows, target }: PlanReport): string {
  const { path, files, bytes } = data;
  const size = `${plural(files, 'file')}, ${formatBytes(bytes)}`;
  return `${path}: ${size}, ${plural(rows, 'row')}${target === null ? '' : `, target ${target}`}`;
}

const SHOWN_FEATURES = 12;

function featuresText({ features, columns, standardize }: PlanReport): string {
  const shown = features.slice(0, SHOWN_FEATURES).map((one) => {
    const many = one.columns === 1 ? '' : ` in ${formatCount(one.columns)}`;
    return one.encode === 'number' ? one.name : `${one.name} (${one.encode}${many})`;
  });
  const more = features.length - shown.length;
  const list = `${shown.join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`;
  const scaled = standardize ? ', standardized on the training rows' : '';
  return `${plural(features.length, 'feature')} as ${plural(columns, 'column')}: ${list}${scaled}`;
}

function reuseText({ cached, operators, keptFits, trials, folds }: PlanReport): string {
  const fits =
    keptFits === 0 ? '' : ` and ${formatCount(keptFits)} of ${plural(trials * folds, 'fit')}`;
  return `${formatCount(cached)} of ${plural(operators, 'result')}${fits}`;
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
