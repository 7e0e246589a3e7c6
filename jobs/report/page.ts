/** `renderReport`: the report of a search's run as one HTML file. */
import type { RunRecord } from '../runs/record.js';
import { curvesSection } from './charts.js';
import { classesSection } from './classes.js';
import { coefficientsSection } from './coefficients.js';
import { devicesSection } from './devices.js';
import { framedPage, type Section } from './frame.js';
import { lineageSection } from './lineage-graph.js';
import { html } from './markup.js';
import { nestedSection } from './nested.js';
import { environmentSection, jobSection, planSection, startText } from './settings.js';
import { keyFigures, phasesSection, verdict } from './summary.js';
import { tableSection } from './table.js';
import { timelineSection } from './timeline.js';

/** The run's report: self-contained HTML that needs no network, for paper and phones too. */
export function renderReport(record: RunRecord): string {
  const { name, run, startedAt, engine, reprise } = record;
  return framedPage({
    name,
    reprise,
    line: `Run ${run} · started ${startText(startedAt)} · ${engine} engine`,
    head: html`${verdict(record)}
${keyFigures(record)}`,
    sections: sectionsOf(record),
    files: 'results.csv, model.json and lineage.json',
  });
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
    ...(record.devices
      ? [{ id: 'devices', title: 'Devices', content: devicesSection(record.devices) }]
      : []),
    { id: 'lineage', title: 'Lineage', content: lineageSection(record.lineage) },
    { id: 'job', title: 'Job', content: jobSection(record.job) },
    { id: 'plan', title: 'Plan', content: planSection(record.plan) },
    { id: 'environment', title: 'Environment', content: environmentSection(record) },
  ];
}
