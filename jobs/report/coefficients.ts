/**
 * Coefficients of the refitted model, largest first, as a table with bars around zero. They are in
 * the units of the encoded columns, so sizes compare between columns of like scale only; the
 * section says so.
 */
import type { LinearModel } from '../estimators/model.js';
import type { Votes } from '../estimators/votes.js';
import { formatCount, formatNumber, plural } from '../format.js';
import { html, type Markup } from './markup.js';

/** Rows of the table before all are asked for, and in all: of every output together. */
const SHOWN = 20;
/** Beyond this the rest is left to model.json. */
const MAX_ROWS = 2000;

/** The section's content. */
export function coefficientsSection(model: LinearModel | null): Markup {
  if (model === null) {
    return html`<p class="note">No model: refitting on all rows was switched off or no candidate could be scored.</p>`;
  }
  if (model.layers !== undefined) {
    return html`<p class="note">A network has no coefficient a column; its layers are in model.json.</p>`;
  }
  const { coefficients, intercepts } = model;
  const outputs = coefficients.length;
  const most = Math.max(1, Math.floor(MAX_ROWS / outputs));
  const shown = Math.max(3, Math.floor(SHOWN / outputs));
  const names = termNames(model);
  const size = (value: number): number => (Number.isFinite(value) ? Math.abs(value) : -1);
  const terms = coefficients.map((values) =>
    values
      .map((value, i) => ({ name: names[i]!, value }))
      .sort((a, b) => size(b.value) - size(a.value))
      .slice(0, most),
  );
  const rows = terms.flat();
  const largest = rows.reduce((most, { value }) => Math.max(most, size(value)), 0);
  const hasTwoSides = rows.some(({ value }) => value < 0);
  const groups = terms.map((own, k) => {
    const head = html`<tr><th scope="colgroup" colspan="3">${outputName(model, k)}: intercept ${formatNumber(intercepts[k] ?? Number.NaN)}</th></tr>`;
    const body = own.map(
      ({ name, value }, i) =>
        html`<tr${i >= shown ? html` class="more"` : null}><th scope="row">${name}</th><td class="bar-cell">${signedBar(value, largest, hasTwoSides)}</td><td class="n">${formatNumber(value, 5)}</td></tr>`,
    );
    return html`<tbody>${outputs > 1 ? head : null}${body}</tbody>`;
  });
  const all = names.length * outputs;
  const what =
    outputs > 1
      ? `${plural(all, 'coefficient')} of ${outputs} outputs, largest first in each`
      : `intercept ${formatNumber(intercepts[0] ?? Number.NaN)}, ${plural(all, 'coefficient')}, largest first`;
  return html`
<p class="note">Fitted on all rows: ${what}. Each is the change of the prediction${model.link === 'identity' ? '' : ' before its link'} for one unit of its encoded column, so sizes compare between columns of like scale.</p>
<table class="bars coefficients collapsed" id="coefficients"><thead class="visually-hidden"><tr><th scope="col">Column</th><th scope="col">Bar</th><th scope="col">Coefficient</th></tr></thead>${groups}</table>
${terms.some((own) => own.length > shown) ? html`<p><button type="button" id="all-coefficients" aria-expanded="false" aria-controls="coefficients" hidden>Show all ${formatCount(rows.length)}</button></p>` : null}
${all > rows.length ? html`<p class="note">${formatCount(all - rows.length)} smaller ones are in model.json.</p>` : null}
${imputedNote(model)}`;
}

/** What each coefficient is of: a column, its square, or whether it is above a threshold. */
function termNames({ columns, basis = 'linear' }: LinearModel): readonly string[] {
  if (basis === 'linear') return columns;
  if (basis === 'squares') return [...columns, ...columns.map((column) => `${column}²`)];
  return columns.map((column) => `${column} > ${formatNumber(basis.above)}`);
}

function outputName({ task, classes, intercepts, votes }: LinearModel, k: number): string {
  if (votes !== undefined) return votedName(votes, classes, k);
  if (classes?.length === intercepts.length) return String(classes[k]);
  return `${task === 'clustering' ? 'cluster' : 'component'} ${k}`;
}

/** Whose decision values, and of which class. */
function votedName({ members }: Votes, classes: LinearModel['classes'], k: number): string {
  let first = 0;
  for (const [m, { outputs }] of members.entries()) {
    if (k < first + outputs) {
      const own = outputs === 1 ? '' : `, ${String(classes?.[k - first] ?? k - first)}`;
      return `member ${m + 1}${own}`;
    }
    first += outputs;
  }
  return `output ${k}`;
}

/** A bar from zero to the value; zero is in the middle where any coefficient is negative. */
function signedBar(value: number, largest: number, hasTwoSides: boolean): Markup {
  const reach = hasTwoSides ? 50 : 100;
  const width = largest > 0 && Number.isFinite(value) ? (Math.abs(value) / largest) * reach : 0;
  const zero = hasTwoSides ? 50 : 0;
  const x = value < 0 ? zero - width : zero;
  const axis = hasTwoSides ? html`<line x1="50%" x2="50%" y1="0" y2="100%"/>` : null;
  return html`<svg class="bar${value < 0 ? ' negative' : ''}" aria-hidden="true"><rect x="${x.toFixed(2)}%" width="${width.toFixed(2)}%" height="100%" rx="2"/>${axis}</svg>`;
}

function imputedNote(model: LinearModel): Markup | null {
  const entries = Object.entries(model.imputed);
  if (entries.length === 0) return null;
  const shown = entries.slice(0, 20).map(([name, value]) => `${name} ${formatNumber(value)}`);
  const more =
    entries.length > shown.length ? ` and ${formatCount(entries.length - shown.length)} more` : '';
  return html`<p class="note">Missing values are replaced by: ${shown.join(', ')}${more}.</p>`;
}
