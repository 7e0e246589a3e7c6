/**
 * Layered drawing of a small directed graph, inputs above consumers. Invariant: boxes of one layer
 * never overlap and keep the order chosen for few crossings; the same graph always gets the same
 * drawing. Method: Sugiyama, Tagawa and Toda (1981): break cycles, layer, order by barycentres,
 * place. Placement minimises the squared distance to the neighbours under the layer's order, which
 * is isotonic regression (pool adjacent violators).
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
const GAP_Y = 40;
const BEND_WIDTH = 10;
const ORDER_SWEEPS = 12;
const PLACE_SWEEPS = 40;
const STRAIGHTEN_SWEEPS = 3;
/** Pull of an edge by how many of its ends are bends (Gansner, Koutsofios, North and Vo 1993). */
const EDGE_WEIGHTS = [1, 2, 8];

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
  straighten(vertices, layers, chains);
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
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const wanted = layer.map((i) => pull(vertices, vertices[i] as Vertex));
      spread(vertices, layer, wanted);
    }
  }
}

interface Pull {
  readonly x: number;
  readonly weight: number;
}

/** Where its neighbours want a vertex. Bend to bend weighs most, so that long edges run straight. */
function pull(vertices: readonly Vertex[], vertex: Vertex): Pull {
  let sum = 0;
  let weight = 0;
  for (const j of [...vertex.above, ...vertex.below]) {
    const near = vertices[j] as Vertex;
    const bends = Number(isBend(vertex)) + Number(isBend(near));
    const strength = EDGE_WEIGHTS[bends] ?? 1;
    sum += strength * near.x;
    weight += strength;
  }
  return weight === 0 ? { x: vertex.x, weight: 0.1 } : { x: sum / weight, weight };
}

function isBend(vertex: Vertex): boolean {
  return vertex.height === 0;
}

/** The positions nearest to `wanted`, in weighted least squares, that keep order and distance. */
function spread(
  vertices: readonly Vertex[],
  layer: readonly number[],
  wanted: readonly Pull[],
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
  for (const [at, { x, weight }] of wanted.entries()) {
    const pool = { sum: weight * (x - (offsets[at] as number)), weight, size: 1 };
    let last = pools.at(-1);
    while (last && last.sum / last.weight >= pool.sum / pool.weight) {
      pools.pop();
      pool.sum += last.sum;
      pool.weight += last.weight;
      pool.size += last.size;
      last = pools.at(-1);
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

/**
 * Puts the bends of each edge on as few verticals as their neighbours leave room for. Least squares
 * spreads a sideways move over all layers, which draws a staircase; one move reads better.
 */
function straighten(
  vertices: readonly Vertex[],
  layers: readonly (readonly number[])[],
  chains: readonly (readonly number[])[],
): void {
  const position = positions(layers);
  const room = (i: number): [number, number] => {
    const vertex = vertices[i] as Vertex;
    const at = position.get(i) as number;
    const before = vertices[layers[vertex.layer]?.[at - 1] ?? -1];
    const after = vertices[layers[vertex.layer]?.[at + 1] ?? -1];
    const gap = GAP_X + vertex.width / 2;
    return [
      before ? before.x + before.width / 2 + gap : Number.NEGATIVE_INFINITY,
      after ? after.x - after.width / 2 - gap : Number.POSITIVE_INFINITY,
    ];
  };
  for (let sweep = 0; sweep < STRAIGHTEN_SWEEPS; sweep++) {
    for (const chain of chains) {
      const bends = chain.slice(1, -1);
      for (let first = 0; first < bends.length; ) {
        let [low, high] = room(bends[first] as number);
        let next = first + 1;
        for (; next < bends.length; next++) {
          const [left, right] = room(bends[next] as number);
          if (Math.max(low, left) > Math.min(high, right)) break;
          low = Math.max(low, left);
          high = Math.min(high, right);
        }
        const run = bends.slice(first, next);
        const wanted = run.reduce((sum, i) => sum + (vertices[i] as Vertex).x, 0) / run.length;
        const x = Math.min(Math.max(wanted, low), high);
        for (const i of run) (vertices[i] as Vertex).x = x;
        first = next;
      }
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
  const heights = layers.map((layer) => Math.max(...layer.map((i) => vertices[i]?.height ?? 0)));
  const routes = chains.map((chain, index) => {
    const points = chain.flatMap((i, at): [number, number][] => {
      const vertex = vertices[i] as Vertex;
      const x = vertex.x - left;
      if (at === 0) return [[x, top(vertex) + vertex.height]];
      if (at === chain.length - 1) return [[x, top(vertex)]];
      // Straight past the boxes of the layer.
      return [
        [x, top(vertex)],
        [x, top(vertex) + (heights[vertex.layer] as number)],
      ];
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
