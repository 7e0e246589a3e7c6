/**
 * The page's only style sheet. Invariant: colours are variables with a light and a dark value each
 * (text at least 4.5:1 on its background), and nothing is fetched: system fonts, no images.
 */

import { curveStyles } from './curve-script.js';

const light = `
--page: #f6f7f9; --surface: #ffffff; --text: #1b1f27; --muted: #5a6373;
--line: #e3e6eb; --line-strong: #b9c0cb; --hover: #f0f2f6;
--accent: #2f5fc4; --band: rgba(47, 95, 196, .13); --fold: rgba(90, 99, 115, .32); --best: #b4470f;
--negative: #b4470f; --warning: #8f3b00; --warning-page: #fdf1e6;
--source: #626c7c; --source-page: #f1f3f6; --computed: #2f5fc4; --computed-page: #eaf0fc;
--fused: #7a4bc0; --fused-page: #f3edfb; --reused: #1d7f52; --reused-page: #e5f5ec;
--c-0: #3565c8; --c-1: #1c7f74; --c-2: #a8511a; --c-3: #7a4bc0; --c-4: #a93868; --c-5: #4d7325; --c-6: #1f7599;
--c-other: #6b7483; --on-bar: #ffffff;`;

const dark = `
--page: #12151b; --surface: #1a1e26; --text: #e6e9ef; --muted: #9fa8b7;
--line: #2c323d; --line-strong: #4a5362; --hover: #232833;
--accent: #7ea5f5; --band: rgba(126, 165, 245, .18); --fold: rgba(159, 168, 183, .34); --best: #f0995c;
--negative: #f0995c; --warning: #f5b684; --warning-page: #33261c;
--source: #8b95a5; --source-page: #242933; --computed: #7ea5f5; --computed-page: #1e2a44;
--fused: #b592ee; --fused-page: #2b2340; --reused: #5cc491; --reused-page: #17332a;
--c-0: #7ea5f5; --c-1: #58bdb0; --c-2: #e39a63; --c-3: #b592ee; --c-4: #e68bb0; --c-5: #9dc46f; --c-6: #6cbbdd;
--c-other: #98a1b0; --on-bar: #10141b;`;

