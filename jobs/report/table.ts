/**
 * The results table. Invariant: the first rows are in the page as HTML, so it can be read with no
 * script; all rows are in one JSON block that the script sorts and draws by the same formatter.
 * Scores that do not exist sort last.
 */

import {
  decimalsFor,
  formatCandidate,
  formatCount,
  formatFixed,
  formatParam,
  plural,
  shownParam,
} from '../format.js';
import { rungColumns, type SearchResult, type TrialResult } from '../search/result.js';
import { html, jsonBlock, type Markup } from './markup.js';

/** Rows drawn until the reader asks for all. */
export const SHOWN_ROWS = 100;
/** Fold scores beyond which they are left to results.csv. */
const MAX_FOLD_CELLS = 40_000;
const MAX_ERRORS = 50;

interface Column {
  readonly label: string;
  /** `score` columns sort largest first, `param` and `rank` columns smallest first. */
  readonly kind: 'rank' | 'param' | 'score' | 'spread' | 'fold' | 'failed';
  readonly decimals: number;
  readonly cell: (trial: TrialResult) => number | string | boolean | null | undefined;
}

/** The section's content. */
export function tableSection(search: SearchResult): Markup {
  const columns = columnsOf(search);
  const order = search.trials.map((_, i) => i);
  const rank = (i: number): number =>
    search.trials[i]?.rank[search.refit] ?? Number.POSITIVE_INFINITY;
  order.sort((a, b) => rank(a) - rank(b) || a - b);
  const visible = columns.filter(({ kind }) => kind !== 'fold');
  const shown = order.slice(0, SHOWN_ROWS);
  const total = search.trials.length;
  const hasFolds = visible.length < columns.length;
  return html`
<p class="note">Sort by any column: press its heading. ${
    hasFolds ? null : 'The score on every fold is in results.csv. '
  }${columns.some(({ kind }) => kind === 'spread') ? 'std is the standard deviation over the folds.' : null}</p>
<div class="toolbar">
${hasFolds ? html`<label class="check" hidden><input type="checkbox" id="fold-columns"> Show the score on every fold</label>` : null}
<p class="note" id="table-status" role="status" aria-live="polite">${
    total > shown.length
      ? `Showing ${formatCount(shown.length)} of ${plural(total, 'trial')}, best first.`
      : `${plural(total, 'trial')}, best first.`
  }</p>
</div>
<div class="scroll results" tabindex="0" role="region" aria-label="Results, scrolls"><table id="results"><thead><tr>${visible.map(
    (column) => headCell(column),
  )}</tr></thead><tbody>${shown.map((i) => bodyRow(search, visible, i))}</tbody></table></div>
${total > shown.length ? html`<p><button type="button" id="all-rows" hidden>Show all ${formatCount(total)} rows</button></p>` : null}
<script type="application/json" id="results-data">${jsonBlock({
    columns: columns.map(({ label, kind, decimals }) => ({ label, kind, decimals })),
    rows: order.map((i) =>
      columns.map((column) => jsonCell(column, search.trials[i] as TrialResult)),
    ),
    best: order.indexOf(search.bestIndex ?? -1),
    shown: SHOWN_ROWS,
  })}</script>
${failures(search)}`;
}

