/**
 * Vega-Lite to SVG text with no browser. Invariant: the result uses only colours given as CSS variables, has no
 * script, style attribute or external reference, and its numbers are rounded to a tenth of a pixel.
 */
import type { TopLevelSpec } from 'vega-lite';
import { ExecutionError } from '../../driver/errors.js';
import { drawSvg, isDrawingPrepared } from './drawing-ahead.js';
import { keptDrawings } from './kept-drawing.js';
import { escapeHtml, type Markup, raw } from './markup.js';

/**
 * Draws charts, in order.
 * @param label what they show, for readers who cannot see it
 * @throws ExecutionError when Vega refuses a specification
 */
export async function chartSvgs(specs: readonly TopLevelSpec[], label: string): Promise<Markup[]> {
  const drawAll = (): Promise<string[]> => Promise.all(specs.map((spec) => draw(spec, label)));
  const svgs = await keptDrawings({ specs, label }, drawAll, { isNew: isDrawingPrepared() });
  return svgs.map(raw);
}

async function draw(spec: TopLevelSpec, label: string): Promise<string> {
  try {
    return tidy(await drawSvg(spec), label);
  } catch (cause) {
    throw new ExecutionError(
      `report: expected Vega to draw the chart "${label}", got ${cause instanceof Error ? cause.message : String(cause)}; please report it with the run's result.json`,
      { op: 'chart' },
      { cause },
    );
  }
}

/** Drops what a static picture does not need and turns the points' descriptions into tooltips. */
function tidy(svg: string, label: string): string {
  return (
    svg
      .replace(
        /<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="point"([^>]*)\/>/g,
        '<path$2><title>$1</title></path>',
      )
      .replace(/<path class="(?:background|foreground)"[^>]*\/>/g, '')
      .replace(/<text[^>]* opacity="0"[^>]*>[^<]*<\/text>/g, '')
      .replace(/<(?:line|path)[^>]* opacity="0"[^>]*\/>/g, '')
      .replace(/<text[^>]*\/>/g, '')
      // Vega escapes `<` and `>` in text and attributes, so this matches tags and nothing else.
      .replace(/<[^>]*>/g, tidyTag)
      .replace(/^<svg /, `<svg role="img" aria-label="${escapeHtml(label)}" `)
  );
}

function tidyTag(tag: string): string {
  return tag
    .replace(/ (?:aria-[a-z]+|role|class|pointer-events|xmlns:xlink)="[^"]*"/g, '')
    .replace(/ (?:opacity|stroke-width)="1"/g, '')
    .replace(/ (?:d|transform|[xy][12]?)="[^"]*"/g, (attribute) =>
      attribute.replace(/-?\d+\.\d{2,}/g, (number) => String(Math.round(Number(number) * 10) / 10)),
    );
}
