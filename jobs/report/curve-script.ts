/**
 * The part of the page's script that draws validation curves with uPlot. Invariant: colours are the
 * page's CSS variables, read whenever it draws, and names from the run reach canvas text and
 * `textContent` only.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const dist = dirname(createRequire(import.meta.url).resolve('uplot'));
const textOf = (name: string): string => readFileSync(join(dist, name), 'utf8').trim();

/** uPlot itself; defines `uPlot`. */
export const curveLibrary = textOf('uPlot.iife.min.js');
export const curveStyles = textOf('uPlot.min.css');

/** Uses `all` and `show` of the page's script. */
export const curveScript = `
const SUPERSCRIPT = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const powerText = (value) => {
  const power = Math.round(Math.log10(value));
  if (power >= -3 && power <= 4) return String(Number('1e' + power));
  return '10' + (power < 0 ? '⁻' : '') + [...String(Math.abs(power))].map((digit) => SUPERSCRIPT[digit]).join('');
};
const axisWidth = (chart, values, index, cycle) => {
  const axis = chart.axes[index];
  if (cycle > 1) return axis._size;
  chart.ctx.font = axis.font[0];
  const widths = (values ?? []).map((value) => chart.ctx.measureText(value).width / devicePixelRatio);
  return Math.ceil(axis.ticks.size + axis.gap + Math.max(0, ...widths)) + 8;
};
const xScales = {
  log: { distr: 3, range: (_, low, high) => [low / (high / low) ** 0.02, high * (high / low) ** 0.02] },
  linear: { distr: 1, range: (_, low, high) => [low - (high - low) * 0.02, high + (high - low) * 0.02] },
  category: { distr: 1, range: (_, low, high) => [low - 0.5, high + 0.5] },
};
const xValues = {
  log: (_, splits) => splits.map((value) => (value === null ? '' : powerText(value))),
  category: (data) => (_, splits) => splits.map((at) => data.labels[at] ?? ''),
};
function drawCurve(frame) {
  const data = JSON.parse(frame.querySelector('script').textContent);
  const tip = frame.parentElement.querySelector('.tip');
  const colour = (name) => getComputedStyle(frame).getPropertyValue(name);
  const x = data.scale === 'category' ? data.labels.map((_, i) => i) : data.x;
  const line = (name, width) => ({ stroke: () => colour(name), width, points: { show: false } });
  const edge = { width: 0, points: { show: false } };
  const isCurve = data.kind === 'curve';
  const mean = { ...line('--accent', isCurve ? 2 : 0) };
  mean.points = { show: true, size: data.x.length > 60 ? 3 : 6, width: 0, fill: () => colour('--accent') };
  const folds = data.folds.map(() => isCurve ? line('--fold', 1)
    : { width: 0, points: { show: true, size: 4, width: 1, stroke: () => colour('--fold') } });
  const axis = (label) => ({
    label, labelSize: 22, labelFont: '12px system-ui, sans-serif', stroke: () => colour('--muted'),
    ticks: { stroke: () => colour('--line-strong'), size: 4 },
    grid: { show: false },
  });
  const below = axis(data.axis + (data.scale === 'log' ? ' (log scale)' : ''));
  below.size = 30;
  if (data.scale === 'log') below.values = xValues.log;
  if (data.scale === 'category') Object.assign(below, { values: xValues.category(data), incrs: [1, 2, 5, 10, 20, 50, 100] });
  const beside = { ...axis(data.metric), size: axisWidth };
  beside.grid = { stroke: () => colour('--line'), width: 1 };
  const sizeOf = (width) => ({ width, height: width > 560 ? 380 : 300 });
  let chart;
  const best = data.best;
  function mark() {
    const { ctx, bbox } = chart;
    const at = (i, value) => [chart.valToPos(x[i], 'x', true), chart.valToPos(value, 'y', true)];
    ctx.save();
    if (!isCurve) {
      ctx.strokeStyle = colour('--accent');
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.beginPath();
      for (const [i, low] of data.low.entries()) {
        if (low === null) continue;
        ctx.moveTo(...at(i, low));
        ctx.lineTo(...at(i, data.high[i]));
      }
      ctx.stroke();
    }
    if (best >= 0) {
      const [left, top] = at(best, data.mean[best]);
      ctx.strokeStyle = ctx.fillStyle = colour('--best');
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.arc(left, top, 5 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
      const share = (left - bbox.left) / bbox.width;
      ctx.textAlign = share > 0.8 ? 'right' : share < 0.2 ? 'left' : 'center';
      ctx.textBaseline = 'bottom';
      ctx.font = '600 ' + 12 * devicePixelRatio + 'px system-ui, sans-serif';
      ctx.fillText('best: ' + data.axis + ' ' + data.labels[best], left, bbox.top - 4 * devicePixelRatio);
    }
    ctx.restore();
  }
  const say = () => {
    const at = chart?.cursor.idx ?? best;
    tip.textContent = data.tips[at] ?? '';
  };
  const create = (width) => new uPlot({
    ...sizeOf(width),
    padding: [26, 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    scales: { x: { time: false, ...xScales[data.scale] }, y: {} },
    axes: [below, beside],
    series: [{}, edge, edge, mean, ...folds],
    bands: isCurve ? [{ series: [2, 1], fill: () => colour('--band') }] : [],
    hooks: { draw: [(made) => { chart = made; mark(); }], setCursor: [say] },
  }, [x, data.low, data.high, data.mean, ...data.folds], frame);
  // A figure that is hidden has no width: it is drawn when it is first seen.
  new ResizeObserver(([{ contentRect: { width } }]) => {
    if (width === 0) return;
    if (chart) chart.setSize(sizeOf(width));
    else {
      chart = create(width);
      spread();
    }
  }).observe(frame);
  function spread() {
    const hasFolds = !document.querySelector('input[name="view"][value="mean"]')?.checked;
    if (isCurve) for (const at of [1, 2]) chart.setSeries(at, { show: hasFolds });
    for (const at of data.folds.keys()) chart.setSeries(at + 4, { show: hasFolds });
  }
  frame.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !chart) return;
    event.preventDefault();
    const next = Math.min(x.length - 1, Math.max(0, (chart.cursor.idx ?? best) + step));
    chart.setCursor({ left: chart.valToPos(x[next], 'x'), top: 0 });
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => chart?.redraw());
  for (const input of all('input[name="view"]')) input.addEventListener('change', () => chart && spread());
  frame.querySelector('.note')?.remove();
  say();
}
for (const frame of all('.chart')) drawCurve(frame);
`;