function columnsOf(search: SearchResult): Column[] {
  const { metrics, trials, refit } = search;
  const columns: Column[] = [
    { label: 'Rank', kind: 'rank', decimals: 0, cell: (trial) => trial.rank[refit] },
    ...rungColumns(search).map(({ label, value }): Column => {
      return { label, kind: 'param', decimals: 0, cell: value };
    }),
    ...(search.models ? [modelColumn] : []),
    ...search.paramNames.map(
      (name): Column => ({
        label: name,
        kind: 'param',
        decimals: 0,
        cell: (trial) => shownParam(trial.params[name]),
      }),
    ),
  ];
  const showFolds = metrics.length * search.folds * trials.length <= MAX_FOLD_CELLS;
  const folds: Column[] = [];
  for (const metric of metrics) {
    const decimals = decimalsFor(trials.map((trial) => trial.meanScore[metric] ?? Number.NaN));
    columns.push(
      {
        label: `mean ${metric}`,
        kind: 'score',
        decimals,
        cell: (trial) => trial.meanScore[metric],
      },
      { label: `std ${metric}`, kind: 'spread', decimals, cell: (trial) => trial.stdScore[metric] },
    );
    for (let fold = 0; showFolds && fold < search.folds; fold++) {
      folds.push({
        label: `fold ${fold} ${metric}`,
        kind: 'fold',
        decimals,
        cell: (trial) => trial.splitScores[metric]?.[fold],
      });
    }
  }
  if (trials.some((trial) => trial.errors)) {
    columns.push({
      label: 'Failed fits',
      kind: 'failed',
      decimals: 0,
      cell: (trial) => Object.keys(trial.errors ?? {}).length,
    });
  }
  return [...columns, ...folds];
}

const modelColumn: Column = {
  label: 'Model',
  kind: 'param',
  decimals: 0,
  cell: ({ model }) => model,
};

function headCell(column: Column): Markup {
  const sorted = column.kind === 'rank' ? html` aria-sort="ascending"` : null;
  return html`<th scope="col"${sorted}><button type="button">${column.label}</button></th>`;
}

function bodyRow(search: SearchResult, columns: readonly Column[], index: number): Markup {
  const trial = search.trials[index] as TrialResult;
  const best = index === search.bestIndex ? html` class="best"` : null;
  return html`<tr${best}>${columns.map((column) => {
    const value = column.cell(trial);
    if (column.kind === 'param' && typeof value !== 'number') {
      return html`<td class="t">${formatParam(value)}</td>`;
    }
    const text =
      column.kind === 'param' ? formatParam(value) : formatFixed(numberOf(value), column.decimals);
    return html`<td>${text}</td>`;
  })}</tr>`;
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

/**
 * A cell as JSON: parameters as `[value, text]`, since their text is not a fixed number of
 * decimals; other numbers as they are; infinities as text, NaN as null.
 */
function jsonCell(column: Column, trial: TrialResult): unknown {
  const value = column.cell(trial);
  if (column.kind === 'param') {
    return typeof value === 'number' && Number.isFinite(value)
      ? [value, formatParam(value)]
      : [null, formatParam(value)];
  }
  if (typeof value !== 'number' || Number.isNaN(value)) return null;
  return Number.isFinite(value) ? Number(value.toPrecision(12)) : String(value);
}

/** Why fits failed, each message once with the trials it hit. */
function failures(search: SearchResult): Markup | null {
  const byMessage = new Map<string, string[]>();
  for (const trial of search.trials) {
    for (const [fold, message] of Object.entries(trial.errors ?? {})) {
      const where = `${formatCandidate(trial)}, fold ${fold}`;
      const list = byMessage.get(message);
      if (list) list.push(where);
      else byMessage.set(message, [where]);
    }
  }
  if (byMessage.size === 0) return null;
  const messages = [...byMessage].slice(0, MAX_ERRORS);
  const total = [...byMessage.values()].reduce((sum, list) => sum + list.length, 0);
  const items = messages.map(([message, where]) => {
    const more = where.length > 3 ? ` and ${formatCount(where.length - 3)} more` : '';
    return html`<li><span class="error">${message}</span><br><span class="muted">${where.slice(0, 3).join('; ')}${more}</span></li>`;
  });
  return html`<details class="failures" open><summary>${plural(total, 'fit')} failed</summary><ul>${items}</ul>${
    byMessage.size > messages.length
      ? html`<p class="note">${formatCount(byMessage.size - messages.length)} more messages are in result.json.</p>`
      : null
  }</details>`;
}
