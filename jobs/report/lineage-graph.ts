/**
 * The lineage section: the grouped graph as SVG, its legend, and the same facts as a table for
 * readers who cannot see a drawing. Invariant: reuse is said in words as well as in colour.
 */

import { formatCount, formatSeconds, plural } from '../format.js';
import type { LineageNode } from '../runs/record.js';
import { graphDrawing } from './graph-drawing.js';
import {
  type LineageGroup,
  type LineageSummary,
  type NodeState,
  nodeStates,
  summarizeLineage,
} from './lineage-summary.js';
import { html, type Markup } from './markup.js';

const BOX_WIDTH = 184;
const BOX_HEIGHT = 60;

const stateTexts: Readonly<Record<NodeState, string>> = {
  source: 'source',
  computed: 'computed',
  fused: "fused into another result's pass",
  reused: 'reused, not computed',
};

/** The section's content. */
export function lineageSection(nodes: readonly LineageNode[]): Markup {
  if (nodes.length === 0) {
    return html`<p class="note">This run recorded no lineage.</p>`;
  }
  const summary = summarizeLineage(nodes);
  const fold =
    summary.groups.length === summary.nodes
      ? `${plural(summary.nodes, 'result')}, one box each.`
      : `${plural(summary.nodes, 'result')} in ${plural(summary.groups.length, 'box', 'boxes')}: ${summary.grouping}.`;
  return html`
<p class="note">${fold} Inputs stand above what reads them.</p>
<div class="toolbar">
<ul class="legend">${nodeStates.map(
    (state) =>
      html`<li><span class="swatch s-${state}"></span>${stateTexts[state]}: ${formatCount(summary.states[state])}</li>`,
  )}</ul>
<div class="zoom" data-zoom-for="lineage-drawing" hidden>
<button type="button" data-zoom="out" aria-label="Zoom out">&minus;</button>
<button type="button" data-zoom="fit">Fit</button>
<button type="button" data-zoom="in" aria-label="Zoom in">+</button>
</div>
</div>
<div class="scroll graph" tabindex="0" role="region" aria-label="Lineage graph, scrolls">${drawing(summary)}</div>
<details><summary>The same as a table</summary>${groupTable(summary)}</details>`;
}

function drawing({ groups, edges, nodes }: LineageSummary): Markup {
  return graphDrawing({
    id: 'lineage-drawing',
    label: `Lineage of the run: ${plural(nodes, 'result')} in ${plural(groups.length, 'group')}`,
    boxes: groups.map((group) => ({
      width: BOX_WIDTH,
      height: BOX_HEIGHT,
      at: (x, y) => box(group, x, y),
    })),
    edges: edges.map(({ from, to, count }) => {
      const title = `${groups[from]?.op} to ${groups[to]?.op}: ${plural(count, 'edge')}`;
      return { from, to, title };
    }),
  });
}

function box(group: LineageGroup, x: number, y: number): Markup {
  const main = dominant(group);
  const copies =
    group.opCount > 1
      ? html`<rect class="copy" x="4" y="-4" width="${BOX_WIDTH}" height="${BOX_HEIGHT}" rx="7"/>`
      : null;
  const count =
    group.opCount > 1
      ? html`<tspan class="count" dx="6">x${formatCount(group.opCount)}</tspan>`
      : null;
  const where = group.backends.length > 0 ? ` · ${group.backends.join(', ')}` : '';
  const second = group.with.length > 0 ? `with ${group.with.join(', ')}` : `${group.shape}${where}`;
  return html`<g class="box s-${main}" transform="translate(${x} ${y})"><title>${description(group)}</title>${copies}<rect class="body" width="${BOX_WIDTH}" height="${BOX_HEIGHT}" rx="7"/>${strip(group)}<text class="op" x="12" y="19">${shorten(group.op, 16)}${count}</text><text x="12" y="34">${shorten(second, 29)}</text><text x="12" y="48">${shorten(status(group), 29)}</text></g>`;
}

