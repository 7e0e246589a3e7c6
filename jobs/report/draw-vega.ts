/** Vega-Lite to SVG text as Vega writes it. Vega takes a third of a second to load, so this module is loaded on first use. */
import type * as Vega from 'vega';
import type * as VegaLite from 'vega-lite';
import type { TopLevelSpec } from 'vega-lite';
import { loadPackage } from '../../driver/support/load-package.js';

const { Error: errorsOnly, logger, parse, View } = loadPackage('vega') as typeof Vega;
const { compile } = loadPackage('vega-lite') as typeof VegaLite;

/** @throws what Vega throws for a specification it refuses */
export async function drawVega(spec: TopLevelSpec): Promise<string> {
  const compiled = compile(spec, { logger: logger(errorsOnly) }).spec;
  const view = new View(parse(compiled), { renderer: 'none', logLevel: errorsOnly });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}