const base = `
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 12px; }
body { margin: 0 auto; padding: 32px 20px 48px; max-width: 1080px; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif; }
h1 { margin: 2px 0 4px; font-size: 28px; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 14px; font-size: 18px; line-height: 1.3; font-weight: 650; }
p { margin: 0 0 10px; }
.kicker { margin: 0; color: var(--accent); font-size: 12px; font-weight: 650; letter-spacing: .06em; text-transform: uppercase; }
.muted, .note { color: var(--muted); }
.note { font-size: 13.5px; max-width: 78ch; }
header > .muted { font-size: 13.5px; overflow-wrap: anywhere; }
.verdict { margin: 18px 0 0; font-size: 18px; line-height: 1.5; max-width: 70ch; overflow-wrap: anywhere; }
.warning { margin: 12px 0 0; padding: 8px 12px; border-left: 3px solid var(--warning); border-radius: 0 6px 6px 0;
  background: var(--warning-page); color: var(--warning); }
section, .figures { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
section { margin: 20px 0 0; padding: 20px 22px; }
main > section > :last-child, section > :last-child { margin-bottom: 0; }
footer { margin: 20px 2px 0; font-size: 13px; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(184px, 1fr)); margin: 20px 0 0; overflow: hidden; }
.figures > div { padding: 13px 18px 12px; box-shadow: 0 0 0 .5px var(--line); }
.figures dt { color: var(--muted); font-size: 13px; }
.figures dd { margin: 0; }
.figures .value { display: block; font-size: 22px; line-height: 1.3; font-weight: 620; letter-spacing: -.01em; font-variant-numeric: tabular-nums; }
.figures .muted { font-size: 12.5px; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 2px 0; padding: 0; list-style: none; font-size: 14px; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }

.toolbar { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px 20px; margin: 0 0 12px; }
.toolbar:not(:has(> :not([hidden]))) { display: none; }
.toolbar .note { margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0; list-style: none; color: var(--muted); font-size: 13px; }
.legend li { display: flex; align-items: center; gap: 7px; overflow-wrap: anywhere; }
.swatch { flex: none; width: 12px; height: 12px; border-radius: 3px; }
.swatch.band { background: var(--band); border: 1px solid var(--line-strong); }
.line { flex: none; width: 18px; height: 0; border-top: 2px solid var(--accent); }
.line.fold { border-top: 1px solid var(--muted); opacity: .6; }
.line.thin { width: 0; height: 14px; border: 0; border-left: 2px solid var(--accent); }
.dot.best { flex: none; width: 10px; height: 10px; border-radius: 50%; background: var(--best); }
.choice { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; margin: 0; padding: 0; border: 0; min-width: 0; }
.choice legend { float: left; padding: 0; margin-right: 8px; color: var(--muted); font-size: 13px; }
.choice label { position: relative; }
.choice input { position: absolute; opacity: 0; inset: 0; margin: 0; width: 100%; height: 100%; cursor: pointer; }
.choice span { display: block; padding: 4px 11px; border: 1px solid var(--line-strong); border-radius: 7px; font-size: 13px; overflow-wrap: anywhere; }
.choice input:hover + span { background: var(--hover); }
.choice input:checked + span { border-color: var(--accent); color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
.choice input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.check { display: flex; align-items: center; gap: 7px; font-size: 13.5px; }
.check input { margin: 0; accent-color: var(--accent); }
button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
p > button, .zoom button { padding: 4px 12px; border: 1px solid var(--line-strong); border-radius: 7px; font-size: 13px; }
p > button { margin-top: 12px; }
p > button:hover, .zoom button:hover { background: var(--hover); }
.zoom { display: flex; gap: 6px; }

figure { margin: 0; }
.chart { min-height: 300px; overflow: hidden; }
.chart > .note { padding: 120px 20px 0; margin: 0 auto; }
.tip { display: block; min-height: 1.5em; font-size: 13.5px; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figcaption { margin-top: 10px; }
figcaption .note { margin: 8px 0 0; }

table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 5px 12px 5px 0; text-align: left; font-weight: 400; vertical-align: baseline; }
td.n, th.n { text-align: right; white-space: nowrap; }
thead th { color: var(--muted); font-size: 13px; }
tfoot th, tfoot td { border-top: 1px solid var(--line); font-weight: 600; }
.scroll { overflow: auto; max-width: 100%; }
.scroll table { min-width: 100%; }
.scroll thead th { position: sticky; top: 0; z-index: 1; background: var(--surface); box-shadow: inset 0 -1px var(--line-strong); padding-left: 12px; }
.scroll tbody th, .scroll tbody td { padding-left: 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
.scroll td.wide { white-space: normal; min-width: 260px; overflow-wrap: anywhere; }
.results { max-height: 560px; border: 1px solid var(--line); border-radius: 8px; }
.results th, .results td { text-align: right; }
.results td.t { text-align: left; }
.results tbody tr:last-child td { border-bottom: 0; }
.results tbody tr:hover { background: var(--hover); }
.results tr.best td { background: var(--computed-page); font-weight: 600; }
.results tr.best td:first-child { box-shadow: inset 3px 0 var(--accent); }
.results thead button { padding: 4px 0; color: var(--muted); white-space: nowrap; }
.results thead button::after { content: "\\2195"; content: "\\2195" / ""; display: inline-block; width: 1.2em; text-align: right; opacity: .45; }
.results [aria-sort] button { color: var(--text); font-weight: 600; }
.results [aria-sort="ascending"] button::after { content: "\\2191"; content: "\\2191" / ""; opacity: 1; }
.results [aria-sort="descending"] button::after { content: "\\2193"; content: "\\2193" / ""; opacity: 1; }
.failures ul { margin: 8px 0 0; padding-left: 20px; font-size: 13.5px; }
.failures li { overflow-wrap: anywhere; }
.error { color: var(--warning); }

table.bars { width: 100%; }
table + .note { margin-top: 12px; }
table.bars tbody th { width: 1%; min-width: 90px; max-width: 280px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
table.bars td.n { width: 1%; padding-right: 0; padding-left: 14px; }
table.bars .bar-cell { padding-right: 0; }
.bar { display: block; width: 100%; height: 11px; }
.bar rect { fill: var(--accent); }
.bar.negative rect { fill: var(--negative); }
.bar line { stroke: var(--line-strong); }
.coefficients.collapsed .more { display: none; }
table.facts th { padding-right: 28px; color: var(--muted); white-space: nowrap; }
table.facts td { overflow-wrap: anywhere; }

details > summary { cursor: pointer; color: var(--accent); font-size: 14px; width: fit-content; }
details > :not(summary) { margin-top: 10px; }
section > details { margin-top: 14px; }
pre { margin: 0; padding: 14px 16px; max-height: 720px; border: 1px solid var(--line); border-radius: 8px; background: var(--page);
  font: 12.5px/1.55 ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }

.s-source { --state: var(--source); --state-page: var(--source-page); }
.s-computed { --state: var(--computed); --state-page: var(--computed-page); }
.s-fused { --state: var(--fused); --state-page: var(--fused-page); }
.s-reused { --state: var(--reused); --state-page: var(--reused-page); }
.swatch[class*="s-"] { background: var(--state-page); border: 1.5px solid var(--state); }
.graph { max-height: 1400px; padding: 12px; border: 1px solid var(--line); border-radius: 8px; text-align: center; cursor: grab; }
.graph:active { cursor: grabbing; }
.graph svg text { user-select: none; }
.box .body { fill: var(--state-page); stroke: var(--state); stroke-width: 1.2; }
.box .copy { fill: var(--surface); stroke: var(--state); stroke-width: 1; opacity: .6; }
.box .share { fill: var(--state); }
.box text { fill: var(--muted); font-size: 11.5px; text-anchor: start; }
.box text.op { fill: var(--text); font-size: 13.5px; font-weight: 620; }
.box .count { fill: var(--state); }
.edges path { fill: none; stroke: var(--line-strong); stroke-width: 1.2; }
#arrow path { fill: var(--line-strong); stroke: none; }

.timeline { display: block; margin-top: 12px; overflow: visible; }
.timeline text { font-size: 12px; fill: var(--muted); }
.timeline .lane { fill: var(--text); font-weight: 620; }
.timeline .lane-note { fill: var(--muted); font-weight: 400; }
.timeline .lane-line { stroke: var(--line-strong); }
.timeline .tick { stroke: var(--line); }
.c-0 { --bar: var(--c-0); } .c-1 { --bar: var(--c-1); } .c-2 { --bar: var(--c-2); } .c-3 { --bar: var(--c-3); }
.c-4 { --bar: var(--c-4); } .c-5 { --bar: var(--c-5); } .c-6 { --bar: var(--c-6); } .c-other { --bar: var(--c-other); }
.swatch[class*="c-"] { background: var(--bar); }
.timeline .bar rect { fill: var(--bar); }
.timeline .bar text { fill: var(--on-bar); font-size: 11.5px; }
g.bar { display: inline; }`;

