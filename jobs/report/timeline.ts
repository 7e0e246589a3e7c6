/**
 * The timeline: one lane a backend, a bar an event. Positions are percentages, so the drawing
 * follows the page's width while its text keeps its size. Invariant: events too short to see are
 * joined into one bar that says how many they were, so ten thousand events stay a few hundred bars
 * and no busy time is hidden.
 */

import { formatSeconds, plural } from '../format.js';
import type { TimelineEvent } from '../runs/record.js';
import { html, type Markup } from './markup.js';

const ROW_HEIGHT = 22;
const LANE_HEAD = 24;
const LANE_GAP = 10;
const AXIS_HEIGHT = 26;
const MAX_ROWS = 6;
/** Share of the width below which a bar cannot be told from its neighbour. */
const MIN_SHARE = 0.002;
const COLOURS = 7;

interface Bar {
  start: number;
  end: number;
  busy: number;
  readonly names: Map<string, number>;
  count: number;
}

/** The section's content. @param totalSeconds length of the run */
export function timelineSection(events: readonly TimelineEvent[], totalSeconds: number): Markup {
  const usable = events.filter(
    ({ start, end }) => Number.isFinite(start) && Number.isFinite(end) && end >= start,
  );
  if (usable.length === 0) return html`<p class="note">This run recorded no timeline.</p>`;
  const span = usable.reduce((latest, event) => Math.max(latest, event.end), totalSeconds) || 1;
  const colours = colourOf(usable);
  const lanes = new Map<string, TimelineEvent[]>();
  for (const event of usable) {
    const lane = lanes.get(event.lane);
    if (lane) lane.push(event);
    else lanes.set(event.lane, [event]);
  }
  let y = 0;
  const drawn = [...lanes].map(([name, list]) => {
    const rows = packRows(list, span);
    const top = y;
    y += LANE_HEAD + rows.length * ROW_HEIGHT + LANE_GAP;
    return lane(name, list, rows, top, span, colours);
  });
  const height = y + AXIS_HEIGHT;
  return html`
<ul class="legend">${[...colours.legend].map(
    ([name, seconds], i) =>
      html`<li><span class="swatch c-${i}"></span>${name}: ${formatSeconds(seconds)}</li>`,
  )}${colours.others > 0 ? html`<li><span class="swatch c-other"></span>other: ${formatSeconds(colours.others)}</li>` : null}</ul>
<svg class="timeline" width="100%" height="${height}" role="img" aria-label="Timeline of ${plural(usable.length, 'event')} in ${plural(lanes.size, 'lane')} over ${formatSeconds(span)}">${axis(span, y)}${drawn}</svg>`;
}

interface Colours {
  readonly index: ReadonlyMap<string, number>;
  /** Name and total seconds, in colour order. */
  readonly legend: readonly (readonly [string, number])[];
  readonly others: number;
}

/** The names that take the most time get colours of their own. */
function colourOf(events: readonly TimelineEvent[]): Colours {
  const totals = new Map<string, number>();
  for (const { name, start, end } of events)
    totals.set(name, (totals.get(name) ?? 0) + end - start);
  const sorted = [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const legend = sorted.slice(0, COLOURS);
  return {
    index: new Map(legend.map(([name], i) => [name, i])),
    legend,
    others: sorted.slice(COLOURS).reduce((sum, [, seconds]) => sum + seconds, 0),
  };
}

/** Overlapping events go to rows below each other; past `MAX_ROWS` they share the last row. */
function packRows(events: readonly TimelineEvent[], span: number): Bar[][] {
  const rows: Bar[][] = [];
  const sorted = [...events].sort((a, b) => a.start - b.start || a.end - b.end);
  const least = span * MIN_SHARE;
  for (const event of sorted) {
    let row = rows.find(
      (bars) => (bars.at(-1)?.end ?? 0) <= event.start || joins(bars.at(-1), event, least),
    );
    if (row === undefined) {
      row = rows.length < MAX_ROWS ? [] : (rows.at(-1) as Bar[]);
      if (row.length === 0) rows.push(row);
    }
    const last = row.at(-1);
    if (last && joins(last, event, least)) extend(last, event);
    else {
      const bar = { start: event.start, end: event.end, busy: 0, names: new Map(), count: 0 };
      extend(bar, event);
      row.push(bar);
    }
  }
  return rows;
}

/** True when the event is too short, and too near to a bar of short events, to be drawn apart. */
function joins(bar: Bar | undefined, event: TimelineEvent, least: number): boolean {
  if (bar === undefined || event.end - event.start >= least || event.start - bar.end >= least)
    return false;
  return bar.count > 1 || bar.end - bar.start < least;
}

function extend(bar: Bar, event: TimelineEvent): void {
  bar.end = Math.max(bar.end, event.end);
  bar.busy += event.end - event.start;
  bar.count++;
  bar.names.set(event.name, (bar.names.get(event.name) ?? 0) + 1);
}

function lane(
  name: string,
  events: readonly TimelineEvent[],
  rows: readonly (readonly Bar[])[],
  top: number,
  span: number,
  colours: Colours,
): Markup {
  const bars = rows.flatMap((row, i) =>
    row.map((bar) => drawBar(bar, top + LANE_HEAD + i * ROW_HEIGHT, span, colours)),
  );
  const busy = events.reduce((sum, event) => sum + event.end - event.start, 0);
  return html`<text class="lane" x="0" y="${top + 16}">${name}<tspan class="lane-note" dx="8">${plural(events.length, 'event')}, ${formatSeconds(busy)}</tspan></text><line class="lane-line" x1="0" x2="100%" y1="${top + LANE_HEAD - 2}" y2="${top + LANE_HEAD - 2}"/>${bars}`;
}

function drawBar(bar: Bar, y: number, span: number, colours: Colours): Markup {
  const share = Math.max((bar.end - bar.start) / span, MIN_SHARE);
  const x = Math.min(bar.start / span, 1 - MIN_SHARE);
  const [[first] = ['']] = [...bar.names].sort((a, b) => b[1] - a[1]);
  const colour = colours.index.get(first);
  const named =
    bar.count === 1 ? first : [...bar.names].map(([name, count]) => `${name} x${count}`).join(', ');
  const when = `${formatSeconds(bar.start)} to ${formatSeconds(bar.end)}, ${formatSeconds(bar.busy)} of work`;
  const text =
    share > 0.06 ? html`<text x="6" y="14">${bar.count === 1 ? first : named}</text>` : null;
  return html`<svg x="${percent(x)}" y="${y}" width="${percent(share)}" height="${ROW_HEIGHT - 4}"><g class="bar c-${colour ?? 'other'}"><title>${named}
${when}</title><rect width="100%" height="100%" rx="3"/>${text}</g></svg>`;
}

function axis(span: number, height: number): Markup {
  const step = niceStep(span / 6);
  const ticks: Markup[] = [];
  for (let i = 0; i * step <= span * 1.0001; i++) {
    const at = percent(Math.min((i * step) / span, 1));
    const anchor = i === 0 ? 'start' : (i * step) / span > 0.96 ? 'end' : 'middle';
    ticks.push(
      html`<line class="tick" x1="${at}" x2="${at}" y1="0" y2="${height}"/><text class="tick-label" x="${at}" y="${height + 16}" text-anchor="${anchor}">${formatSeconds(Number((i * step).toPrecision(6)))}</text>`,
    );
  }
  return html`${ticks}`;
}

/** The next of 1, 2, 5 times a power of ten; whole minutes above one. */
function niceStep(least: number): number {
  if (least > 60) return niceStep(least / 60) * 60;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10);
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))}%`;
}
