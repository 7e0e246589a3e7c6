/**
 * Coefficients of the refitted model, largest first, as a table with bars around zero. They are in
 * the units of the encoded columns, so sizes compare between columns of like scale only; the
 * section says so.
 */
import type { LinearModel } from '../estimators/model.js';
import { formatCount, formatNumber, plural } from '../format.js';
import { html, type Markup } from './markup.js';

const SHOWN = 20;
/** Beyond this the rest is left to model.json. */
const MAX_ROWS = 2000;

/** The section's content. */
export function coefficientsSection(model: LinearModel | null): Markup {
  if (model === null) {
    return html`<p class="note">No model: refitting on all rows was switched off or no candidate could be scored.</p>`;
  }
  const terms = model.columns.map((column, i) => ({
    column,
    value: model.coefficients[0]?.[i] ?? Number.NaN,
  }));
  const size = (value: number): number => (Number.isFinite(value) ? Math.abs(value) : -1);
  terms.sort((a, b) => size(b.value) - size(a.value));
  const rows = terms.slice(0, MAX_ROWS);
  const largest = Math.max(0, ...rows.map(({ value }) => size(value)));
  const hasTwoSides = rows.some(({ value }) => value < 0);
  const body = rows.map(
    ({ column, value }, i) =>
      html`<tr${i >= SHOWN ? html` class="more"` : null}><th scope="row">${column}</th><td class="bar-cell">${signedBar(value, largest, hasTwoSides)}</td><td class="n">${formatNumber(value, 5)}</td></tr>`,
  );
  const hidden = rows.length - SHOWN;
  return html`
<p class="note">Fitted on all rows: intercept ${formatNumber(model.intercepts[0] ?? Number.NaN)}, ${plural(terms.length, 'coefficient')}, largest first. Each is the change of the prediction for one unit of its encoded column, so sizes compare between columns of like scale.</p>
<table class="bars coefficients collapsed" id="coefficients"><thead class="visually-hidden"><tr><th scope="col">Column</th><th scope="col">Bar</th><th scope="col">Coefficient</th></tr></thead><tbody>${body}</tbody></table>
${hidden > 0 ? html`<p><button type="button" id="all-coefficients" aria-expanded="false" aria-controls="coefficients" hidden>Show all ${formatCount(rows.length)}</button></p>` : null}
${terms.length > rows.length ? html`<p class="note">${formatCount(terms.length - rows.length)} smaller ones are in model.json.</p>` : null}
${imputedNote(model)}`;
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
