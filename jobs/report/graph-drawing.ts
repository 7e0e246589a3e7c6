/** A graph as SVG: boxes where the layout puts them, and arrows between. */
import { type GraphBox, type GraphEdge, layoutGraph } from './graph-layout.js';
import { html, type Markup } from './markup.js';

const MARGIN = 10;

export interface DrawnGraph {
  /** Of the drawing in its page. */
  readonly id: string;
  /** What it shows, for those who can't see it. */
  readonly label: string;
  readonly boxes: readonly (GraphBox & {
    /** The box at its place. @units px */
    readonly at: (x: number, y: number) => Markup;
  })[];
  readonly edges: readonly (GraphEdge & { readonly title: string })[];
}

export function graphDrawing({ id, label, boxes, edges }: DrawnGraph): Markup {
  const layout = layoutGraph(boxes, edges);
  const width = Math.ceil(layout.width + 2 * MARGIN);
  const height = Math.ceil(layout.height + 2 * MARGIN);
  const lines = edges.map(
    ({ title }, i) =>
      html`<path d="${route(layout.routes[i] ?? [])}" marker-end="url(#arrow)"><title>${title}</title></path>`,
  );
  const drawn = boxes.map((box, i) => {
    const { x, y } = layout.boxes[i] ?? { x: 0, y: 0 };
    return box.at(Math.round(x + MARGIN), Math.round(y + MARGIN));
  });
  return html`<svg id="${id}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0.5 0.5 7.5 4 0.5 7.5z"/></marker></defs>
<g class="edges">${lines}</g>
<g class="boxes">${drawn}</g>
</svg>`;
}

/** A path through the points, entering and leaving each vertically. */
function route(points: readonly (readonly [number, number])[]): string {
  const at = points.map(([x, y]) => [Math.round(x + MARGIN), Math.round(y + MARGIN)] as const);
  let text = '';
  for (const [i, [x, y]] of at.entries()) {
    const before = at[i - 1];
    if (before === undefined) {
      text = `M${x} ${y}`;
      continue;
    }
    const half = Math.round((before[1] + y) / 2);
    text += before[0] === x ? `L${x} ${y}` : `C${before[0]} ${half} ${x} ${half} ${x} ${y}`;
  }
  return text;
}
