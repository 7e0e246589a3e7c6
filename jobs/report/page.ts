/**
 * `renderReport`: the report of a run as one HTML file. Invariant: the file loads nothing (its
 * content security policy forbids it and allows only the one style and one script whose digests it
 * names), and what the run is called or holds is text wherever it appears.
 */
import { createHash } from 'node:crypto';
import type { RunRecord } from '../runs/record.js';
import { curvesSection } from './charts.js';
import { classesSection } from './classes.js';
import { coefficientsSection } from './coefficients.js';
import { lineageSection } from './lineage-graph.js';
import { html, type Markup, raw } from './markup.js';
import { nestedSection } from './nested.js';
import { pageScript } from './script.js';
import { environmentSection, jobSection, planSection, startText } from './settings.js';
import { pageStyles } from './styles.js';
import { keyFigures, phasesSection, verdict } from './summary.js';
import { tableSection } from './table.js';
import { timelineSection } from './timeline.js';

interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: Markup;
}

/** The run's report: self-contained HTML that needs no network, for paper and phones too. */
export function renderReport(record: RunRecord): string {
  return `<!doctype html>\n${page(record, sectionsOf(record))}`;
}

function sectionsOf(record: RunRecord): Section[] {
  const { search } = record;
  return [
    { id: 'curve', title: 'Validation curve', content: curvesSection(search) },
    { id: 'phases', title: 'Time by phase', content: phasesSection(record.seconds) },
    { id: 'trials', title: 'Results', content: tableSection(search) },
    ...(search.classReport
      ? [{ id: 'classes', title: 'Classes', content: classesSection(search.classReport) }]
      : []),
    ...(search.nested
      ? [{ id: 'nested', title: 'Outer splits', content: nestedSection(search, search.nested) }]
      : []),
    { id: 'model', title: 'Coefficients', content: coefficientsSection(search.model) },
    {
      id: 'timeline',
      title: 'Timeline',
      content: timelineSection(record.timeline, record.seconds.total ?? 0),
    },
    { id: 'lineage', title: 'Lineage', content: lineageSection(record.lineage) },
    { id: 'job', title: 'Job', content: jobSection(record.job) },
    { id: 'plan', title: 'Plan', content: planSection(record.plan) },
    { id: 'environment', title: 'Environment', content: environmentSection(record) },
  ];
}

function page(record: RunRecord, sections: readonly Section[]): Markup {
  return html`<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Reprise ${record.reprise}">
<title>${record.name}: Reprise report</title>
<link rel="icon" href="data:,">
<style>${raw(pageStyles)}</style>
</head>
<body>
<header>
<p class="kicker">Reprise report</p>
<h1>${record.name}</h1>
<p class="muted">Run ${record.run} · started ${startText(record.startedAt)} · ${record.engine} engine</p>
${verdict(record)}
${keyFigures(record)}
<nav aria-label="Sections"><ul>${sections.map(
    ({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`,
  )}</ul></nav>
</header>
<main>
${sections.map(
  ({ id, title, content }) =>
    html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${content}</section>\n`,
)}</main>
<footer class="muted">Made by Reprise ${record.reprise}. results.csv, model.json and lineage.json in the run folder hold the figures in full.</footer>
<script>${raw(pageScript)}</script>
</body>
</html>
`;
}

function policy(): string {
  return [
    "default-src 'none'",
    `style-src '${digest(pageStyles)}'`,
    `script-src '${digest(pageScript)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}
