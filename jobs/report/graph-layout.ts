/**
 * Layered drawing of a small directed graph, inputs above consumers, by dagre (Gansner, Koutsofios,
 * North and Vo 1993). Invariant: boxes never overlap, and the same graph always gets the same
 * drawing.
 */
import { Graph, layout } from '@dagrejs/dagre';

export interface GraphBox {
  readonly width: number;
  readonly height: number;
}

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
}

export interface PlacedBox {
  /** Left and top. @units px */
  readonly x: number;
  readonly y: number;
}

export interface GraphLayout {
  readonly boxes: readonly PlacedBox[];
  /** Per edge, the points it passes from the middle of a side of `from` to one of `to`. */
  readonly routes: readonly (readonly (readonly [number, number])[])[];
  readonly width: number;
  readonly height: number;
}

const GAPS = { nodesep: 22, ranksep: 40, edgesep: 10 };

/** Places `boxes` joined by `edges`; edges that close a cycle are drawn against the flow. */
export function layoutGraph(boxes: readonly GraphBox[], edges: readonly GraphEdge[]): GraphLayout {
  if (boxes.length === 0) return { boxes: [], routes: [], width: 0, height: 0 };
  const graph = new Graph({ multigraph: true });
  graph.setGraph(GAPS);
  for (const [i, box] of boxes.entries()) graph.setNode(String(i), { ...box });
  for (const [i, { from, to }] of edges.entries()) {
    graph.setEdge(String(from), String(to), {}, String(i));
  }
  layout(graph);
  const placed = boxes.map((box, i) => {
    const { x, y } = graph.node(String(i));
    return { ...box, x: x - box.width / 2, y: y - box.height / 2 };
  });
  const routes = edges.map(({ from, to }, i): [number, number][] => {
    const edge = graph.edge(String(from), String(to), String(i));
    const points = edge.points as readonly { readonly x: number; readonly y: number }[];
    const [source, target] = [placed[from]!, placed[to]!];
    const isDown = source.y < target.y;
    const side = (box: typeof source, isBelow: boolean): [number, number] => [
      box.x + box.width / 2,
      box.y + (isBelow ? box.height : 0),
    ];
    const bends = points.slice(1, -1).map(({ x, y }): [number, number] => [x, y]);
    return [side(source, isDown), ...bends, side(target, !isDown)];
  });
  // The library's own width leaves out bends beside the boxes.
  const bends = routes.flat().map(([x]) => x);
  const left = Math.min(...placed.map(({ x }) => x), ...bends);
  const right = Math.max(...placed.map(({ x, width }) => x + width), ...bends);
  return {
    boxes: placed.map(({ x, y }) => ({ x: x - left, y })),
    routes: routes.map((route) => route.map(([x, y]): [number, number] => [x - left, y])),
    width: right - left,
    height: (graph.graph() as { readonly height: number }).height,
  };
}
