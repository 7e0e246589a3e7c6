/**
 * Layered drawing of a small directed graph, inputs above consumers. Invariant: boxes of one layer never overlap and
 * keep the order chosen for few crossings; the same graph always gets the same drawing.
 * Method: Sugiyama, Tagawa and Toda (1981): break cycles, layer, order by barycentres, place. Placement minimises the
 * squared distance to the neighbours under the layer's order, which is isotonic regression (pool adjacent violators).
 */

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
  /** Per edge, the points it passes from the consumer-facing side of `from` to the input side of `to`. */
  readonly routes: readonly (readonly (readonly [number, number])[])[];
  readonly width: number;
  readonly height: number;
}

interface Vertex {
  readonly width: number;
  readonly height: number;
  layer: number;
  /** Centre. @units px */
  x: number;
  readonly above: number[];
  readonly below: number[];
}

const GAP_X = 22;
const GAP_Y = 46;
const BEND_WIDTH = 10;
const ORDER_SWEEPS = 12;
const PLACE_SWEEPS = 16;

/** Places `boxes` joined by `edges`; edges that close a cycle are drawn against the flow. */
export function layoutGraph(boxes: readonly GraphBox[], edges: readonly GraphEdge[]): GraphLayout {
  if (boxes.length === 0) return { boxes: [], routes: [], width: 0, height: 0 };
  const flow = withoutCycles(boxes.length, edges);
  const layerOf = assignLayers(boxes.length, flow);
  const vertices: Vertex[] = boxes.map((box, i) => ({
    ...box,
    layer: layerOf[i] as number,
    x: 0,
    above: [],
    below: [],
  }));
  const chains = flow.map((edge) => addBends(vertices, edge));
  const layers = orderLayers(vertices);
  place(vertices, layers);
  return draw(vertices, layers, boxes.length, chains, edges, flow);
}

/** The edges with those that close a cycle turned round (depth-first search from the first boxes). */
function withoutCycles(count: number, edges: readonly GraphEdge[]): GraphEdge[] {
  const out: number[][] = Array.from({ length: count }, () => []);
  for (const [i, edge] of edges.entries()) out[edge.from]?.push(i);
  const state = new Int8Array(count);
  const turned = new Set<number>();
  for (let root = 0; root < count; root++) {
    if (state[root] !== 0) continue;
    const stack: { box: number; next: number }[] = [{ box: root, next: 0 }];
    state[root] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as { box: number; next: number };
      const index = out[top.box]?.[top.next++];
      if (index === undefined) {
        state[top.box] = 2;
        stack.pop();
        continue;
      }
      const target = (edges[index] as GraphEdge).to;
      if (state[target] === 1) turned.add(index);
      else if (state[target] === 0) {
        state[target] = 1;
        stack.push({ box: target, next: 0 });
      }
    }
  }
  return edges.map((edge, i) => (turned.has(i) ? { from: edge.to, to: edge.from } : edge));
}

/** Longest-path layers, then leaves and forks are pulled down to their consumers, which shortens edges. */
function assignLayers(count: number, edges: readonly GraphEdge[]): Int32Array {
  const inputs: number[][] = Array.from({ length: count }, () => []);
  const outputs: number[][] = Array.from({ length: count }, () => []);
  for (const { from, to } of edges) {
    inputs[to]?.push(from);
    outputs[from]?.push(to);
  }
  const waiting = inputs.map((list) => list.length);
  const order = waiting.flatMap((left, i) => (left === 0 ? [i] : []));
  const layer = new Int32Array(count);
  for (let next = 0; next < order.length; next++) {
    const box = order[next] as number;
    for (const consumer of outputs[box] ?? []) {
      layer[consumer] = Math.max(layer[consumer] as number, (layer[box] as number) + 1);
      waiting[consumer] = (waiting[consumer] as number) - 1;
      if (waiting[consumer] === 0) order.push(consumer);
    }
  }
  for (const box of order.reverse()) {
    const consumers = outputs[box] ?? [];
    if (consumers.length === 0 || (inputs[box] ?? []).length >= consumers.length) {
      if (consumers.length === 0 || (inputs[box] ?? []).length > 0) continue;
    }
    layer[box] = Math.min(...consumers.map((consumer) => layer[consumer] as number)) - 1;
  }
  return layer;
}

/** Splits an edge over several layers into unit steps through narrow bends; returns its vertices in order. */
function addBends(vertices: Vertex[], edge: GraphEdge): number[] {
  const chain = [edge.from];
  const last = (vertices[edge.to] as Vertex).layer;
  for (let layer = (vertices[edge.from] as Vertex).layer + 1; layer < last; layer++) {
    chain.push(vertices.length);
    vertices.push({ width: BEND_WIDTH, height: 0, layer, x: 0, above: [], below: [] });
  }
  chain.push(edge.to);
  for (let i = 1; i < chain.length; i++) {
    const from = chain[i - 1] as number;
    const to = chain[i] as number;
    vertices[from]?.below.push(to);
    vertices[to]?.above.push(from);
  }
  return chain;
}

