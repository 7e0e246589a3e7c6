/**
 * The Vega-Lite specification of a validation curve. Invariant: names from the run enter as data or titles only,
 * never as field names or expressions, so no name can change what is drawn. Marks have no generated description
 * (`aria: false`), since Vega-Lite would write titles into an expression. Colours are CSS variables of the page.
 */
import type { TopLevelSpec } from 'vega-lite';
import { formatParam } from './format.js';

export interface CurvePoint {
  readonly x: number | string | boolean | null;
  /** `x` as text. */
  readonly label: string;
  /** Null where no fold gave a score. */
  readonly mean: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** Mean and spread as text. */
  readonly text: string;
  readonly best: boolean;
  readonly tip: string;
}

export interface CurveData {
  readonly metric: string;
  /** The parameter along x. */
  readonly axis: string;
  readonly scale: 'log' | 'linear' | 'category';
  /** `curve`: a line with a band; `points`: single values with error bars. */
  readonly kind: 'curve' | 'points';
  readonly points: readonly CurvePoint[];
  readonly folds: readonly {
    readonly x: CurvePoint['x'];
    readonly label: string;
    readonly fold: number;
    readonly score: number | null;
  }[];
}

export interface CurveOptions {
  readonly size: 'wide' | 'narrow';
  readonly withFolds: boolean;
}

const sizes = {
  wide: { width: 940, height: 380, font: 12 },
  narrow: { width: 360, height: 300, font: 11 },
} as const;

/** The specification of one drawing. */
export function curveSpec(data: CurveData, options: CurveOptions): TopLevelSpec {
  const { width, height, font } = sizes[options.size];
  const gaps = 'break-paths-show-path-domains' as const;
  const x = xEncoding(data, options.size);
  const y = {
    type: 'quantitative' as const,
    scale: { zero: false, nice: true },
    title: `${data.metric} (greater is better)`,
  };
  const points = { values: data.points.map((point) => ({ ...point })) };
  const isCurve = data.kind === 'curve';
  const best = data.points.find((point) => point.best);
  const layers: object[] = [];
  if (isCurve && options.withFolds) {
    layers.push({
      data: points,
      mark: { type: 'area', fill: 'var(--band)', invalid: gaps },
      encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
    });
  }
  if (options.withFolds && data.folds.length > 0) {
    layers.push({
      data: { values: data.folds.map((fold) => ({ ...fold })) },
      mark: isCurve
        ? { type: 'line', stroke: 'var(--fold)', strokeWidth: 1, invalid: gaps }
        : { type: 'tick', color: 'var(--fold)', thickness: 1.5, size: 22, orient: 'horizontal' },
      encoding: { x, y: { ...y, field: 'score' }, detail: { field: 'fold' } },
    });
  }
  if (isCurve) {
    layers.push({
      data: points,
      mark: { type: 'line', stroke: 'var(--accent)', strokeWidth: 2, invalid: gaps },
      encoding: { x, y: { ...y, field: 'mean' } },
    });
  } else {
    layers.push({
      data: points,
      mark: { type: 'rule', stroke: 'var(--accent)', strokeWidth: 2 },
      encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
    });
  }
  layers.push({
    data: points,
    mark: {
      type: 'point',
      filled: true,
      fill: 'var(--accent)',
      size: isCurve && data.points.length > 60 ? 8 : 26,
      opacity: 1,
    },
    encoding: { x, y: { ...y, field: 'mean' }, description: { field: 'tip' } },
  });
  if (best) layers.push(...bestLayers(best, data, x, y, font));
  return {
    width,
    height,
    autosize: { type: 'fit', contains: 'padding' },
    padding: { left: 4, right: 14, top: 20, bottom: 4 },
    background: 'transparent',
    layer: layers,
    config: theme(font),
  } as TopLevelSpec;
}