const narrow = `
@media (max-width: 640px) {
  body { padding: 20px 12px 32px; }
  h1 { font-size: 23px; }
  .verdict { font-size: 16.5px; }
  section { padding: 16px 14px; }
  .figures { grid-template-columns: 1fr 1fr; }
  .figures > div { padding: 10px 12px; }
  .figures > div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .figures .value { font-size: 18px; }
  .results thead button { white-space: normal; overflow-wrap: anywhere; text-align: right; }
  .results thead th { min-width: 96px; vertical-align: bottom; }
  .results thead th:first-child { min-width: 0; }
  table.bars tbody th { max-width: 118px; min-width: 60px; }
}`;

const print = `
@media print {
  @page { margin: 14mm; }
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 10.5pt; background: #fff; }
  nav, .choice, .zoom, .check, button, .toolbar > .note { display: none !important; }
  .results, .results table { border: 0; font-size: 8.5pt; }
  .results thead button { display: inline !important; white-space: normal; overflow-wrap: anywhere; }
  .results thead th { position: static; font-size: 8.5pt; vertical-align: bottom; }
  .results thead button::after { content: none; }
  section { break-inside: auto; border: 0; padding: 0; margin-top: 22px; }
  h2 { break-after: avoid; }
  figure, .figures, .timeline, tr { break-inside: avoid; }
  .scroll, .results, pre, .graph { max-height: none; overflow: visible; }
  .scroll tbody td { white-space: normal; }
  .graph svg { width: 100%; height: auto; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}`;

/** The text of the page's style element. */
export const pageStyles = `
:root { color-scheme: light dark; ${light} }
@media screen and (prefers-color-scheme: dark) { :root { ${dark} } }
${base}
${narrow}
${print}
${curveStyles}
`;