/** Orders each layer by the mean position of its neighbours, sweeping down and up, keeping the fewest crossings. */
function orderLayers(vertices: readonly Vertex[]): number[][] {
  const depth = Math.max(...vertices.map((vertex) => vertex.layer)) + 1;
  let layers: number[][] = Array.from({ length: depth }, () => []);
  for (const [i, vertex] of vertices.entries()) layers[vertex.layer]?.push(i);
  let best = layers;
  let fewest = crossings(vertices, layers);
  for (let sweep = 0; sweep < ORDER_SWEEPS && fewest > 0; sweep++) {
    const down = sweep % 2 === 0;
    const next = layers.map((layer) => [...layer]);
    const position = positions(next);
    for (let step = 1; step < depth; step++) {
      const layer = next[down ? step : depth - 1 - step] as number[];
      const centre = new Map(
        layer.map((i) => {
          const vertex = vertices[i] as Vertex;
          const near = down ? vertex.above : vertex.below;
          const sum = near.reduce((total, j) => total + (position.get(j) as number), 0);
          return [i, near.length === 0 ? (position.get(i) as number) : sum / near.length];
        }),
      );
      layer.sort((a, b) => (centre.get(a) as number) - (centre.get(b) as number));
      for (const [at, i] of layer.entries()) position.set(i, at);
    }
    layers = next;
    const count = crossings(vertices, layers);
    if (count < fewest) {
      fewest = count;
      best = layers;
    }
  }
  return best;
}

function positions(layers: readonly (readonly number[])[]): Map<number, number> {
  return new Map(layers.flatMap((layer) => layer.map((i, at): [number, number] => [i, at])));
}

function crossings(vertices: readonly Vertex[], layers: readonly (readonly number[])[]): number {
  const position = positions(layers);
  let total = 0;
  for (const layer of layers) {
    const ends: number[] = [];
    for (const i of layer) {
      const below = (vertices[i] as Vertex).below.map((j) => position.get(j) as number);
      ends.push(...below.sort((a, b) => a - b));
    }
    for (let a = 0; a < ends.length; a++) {
      for (let b = a + 1; b < ends.length; b++)
        if ((ends[a] as number) > (ends[b] as number)) total++;
    }
  }
  return total;
}

/** Moves every vertex towards its neighbours, layer by layer, without overlaps. */
function place(vertices: readonly Vertex[], layers: readonly (readonly number[])[]): void {
  for (const layer of layers) {
    let x = 0;
    for (const i of layer) {
      const vertex = vertices[i] as Vertex;
      vertex.x = x + vertex.width / 2;
      x += vertex.width + GAP_X;
    }
    for (const i of layer) (vertices[i] as Vertex).x -= x / 2;
  }
  for (let sweep = 0; sweep < PLACE_SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const wanted = layer.map((i) => {
        const vertex = vertices[i] as Vertex;
        const primary = down ? vertex.above : vertex.below;
        const near = sweep >= PLACE_SWEEPS - 4 ? [...vertex.above, ...vertex.below] : primary;
        if (near.length === 0) return vertex.x;
        return near.reduce((sum, j) => sum + (vertices[j] as Vertex).x, 0) / near.length;
      });
      spread(vertices, layer, wanted);
    }
  }
}

/** The positions nearest to `wanted`, in least squares, that keep order and distance. */
function spread(
  vertices: readonly Vertex[],
  layer: readonly number[],
  wanted: readonly number[],
): void {
  const offsets: number[] = [];
  let offset = 0;
  for (const [at, i] of layer.entries()) {
    const vertex = vertices[i] as Vertex;
    const before = vertices[layer[at - 1] ?? -1];
    if (before) offset += before.width / 2 + GAP_X + vertex.width / 2;
    offsets.push(offset);
  }
  const pools: { sum: number; weight: number; size: number }[] = [];
  for (const [at, i] of layer.entries()) {
    // Bends weigh more, so that long edges run straight.
    const weight = (vertices[i] as Vertex).width === BEND_WIDTH ? 4 : 1;
    let pool = {
      sum: weight * ((wanted[at] as number) - (offsets[at] as number)),
      weight,
      size: 1,
    };
    for (
      let last = pools.at(-1);
      last && last.sum / last.weight >= pool.sum / pool.weight;
      last = pools.at(-1)
    ) {
      pools.pop();
      pool = {
        sum: pool.sum + last.sum,
        weight: pool.weight + last.weight,
        size: pool.size + last.size,
      };
    }
    pools.push(pool);
  }
  let at = 0;
  for (const pool of pools) {
    for (let k = 0; k < pool.size; k++, at++) {
      const vertex = vertices[layer[at] as number] as Vertex;
      vertex.x = pool.sum / pool.weight + (offsets[at] as number);
    }
  }
}

function draw(
  vertices: readonly Vertex[],
  layers: readonly (readonly number[])[],
  boxCount: number,
  chains: readonly (readonly number[])[],
  edges: readonly GraphEdge[],
  flow: readonly GraphEdge[],
): GraphLayout {
  const left = Math.min(...vertices.map((vertex) => vertex.x - vertex.width / 2));
  const right = Math.max(...vertices.map((vertex) => vertex.x + vertex.width / 2));
  const tops: number[] = [];
  let y = 0;
  for (const layer of layers) {
    tops.push(y);
    y += Math.max(...layer.map((i) => (vertices[i] as Vertex).height)) + GAP_Y;
  }
  const top = (vertex: Vertex): number => tops[vertex.layer] as number;
  const routes = chains.map((chain, index) => {
    const points = chain.map((i, at): [number, number] => {
      const vertex = vertices[i] as Vertex;
      const below = at === 0 ? vertex.height : 0;
      return [vertex.x - left, top(vertex) + below];
    });
    return edges[index]?.from === flow[index]?.from ? points : points.reverse();
  });
  return {
    boxes: vertices
      .slice(0, boxCount)
      .map((vertex) => ({ x: vertex.x - left - vertex.width / 2, y: top(vertex) })),
    routes,
    width: right - left,
    height: y - GAP_Y,
  };
}