/** A line down from the top at the best value, its label, and a ring around its mean. */
function bestLayers(
  best: CurvePoint,
  data: CurveData,
  x: object,
  y: object,
  font: number,
): object[] {
  const at = { values: [{ ...best, caption: `best: ${data.axis} ${best.label}` }] };
  const place = data.points.indexOf(best) / Math.max(1, data.points.length - 1);
  const align = place > 0.8 ? 'right' : place < 0.2 ? 'left' : 'center';
  return [
    {
      data: at,
      mark: { type: 'rule', stroke: 'var(--best)', strokeDash: [3, 3], strokeWidth: 1 },
      encoding: { x },
    },
    {
      data: at,
      mark: {
        type: 'text',
        baseline: 'bottom',
        align,
        dy: -5,
        fill: 'var(--best)',
        fontSize: font,
        fontWeight: 600,
      },
      encoding: {
        x,
        y: { value: 0 },
        text: { field: 'caption' },
      },
    },
    {
      data: at,
      mark: {
        type: 'point',
        filled: true,
        fill: 'var(--best)',
        stroke: 'var(--surface)',
        strokeWidth: 2,
        size: 90,
        opacity: 1,
      },
      encoding: { x, y: { ...y, field: 'mean' }, description: { field: 'tip' } },
    },
  ];
}

function xEncoding(data: CurveData, size: CurveOptions['size']): object {
  if (data.scale === 'category' || data.kind === 'points') {
    return {
      field: 'label',
      type: 'ordinal',
      sort: null,
      scale: { type: 'point', padding: 0.5, domain: [...new Set(data.points.map((p) => p.label))] },
      axis: { title: data.axis, labelAngle: 0, labelOverlap: true, grid: false },
    };
  }
  if (data.scale === 'linear') {
    return {
      field: 'x',
      type: 'quantitative',
      scale: { zero: false, nice: false, padding: 8 },
      axis: { title: data.axis, grid: false, tickCount: size === 'wide' ? 10 : 5 },
    };
  }
  const xs = data.points.map((point) => Number(point.x));
  const ticks = powersOfTen(Math.min(...xs), Math.max(...xs), size === 'wide' ? 12 : 6);
  return {
    field: 'x',
    type: 'quantitative',
    scale: { type: 'log', nice: false, padding: 8 },
    axis: {
      title: `${data.axis} (log scale)`,
      grid: false,
      ...(ticks.length > 1 ? { values: ticks, labelExpr: powerLabels(ticks) } : { tickCount: 5 }),
    },
  };
}

/** The powers of ten within the range, at most `most` of them. */
function powersOfTen(low: number, high: number, most: number): number[] {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / most));
  const powers: number[] = [];
  for (let power = first; power <= last; power += step) powers.push(Number(`1e${power}`));
  return powers;
}

/** A Vega expression that looks the label of a tick up; plain numbers near 1, powers otherwise. */
function powerLabels(ticks: readonly number[]): string {
  const digits = '⁰¹²³⁴⁵⁶⁷⁸⁹';
  const plain = ticks.every((tick) => tick >= 1e-3 && tick <= 1e4);
  const labels = ticks.map((tick) => {
    if (plain) return formatParam(tick);
    const power = Math.round(Math.log10(tick));
    const raised = [...String(Math.abs(power))].map((digit) => digits[Number(digit)]).join('');
    return `10${power < 0 ? '⁻' : ''}${raised}`;
  });
  const first = Math.round(Math.log10(ticks[0] ?? 1));
  const step = Math.round(Math.log10(ticks[1] ?? 10)) - first;
  return `${JSON.stringify(labels)}[round((log(datum.value) / LN10 - ${first}) / ${step})]`;
}

function theme(font: number): object {
  return {
    font: 'inherit',
    view: { stroke: null },
    mark: { aria: false },
    point: { aria: true },
    axis: {
      aria: false,
      labelColor: 'var(--muted)',
      titleColor: 'var(--muted)',
      labelFontSize: font,
      titleFontSize: font,
      titleFontWeight: 500,
      titlePadding: 10,
      gridColor: 'var(--line)',
      domainColor: 'var(--line-strong)',
      tickColor: 'var(--line-strong)',
      tickSize: 4,
      labelPadding: 4,
    },
    axisY: { domain: false, ticks: false, tickCount: 6 },
  };
}