/** The bar under a box: the share of each state among its nodes. */
function strip(group: LineageGroup): Markup {
  let x = 0;
  const inner = BOX_WIDTH - 16;
  const parts = nodeStates.map((state) => {
    const width = (group.states[state] / group.count) * inner;
    if (width === 0) return null;
    const part = html`<rect class="share s-${state}" x="${(8 + x).toFixed(1)}" y="${BOX_HEIGHT - 5}" width="${width.toFixed(1)}" height="3"/>`;
    x += width;
    return part;
  });
  return html`${parts}`;
}

function dominant(group: LineageGroup): NodeState {
  let main: NodeState = 'computed';
  let most = 0;
  for (const state of nodeStates) {
    if (group.states[state] > most) {
      most = group.states[state];
      main = state;
    }
  }
  return main;
}

/** What happened to the nodes of a box, in one short line. */
function status(group: LineageGroup): string {
  const parts: string[] = [];
  const { reused, fused, computed } = group.states;
  if (reused > 0) parts.push(reused === group.count ? 'reused' : `${formatCount(reused)} reused`);
  if (fused > 0) parts.push(fused === group.count ? 'fused' : `${formatCount(fused)} fused`);
  if (computed > 0) parts.push(formatSeconds(group.seconds));
  if (group.hits > 0) parts.push(plural(group.hits, 'hit'));
  if (group.repeats) parts.push('loop');
  return parts.length > 0 ? parts.join(' · ') : 'source';
}

function description(group: LineageGroup): string {
  const states = nodeStates
    .filter((state) => group.states[state] > 0)
    .map((state) => `${formatCount(group.states[state])} ${state}`)
    .join(', ');
  const labels = labelText(group);
  return [
    `${nameOf(group)}: ${plural(group.count, 'result')} (${states}), ${group.shape}`,
    labels === '' ? '' : `Attributes: ${labels}`,
    group.backends.length > 0 ? `Ran on ${group.backends.join(', ')}` : '',
    `${formatSeconds(group.seconds)} in all; asked for again ${plural(group.hits, 'time')}`,
    group.repeats ? 'Some read others of the same box, as the steps of a loop do' : '',
  ]
    .filter((line) => line !== '')
    .join('\n');
}

function nameOf(group: LineageGroup): string {
  return group.with.length > 0 ? `${group.op} with ${group.with.join(', ')}` : group.op;
}

function labelText(group: LineageGroup): string {
  const more = group.labelCount - group.labels.length;
  const shown = group.labels.map((label) => shorten(label, 60)).join('; ');
  return more > 0 ? `${shown}; and ${formatCount(more)} more` : shown;
}

function groupTable(summary: LineageSummary): Markup {
  const inputs = new Map<number, string[]>();
  for (const { from, to } of summary.edges) {
    const list = inputs.get(to) ?? [];
    list.push(`${summary.groups[from]?.op} (${from + 1})`);
    inputs.set(to, list);
  }
  const rows = summary.groups.map(
    (group) =>
      html`<tr><th scope="row">${group.id + 1}. ${nameOf(group)}</th><td class="n">${formatCount(group.count)}</td><td>${group.shape}</td>${nodeStates.map(
        (state) => html`<td class="n">${formatCount(group.states[state])}</td>`,
      )}<td class="n">${formatCount(group.hits)}</td><td class="n">${formatSeconds(group.seconds)}</td><td>${group.backends.join(', ')}</td><td>${(inputs.get(group.id) ?? []).join(', ')}</td><td class="wide">${labelText(group)}</td></tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Lineage table, scrolls"><table><thead><tr><th scope="col">Box</th><th scope="col" class="n">Results</th><th scope="col">Rows x columns</th><th scope="col" class="n">Source</th><th scope="col" class="n">Computed</th><th scope="col" class="n">Fused</th><th scope="col" class="n">Reused</th><th scope="col" class="n">Asked again</th><th scope="col" class="n">Time</th><th scope="col">Ran on</th><th scope="col">Reads</th><th scope="col">Attributes</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
