/** Vega-Lite to SVG text as Vega writes it. Vega takes a third of a second to load, so this module is loaded on first use. */
import { Error as errorsOnly, logger, parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** @throws what Vega throws for a specification it refuses */
export async function drawVega(spec: TopLevelSpec): Promise<string> {
  const compiled = compile(spec, { logger: logger(errorsOnly) }).spec;
  const view = new View(parse(compiled), { renderer: 'none', logLevel: errorsOnly });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}
