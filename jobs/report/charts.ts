/**
 * Validation curves: score against the penalty for every metric, drawn wide and narrow, with and without the folds.
 * Invariant: a score that does not exist (a failed fit) leaves a gap and is never drawn as a number; what is left out
 * for size is said in the caption.
 */
import type { SearchResult, TrialResult } from '../search/result.js';
import { type CurveData, type CurvePoint, curveSpec } from './curve-spec.js';
import { decimalsFor, formatCount, formatFixed, formatParam, plural } from './format.js';
import { html, type Markup } from './markup.js';
import { chartSvgs } from './vega-svg.js';

/** Points on the x axis beyond which the curve is thinned. */
const MAX_POINTS = 250;
/** Fold scores beyond which folds are not drawn one by one. */
const MAX_FOLD_POINTS = 5000;

const begun = new WeakMap<SearchResult, Promise<Markup>>();

/** Begins to draw what `curvesSection` will be asked for, without waiting for it. */
export function beginCurves(search: SearchResult): void {
  const section = drawSection(search);
  section.catch(() => undefined);
  begun.set(search, section);
}

/**
 * The section's content: a switch for the metric, one for the folds, and the drawings they show.
 * @throws ExecutionError when a chart cannot be drawn
 */
export async function curvesSection(search: SearchResult): Promise<Markup> {
  return begun.get(search) ?? drawSection(search);
}

async function drawSection(search: SearchResult): Promise<Markup> {
  if (search.trials.length === 0) return html`<p class="note">This run has no trials.</p>`;
  const axis = mainParam(search);
  const panels = await Promise.all(search.metrics.map((metric) => panel(search, metric, axis)));
  const hasMeanView = panels.some(({ meanView }) => meanView);
  return html`<div class="toolbar">
${
  search.metrics.length > 1
    ? choice('Metric', 'metric', search.metrics, search.metrics, search.refit)
    : null
}
${
  hasMeanView
    ? choice('Show', 'view', ['folds', 'mean'], ['Mean and folds', 'Mean only'], 'folds')
    : null
}
</div>
${panels.map(({ content }) => content)}`;
}

/** Radio buttons that show the elements whose `data-<group>` is the chosen value. */
function choice(
  title: string,
  group: string,
  values: readonly string[],
  texts: readonly string[],
  chosen: string,
): Markup {
  const options = values.map(
    (value, i) =>
      html`<label><input type="radio" name="${group}" value="${value}"${value === chosen ? html` checked` : null}><span>${texts[i]}</span></label>`,
  );
  return html`<fieldset class="choice"><legend>${title}</legend>${options}</fieldset>`;
}

/** The parameter drawn along x: the one with the most distinct numbers, or the first. */
function mainParam(search: SearchResult): string {
  let main = search.paramNames[0] ?? '';
  let most = 0;
  for (const name of search.paramNames) {
    const values = new Set(search.trials.map((trial) => trial.params[name]));
    const numbers = [...values].filter((value) => typeof value === 'number').length;
    if (numbers === values.size && numbers > most) {
      most = numbers;
      main = name;
    }
  }
  return main;
}

interface Panel {
  readonly content: Markup;
  readonly meanView: boolean;
}

async function panel(search: SearchResult, metric: string, axis: string): Promise<Panel> {
  const { data, notes } = curveData(search, metric, axis);
  const meanView = data.kind === 'curve';
  const best = data.points.find((point) => point.best);
  const label = best
    ? `${metric} against ${axis}; best at ${best.label} with ${best.text}`
    : `${metric} against ${axis}; no candidate could be scored`;
  const views = (meanView ? [true, false] : [true]).flatMap((withFolds) =>
    (['wide', 'narrow'] as const).map((size) => ({ size, withFolds })),
  );
  const svgs = await chartSvgs(
    views.map((view) => curveSpec(data, view)),
    label,
  );
  const drawings = views.map(
    ({ size, withFolds }, at) =>
      html`<div class="${size}" data-view="${withFolds ? 'folds' : 'mean'}"${withFolds ? null : html` hidden`}>${svgs[at]}</div>`,
  );
  const content = html`<figure data-metric="${metric}"${metric === search.refit ? null : html` hidden`}>
${drawings}
<figcaption><ul class="legend">
<li><span class="line mean"></span>mean over ${plural(search.folds, 'fold')}</li>
${data.kind === 'curve' ? html`<li data-view="folds"><span class="swatch band"></span>±1 standard deviation over the folds</li>` : html`<li><span class="line mean thin"></span>±1 standard deviation over the folds</li>`}
${data.folds.length > 0 ? html`<li data-view="folds"><span class="line fold"></span>single folds</li>` : null}
${best ? html`<li><span class="dot best"></span>best by this metric</li>` : null}
</ul>${notes.map((note) => html`<p class="note">${note}</p>`)}</figcaption>
</figure>`;
  return { content, meanView };
}

interface Prepared {
  readonly data: CurveData;
  readonly notes: readonly string[];
}

