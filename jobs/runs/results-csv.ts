/**
 * `results.csv`: one row a candidate, columns named and ordered as scikit-learn's `cv_results_`
 * (without the fit and score times: candidates are fitted together). Numbers are the shortest text
 * that reads back as the same bits, so two runs that agree give the same bytes.
 */

import type { ParamValue } from '../estimators/estimator.js';
import { shownParam } from '../format.js';
import { rungColumns, type SearchResult, type TrialResult } from '../search/result.js';

/** The table as CSV (RFC 4180, lines end in LF). One metric's columns also have `_score` names. */
export function resultsCsv(search: SearchResult): string {
  const columns = columnsOf(search);
  const lines = [columns.map((column) => quote(column.name)).join(',')];
  for (const trial of search.trials)
    lines.push(columns.map((column) => quote(column.value(trial))).join(','));
  return `${lines.join('\n')}\n`;
}

interface Column {
  readonly name: string;
  readonly value: (trial: TrialResult) => string;
}

function columnsOf(search: SearchResult): Column[] {
  const model = { name: 'model', value: (trial: TrialResult) => trial.model ?? '' };
  const params = search.paramNames.map(
    (name): Column => ({
      name: `param_${name}`,
      value: (trial) => paramText(trial.params[name] ?? null),
    }),
  );
  const rungs = rungColumns(search).map(({ name, value }): Column => {
    return { name, value: (trial) => String(value(trial) ?? '') };
  });
  const columns: Column[] = [
    ...rungs,
    ...(search.models ? [model] : []),
    ...params,
    { name: 'params', value: (trial) => JSON.stringify(trial.params) },
  ];
  for (const metric of search.metrics) columns.push(...metricColumns(search, metric, metric));
  const [only] = search.metrics;
  if (search.metrics.length === 1 && only !== undefined)
    columns.push(...metricColumns(search, only, 'score'));
  return columns;
}

function metricColumns(search: SearchResult, metric: string, suffix: string): Column[] {
  const splits = Array.from({ length: search.folds }, (_, fold) => ({
    name: `split${fold}_test_${suffix}`,
    value: (trial: TrialResult) => numberText(trial.splitScores[metric]?.[fold]),
  }));
  return [
    ...splits,
    { name: `mean_test_${suffix}`, value: (trial) => numberText(trial.meanScore[metric]) },
    { name: `std_test_${suffix}`, value: (trial) => numberText(trial.stdScore[metric]) },
    { name: `rank_test_${suffix}`, value: (trial) => numberText(trial.rank[metric]) },
  ];
}

function paramText(value: ParamValue): string {
  if (typeof value === 'number') return numberText(value);
  return value === null ? '' : String(shownParam(value));
}

/** As Python and pandas read it: `nan`, `inf`, `-inf`. */
function numberText(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return 'nan';
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

function quote(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
