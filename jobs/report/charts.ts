/**
 * Validation curves: score against the penalty for every metric, with and without the folds; the
 * page's script draws them. Invariant: a score that does not exist (a failed fit) leaves a gap and
 * is never drawn as a number; what is left out for size is said in the caption.
 */
import type { ParamValue } from '../estimators/estimator.js';
import {
  decimalsFor,
  formatCount,
  formatFixed,
  formatParam,
  plural,
  shownParam,
} from '../format.js';
import { resourcesOf, type SearchResult, type TrialResult } from '../search/result.js';
import { html, jsonBlock, type Markup } from './markup.js';

/** Points on the x axis beyond which the curve is thinned. */
const MAX_POINTS = 250;
/** Fold scores beyond which folds are not drawn one by one. */
const MAX_FOLD_POINTS = 5000;

/** What the script draws: lists by point, null where there is no finite number. */
export interface CurveData {
  readonly metric: string;
  /** The parameter along x. */
  readonly axis: string;
  readonly scale: 'log' | 'linear' | 'category';
  /** `curve`: a line with a band; `points`: single values with error bars. */
  readonly kind: 'curve' | 'points';
  readonly x: readonly ParamValue[];
  readonly labels: readonly string[];
  readonly mean: readonly (number | null)[];
  /** The mean less, and plus, one standard deviation. */
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
  readonly tips: readonly string[];
  /** The best point; -1 when none has a score. */
  readonly best: number;
  /** The scores of each fold. */
  readonly folds: readonly (readonly (number | null)[])[];
}

/** The section's content: a switch for the metric, one for the folds, and the figures they show. */
export function curvesSection(search: SearchResult): Markup {
  if (search.trials.length === 0) return html`<p class="note">This run has no trials.</p>`;
  const axis = mainParam(search);
  const panels = search.metrics.map((metric) => panel(search, metric, axis));
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
  // Of several models the best of each is drawn, as they differ in parameters.
  if (search.models !== undefined) return 'model';
  let main = search.paramNames[0] ?? 'candidate';
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

function panel(search: SearchResult, metric: string, axis: string): Panel {
  const { data, notes } = curveData(search, metric, axis);
  const meanView = data.kind === 'curve';
  const best = data.tips[data.best];
  const label = `${metric} against ${axis}; ${best ? `best at ${best}` : 'no candidate could be scored'}`;
  const content = html`<figure data-metric="${metric}"${metric === search.refit ? null : html` hidden`}>
<div class="chart" role="img" tabindex="0" aria-label="${label}"><script type="application/json">${jsonBlock(data)}</script><p class="note">The curve is drawn by this page's script; the results below have its figures.</p></div>
<output class="tip"></output>
<figcaption><ul class="legend">
<li><span class="line mean"></span>mean over ${plural(search.folds, 'fold')}</li>
${data.kind === 'curve' ? html`<li data-view="folds"><span class="swatch band"></span>±1 standard deviation over the folds</li>` : html`<li><span class="line mean thin"></span>±1 standard deviation over the folds</li>`}
${data.folds.length > 0 ? html`<li data-view="folds"><span class="line fold"></span>single folds</li>` : null}
${best ? html`<li><span class="dot best"></span>best by this metric</li>` : null}
</ul><p class="note">Greater is better.</p>${notes.map((note) => html`<p class="note">${note}</p>`)}</figcaption>
</figure>`;
  return { content, meanView };
}

interface PreparedCurve {
  readonly data: CurveData;
  readonly notes: readonly string[];
}

/** The rows behind a metric's curve, thinned where they are too many to see. */
function curveData(search: SearchResult, metric: string, axis: string): PreparedCurve {
  const notes: string[] = [];
  const all = alongAxis(search, metric, axis);
  if (search.paramNames.length > 1 || search.models) {
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
  const showFolds = search.folds * kept.length <= MAX_FOLD_POINTS;
  if (!showFolds) notes.push('Single folds are left out for size; results.csv has them.');
  const trials = kept.map(([, trial]) => trial);
  const best = trials.indexOf(all[bestAt]?.[1] as TrialResult);
  const kind = numeric && scale !== 'category' && kept.length > 2 ? 'curve' : 'points';
  const folds = showFolds ? Array.from({ length: search.folds }, (_, fold) => fold) : [];
  const data: CurveData = {
    metric,
    axis,
    scale: kind === 'points' ? 'category' : scale,
    kind,
    x: trials.map((trial) => valueAlong(trial, axis)),
    labels: trials.map((trial) => formatParam(valueAlong(trial, axis))),
    ...spread(trials, metric),
    tips: trials.map((trial) => tip(trial, metric, axis, decimals, trial === trials[best])),
    best,
    folds: folds.map((fold) =>
      trials.map(({ splitScores }) => finite(splitScores[metric]?.[fold])),
    ),
  };
  return { data, notes };
}

type AxisEntry = [value: ParamValue, trial: TrialResult];

/** One trial for every value of the main parameter: the best by this metric. */
function alongAxis(search: SearchResult, metric: string, axis: string): AxisEntry[] {
  const byValue = new Map<AxisEntry[0], TrialResult>();
  for (const trial of search.trials) {
    const value = valueAlong(trial, axis);
    const rival = byValue.get(value);
    if (rival === undefined || isAhead(trial, rival, metric)) byValue.set(value, trial);
  }
  return [...byValue];
}

/** Whether a trial is drawn for another: it had more rows or iterations, or as many and is better. */
function isAhead(trial: TrialResult, rival: TrialResult, metric: string): boolean {
  const [own, other] = [resourcesOf(trial), resourcesOf(rival)];
  return own === other ? score(trial, metric) > score(rival, metric) : own > other;
}

/** A trial's place along x; words where nothing is searched. */
function valueAlong({ model, params }: TrialResult, axis: string): ParamValue {
  if (model !== undefined) return model;
  return axis in params ? shownParam(params[axis] ?? null) : 'the only one';
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

/** Logarithmic if positive values span two decades or are even by ratio; zero needs categories. */
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

function spread(
  trials: readonly TrialResult[],
  metric: string,
): Pick<CurveData, 'mean' | 'low' | 'high'> {
  const at = (deviations: number): (number | null)[] =>
    trials.map(({ meanScore, stdScore }) =>
      finite((meanScore[metric] ?? Number.NaN) + deviations * (stdScore[metric] ?? Number.NaN)),
    );
  const mean = trials.map(({ meanScore }) => finite(meanScore[metric]));
  return { mean, low: at(-1), high: at(1) };
}

function tip(
  trial: TrialResult,
  metric: string,
  axis: string,
  decimals: number,
  isBest: boolean,
): string {
  const mean = formatFixed(trial.meanScore[metric] ?? Number.NaN, decimals);
  const std = formatFixed(trial.stdScore[metric] ?? Number.NaN, decimals);
  return `${axis} ${formatParam(valueAlong(trial, axis))}: ${metric} ${mean} ± ${std}${isBest ? ' (best)' : ''}`;
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