/** The rows behind a metric's curve, thinned where they are too many to see. */
function curveData(search: SearchResult, metric: string, axis: string): Prepared {
  const notes: string[] = [];
  const all = alongAxis(search, metric, axis);
  if (search.paramNames.length > 1) {
    const others = search.paramNames.filter((name) => name !== axis).join(', ');
    notes.push(`At each ${axis} the best candidate over ${others} is drawn.`);
  }
  const numeric = all.every(([value]) => typeof value === 'number' && Number.isFinite(value));
  if (numeric) all.sort((a, b) => Number(a[0]) - Number(b[0]));
  const bestAt = bestOf(all, metric);
  const kept = thin(all, bestAt);
  if (kept.length < all.length) {
    notes.push(
      `Drawn at ${formatCount(kept.length)} of ${formatCount(all.length)} values of ${axis}.`,
    );
  }
  const failed = all.filter(([, trial]) => !Number.isFinite(trial.meanScore[metric] ?? Number.NaN));
  if (failed.length > 0) {
    notes.push(
      `${plural(failed.length, 'value')} of ${axis} without a finite mean score left out.`,
    );
  }
  const decimals = decimalsFor(all.map(([, trial]) => trial.meanScore[metric] ?? Number.NaN));
  const scale = numeric ? axisScale(all.map(([value]) => Number(value))) : 'category';
  const best = all[bestAt]?.[1];
  const points = kept.map(([, trial]) => toPoint(trial, metric, axis, decimals, trial === best));
  const showFolds = search.folds * kept.length <= MAX_FOLD_POINTS;
  if (!showFolds) notes.push('Single folds are left out for size; results.csv has them.');
  const folds = showFolds ? kept.flatMap(([, trial]) => toFolds(trial, metric, axis)) : [];
  const kind = numeric && scale !== 'category' && kept.length > 2 ? 'curve' : 'points';
  return { data: { metric, axis, scale, kind, points, folds }, notes };
}

type AxisEntry = [value: TrialResult['params'][string] | undefined, trial: TrialResult];

/** One trial for every value of the main parameter: the best by this metric. */
function alongAxis(search: SearchResult, metric: string, axis: string): AxisEntry[] {
  const byValue = new Map<AxisEntry[0], TrialResult>();
  for (const trial of search.trials) {
    const value = trial.params[axis];
    const rival = byValue.get(value);
    if (rival === undefined || score(trial, metric) > score(rival, metric))
      byValue.set(value, trial);
  }
  return [...byValue];
}

/** A trial's mean score, with failures below every number. */
function score(trial: TrialResult, metric: string): number {
  const mean = trial.meanScore[metric] ?? Number.NaN;
  return Number.isNaN(mean) ? Number.NEGATIVE_INFINITY : mean;
}

function bestOf(entries: readonly AxisEntry[], metric: string): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (const [i, [, trial]] of entries.entries()) {
    if (score(trial, metric) > most) {
      most = score(trial, metric);
      best = i;
    }
  }
  return best;
}

function thin(entries: readonly AxisEntry[], bestAt: number): AxisEntry[] {
  if (entries.length <= MAX_POINTS) return [...entries];
  const step = (entries.length - 1) / (MAX_POINTS - 1);
  const kept = new Set(Array.from({ length: MAX_POINTS }, (_, i) => Math.round(i * step)));
  if (bestAt >= 0) kept.add(bestAt);
  return entries.filter((_, i) => kept.has(i));
}

/** Logarithmic where positive values span two decades or are spread evenly by ratio; zero needs categories. */
function axisScale(values: readonly number[]): CurveData['scale'] {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const positive = sorted.filter((value) => value > 0);
  const low = positive[0] ?? 1;
  const high = positive.at(-1) ?? 1;
  const ratios = positive.slice(1).map((value, i) => value / (positive[i] ?? 1));
  const even =
    ratios.length > 1 && Math.max(...ratios) / Math.min(...ratios) < 1.05 && high / low > 4;
  const isLog = high / low >= 100 || even;
  if (!isLog) return 'linear';
  return positive.length === sorted.length ? 'log' : 'category';
}

function toPoint(
  trial: TrialResult,
  metric: string,
  axis: string,
  decimals: number,
  best: boolean,
): CurvePoint {
  const mean = trial.meanScore[metric] ?? Number.NaN;
  const std = trial.stdScore[metric] ?? Number.NaN;
  const text = `${formatFixed(mean, decimals)} ± ${formatFixed(std, decimals)}`;
  const param = formatParam(trial.params[axis]);
  return {
    x: trial.params[axis] ?? null,
    label: param,
    mean: finite(mean),
    low: finite(mean - std),
    high: finite(mean + std),
    text,
    best,
    tip: `${axis} ${param}: ${metric} ${text}${best ? ' (best)' : ''}`,
  };
}

function toFolds(trial: TrialResult, metric: string, axis: string): CurveData['folds'][number][] {
  const param = trial.params[axis] ?? null;
  return (trial.splitScores[metric] ?? []).map((value, fold) => ({
    x: param,
    label: formatParam(param),
    fold,
    score: finite(value),
  }));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
