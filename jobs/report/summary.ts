/**
 * What a reader wants first: the verdict in one sentence, the key figures, and where the time went.
 * Invariant: every figure comes from the run record as it is; nothing is estimated here.
 */
import { formatBytes } from '../../driver/support/size.js';
import {
  formatCandidate,
  formatCount,
  formatMembers,
  formatSeconds,
  formatWithSpread,
  plural,
} from '../format.js';
import type { RunRecord } from '../runs/record.js';
import { bestTrial, type TrialResult } from '../search/result.js';
import { html, type Markup } from './markup.js';

/** Fits that failed, over all trials and folds. */
export function failedFits(trials: readonly TrialResult[]): number {
  return trials.reduce((sum, trial) => sum + Object.keys(trial.errors ?? {}).length, 0);
}

/** Best candidate, its score and spread, and what reuse saved. */
export function verdict(record: RunRecord): Markup {
  const { search } = record;
  const best = bestTrial(search);
  const failed = failedFits(search.trials);
  const warnings = (search.warnings ?? []).map((text) => html`<p class="warning">${text}</p>`);
  if (failed > 0) {
    warnings.unshift(
      html`<p class="warning">${formatCount(failed)} of ${plural(search.trials.length * search.folds, 'fit')} failed; the messages stand below the results.</p>`,
    );
  }
  if (search.partial) {
    const { of, why } = search.partial;
    warnings.unshift(
      html`<p class="warning"><strong>Partial</strong>: ${formatCount(search.trials.length)} of ${plural(of, 'candidate')}: ${why}. <code>reprise resume ${record.run}</code> goes on.</p>`,
    );
  }
  if (best === undefined) {
    return html`<p class="verdict">No candidate has a finite ${search.refit}, so none is the best; ${reuseClause(record)}.</p>${warnings}`;
  }
  const mean = best.meanScore[search.refit] ?? Number.NaN;
  const spread = formatWithSpread(mean, best.stdScore[search.refit] ?? Number.NaN);
  return html`<p class="verdict">Best is <strong>${formatCandidate(best)}</strong> with ${search.refit} <strong>${spread}</strong> over ${plural(search.folds, 'fold')}; ${reuseClause(record)}.</p>${ensembleLine(search)}${warnings}`;
}

const ADDED = { decision: 'decision values', soft: 'probabilities', hard: 'votes' } as const;

function ensembleLine({ ensemble, refit }: RunRecord['search']): Markup | null {
  if (ensemble === undefined) return null;
  const score = formatWithSpread(ensemble.meanScore[refit]!, ensemble.stdScore[refit]!);
  return html`<p class="note">The model adds up ${ADDED[ensemble.voting]}: ${formatMembers(ensemble)}, with ${refit} ${score}: the best of ${plural(ensemble.tried, 'set')} of weights.</p>`;
}

function reuseClause({ reuse }: RunRecord): string {
  const answered = reuse.hits + reuse.partial;
  const asked = answered + reuse.misses;
  if (reuse.setting === 'off') return 'reuse was off';
  if (answered === 0) return 'nothing it asked for had been computed before';
  const whole = `reuse answered ${formatCount(answered)} of ${plural(asked, 'request')} for a result`;
  return reuse.savedSeconds > 0
    ? `${whole} and saved an estimated ${formatSeconds(reuse.savedSeconds)}`
    : whole;
}

/** The setting, where it allows less than all. */
function settingText({ setting = 'full' }: RunRecord['reuse']): string {
  return setting === 'full' ? '' : `of ${setting} alone: `;
}

/** The key figures, as a definition list. */
export function keyFigures(record: RunRecord): Markup {
  const { search, reuse } = record;
  const answered = reuse.hits + reuse.partial;
  const asked = answered + reuse.misses;
  const figures: readonly (readonly [string, string, string])[] = [
    [
      'Fits',
      formatCount(search.trials.length * search.folds),
      `${plural(search.trials.length, 'trial')} on ${plural(search.folds, 'fold')}`,
    ],
    ['Rows', formatCount(search.rows), 'as fitted'],
    ['Columns', formatCount(search.columns), 'after encoding'],
    [
      'Passes over the data',
      formatCount(record.passes),
      `and ${plural(record.scans, 'scan')} for statistics`,
    ],
    ['Kernels', formatCount(record.kernels), 'operators run'],
    ['Spark jobs', formatCount(record.sparkJobs), `engine: ${record.engine}`],
    ['Total time', formatSeconds(record.seconds.total ?? Number.NaN), 'wall clock'],
    [
      'Peak memory',
      formatBytes(record.peakMemoryBytes),
      record.memory
        ? `of the driver process; ${formatBytes(record.memory.processBytes)} forecast`
        : 'of the driver process',
    ],
    [
      'Reuse',
      asked > 0 ? `${Math.floor((answered / asked) * 100)} %` : '0 %',
      `${settingText(reuse)}${formatCount(reuse.hits)} hits, ${formatCount(reuse.partial)} partial, ${formatCount(reuse.misses)} misses`,
    ],
    ['Time saved by reuse', formatSeconds(reuse.savedSeconds), 'estimated'],
  ];
  return html`<dl class="figures">${figures.map(
    ([name, value, note]) =>
      html`<div><dt>${name}</dt><dd><span class="value">${value}</span><span class="muted">${note}</span></dd></div>`,
  )}</dl>`;
}

/** Seconds by phase as a table with bars. Phases that overlap may add up to more than the total. */
export function phasesSection(seconds: Readonly<Record<string, number>>): Markup {
  const total = seconds.total;
  const phases = Object.entries(seconds).filter(([name]) => name !== 'total');
  const sum = phases.reduce((all, [, value]) => all + value, 0);
  if (phases.length === 0) {
    return html`<p class="note">This run recorded its total time only: ${formatSeconds(total ?? Number.NaN)}.</p>`;
  }
  if (total !== undefined && total - sum > total * 0.005) phases.push(['other', total - sum]);
  const whole = Math.max(total ?? 0, sum);
  const longest = Math.max(...phases.map(([, value]) => value));
  const rows = phases.map(([name, value]) => {
    const share = whole > 0 ? (100 * value) / whole : 0;
    return html`<tr><th scope="row">${name}</th><td class="bar-cell">${bar(longest > 0 ? value / longest : 0)}</td><td class="n">${formatSeconds(value)}</td><td class="n muted">${share < 1 && share > 0 ? '<1' : Math.round(share)} %</td></tr>`;
  });
  const foot =
    total === undefined
      ? null
      : html`<tfoot><tr><th scope="row">total</th><td></td><td class="n">${formatSeconds(total)}</td><td></td></tr></tfoot>`;
  return html`<table class="bars"><thead class="visually-hidden"><tr><th scope="col">Phase</th><th scope="col">Bar</th><th scope="col">Time</th><th scope="col">Share</th></tr></thead><tbody>${rows}</tbody>${foot}</table>`;
}

/** A horizontal bar. @param share length, 0..1 */
function bar(share: number): Markup {
  const width = (Math.max(0, Math.min(1, share)) * 100).toFixed(2);
  return html`<svg class="bar" aria-hidden="true"><rect width="${width}%" height="100%" rx="2"/></svg>`;
}
