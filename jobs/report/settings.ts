/**
 * How the run was made: the job as it ran, the compiled plan, and the environment. Invariant: text
 * of the run is shown as it is, cut only where a page could not hold it, and the cut is said.
 */
import { Document, isScalar, visit } from 'yaml';
import { formatBytes } from '../../driver/support/size.js';
import { formatCount } from '../format.js';
import type { RunRecord } from '../runs/record.js';
import { html, type Markup } from './markup.js';

/** @units characters */
const MAX_TEXT = 200_000;

/** The resolved job as YAML. */
export function jobSection(job: unknown): Markup {
  return html`<pre class="scroll" tabindex="0" role="region" aria-label="Job settings, scrolls">${cut(yamlText(job))}</pre>`;
}

/** The plan, folded away. */
export function planSection(plan: string): Markup {
  if (plan.trim() === '') return html`<p class="note">This run recorded no plan.</p>`;
  const lines = plan.trimEnd().split('\n').length;
  return html`<details><summary>Plan after the last compiler pass, ${formatCount(lines)} ${lines === 1 ? 'line' : 'lines'}</summary><pre class="scroll" tabindex="0" role="region" aria-label="Plan, scrolls">${cut(plan.trimEnd())}</pre></details>`;
}

/** What the run ran on. */
export function environmentSection(record: RunRecord): Markup {
  const rows: [string, string][] = [
    ['Run', record.run],
    ['Started', startText(record.startedAt)],
    ['Reprise', record.reprise],
    ['Engine', record.engine],
    ['Peak memory', formatBytes(record.peakMemoryBytes)],
    ...Object.entries(record.environment ?? {}),
  ];
  return html`<table class="facts"><thead class="visually-hidden"><tr><th scope="col">What</th><th scope="col">Value</th></tr></thead><tbody>${rows.map(
    ([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`,
  )}</tbody></table>`;
}

/** `2026-11-22 14:03:09 UTC`; the text itself where it is no date. */
export function startText(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Lists of plain values go on one line, so that a grid of penalties does not fill the page. */
function yamlText(job: unknown): string {
  const document = new Document(job, { aliasDuplicateObjects: false });
  visit(document, {
    Seq: (_key, seq) => {
      if (seq.items.every((item) => isScalar(item))) seq.flow = true;
    },
  });
  return document.toString({ lineWidth: 96, flowCollectionPadding: false }).trimEnd();
}

function cut(text: string): string {
  if (text.length <= MAX_TEXT) return text;
  return `${text.slice(0, MAX_TEXT)}\n… ${formatCount(text.length - MAX_TEXT)} more characters stand in the run folder.`;
}
