/** `renderPipelineReport`: the report of a pipeline's run: its steps as a graph and a table. */
import { formatCount, formatSeconds, plural } from '../format.js';
import type { PipelineResult, StepSummary } from '../pipeline/result.js';
import type { StepState } from '../pipeline/step-record.js';
import { framedPage, type Section } from './frame.js';
import { graphDrawing } from './graph-drawing.js';
import { html, type Markup } from './markup.js';
import { jobSection, startText } from './settings.js';

const BOX_WIDTH = 184;
const BOX_HEIGHT = 52;

/** The colour of each state, of those that lineage has. */
const COLOURS: Readonly<Record<StepState, string>> = {
  done: 'computed',
  skipped: 'reused',
  failed: 'source',
  'not-run': 'source',
  stopped: 'source',
};

export function renderPipelineReport(result: PipelineResult): string {
  const { name, reprise, run, startedAt, steps } = result;
  const found = steps.filter(({ report }) => report?.table !== undefined);
  const sections: Section[] = [
    { id: 'graph', title: 'Steps', content: graphSection(steps) },
    { id: 'steps', title: 'What became of them', content: tableSection(steps) },
    ...(found.length > 0
      ? [{ id: 'found', title: 'What they found', content: html`${found.map(foundTable)}` }]
      : []),
    { id: 'pipeline', title: 'Pipeline', content: jobSection(result.pipeline) },
  ];
  return framedPage({
    name,
    reprise,
    line: `Run ${run} · started ${startText(startedAt)} · pipeline`,
    head: verdictOf(result),
    sections,
    files: 'result.json and journal.jsonl',
  });
}

function verdictOf({ state, steps, seconds, run }: PipelineResult): Markup {
  const count = (wanted: StepState): number => steps.filter((step) => step.state === wanted).length;
  const done = html`<p class="verdict">${plural(count('done'), 'step')} done and ${formatCount(count('skipped'))} skipped of ${formatCount(steps.length)}, in <strong>${formatSeconds(seconds.total)}</strong>.</p>`;
  if (state === 'finished') return done;
  const failed = steps.filter((step) => step.state === 'failed');
  return html`${done}<p class="warning"><strong>${state === 'stopped' ? 'Stopped' : 'Failed'}</strong>: <code>reprise resume ${run}</code> goes on.</p>${failed.map(
    ({ step, why }) => html`<p class="warning"><strong>${step}</strong>: ${why}</p>`,
  )}`;
}

function graphSection(steps: readonly StepSummary[]): Markup {
  const places = new Map(steps.map(({ step }, i) => [step, i]));
  const edges = steps.flatMap(({ step, needs }, to) =>
    needs.map((need) => ({ from: places.get(need)!, to, title: `${need} before ${step}` })),
  );
  return html`<div class="scroll graph" tabindex="0" role="region" aria-label="Graph of steps, scrolls">${graphDrawing(
    {
      id: 'steps-drawing',
      label: `Steps of the pipeline: ${plural(steps.length, 'step')}`,
      boxes: steps.map((step) => ({
        width: BOX_WIDTH,
        height: BOX_HEIGHT,
        at: (x, y) => stepBox(step, x, y),
      })),
      edges,
    },
  )}</div>`;
}

function stepBox({ step, kind, state, seconds, why }: StepSummary, x: number, y: number): Markup {
  const time = state === 'done' ? ` in ${formatSeconds(seconds)}` : '';
  return html`<g class="box s-${COLOURS[state]}" transform="translate(${x} ${y})"><title>${why}</title><rect class="body" width="${BOX_WIDTH}" height="${BOX_HEIGHT}" rx="7"/><text class="op" x="12" y="20">${cut(step)}</text><text x="12" y="38">${`${kind}, ${state}${time}`}</text></g>`;
}

const cut = (text: string): string => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

function tableSection(steps: readonly StepSummary[]): Markup {
  const heads = ['Step', 'Kind', 'State', 'Time', 'Why', 'Found', 'Left'];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Steps, scrolls"><table><thead><tr>${heads.map(
    (head) => html`<th scope="col">${head}</th>`,
  )}</tr></thead><tbody>${steps.map(stepRow)}</tbody></table></div>`;
}

function stepRow(summary: StepSummary): Markup {
  const { step, kind, state, seconds, why, outputs, report } = summary;
  const time = state === 'done' ? formatSeconds(seconds) : '';
  const left = outputs.map(({ path, rows }) => {
    const counted = rows === undefined ? '' : `, ${plural(rows, 'row')}`;
    return html`<div>${path}${counted}</div>`;
  });
  // Files that an earlier run wrote are in its folder.
  const files = (state === 'done' || state === 'failed' ? (report?.files ?? []) : []).map(
    (file) => html` <a href="${encodeURI(file)}">${file}</a>`,
  );
  return html`<tr><th scope="row">${step}</th><td>${kind}</td><td>${state}</td><td>${time}</td><td>${why}</td><td>${report?.note ?? ''}${files}</td><td>${left}</td></tr>`;
}

function foundTable({ step, report }: StepSummary): Markup {
  const [head = [], ...rows] = report?.table ?? [];
  return html`<h3>${step}</h3><div class="scroll" tabindex="0" role="region" aria-label="What ${step} found, scrolls"><table><thead><tr>${head.map(
    (cell) => html`<th scope="col">${cell}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}</tbody></table></div>`;
}
