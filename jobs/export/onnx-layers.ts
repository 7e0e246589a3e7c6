/**
 * Layers of networks as standard operators in float64. Windows over images are gathered, as
 * onnxruntime has no convolution in float64: a convolution is then a product, a pool a reduction.
 */
import {
  ERF_NEAR,
  ERF_OVER,
  ERF_UNDER,
  ERFC_OVER,
  ERFC_UNDER,
} from '../../driver/operators/cell-functions.js';
import { pixelsUnder, placesOf, tapsOf, windowOf } from '../../driver/operators/image-window.js';
import {
  type Activation,
  layerShape,
  type NetworkLayer,
  type Over,
} from '../estimators/networks/layers.js';
import { type StoredLayer, withAllChannels } from '../estimators/networks/stored-layers.js';
import type { Graph } from './onnx-graph.js';

const ACTIVATION_OPS: Readonly<Record<Exclude<Activation, 'gelu'>, string | undefined>> = {
  identity: undefined,
  logistic: 'Sigmoid',
  tanh: 'Tanh',
  relu: 'Relu',
};

/** What goes into the layers, then what each makes of it. */
export function layerValues(graph: Graph, layers: readonly StoredLayer[], first: string): string[] {
  const values = [first];
  for (const layer of layers)
    values.push(layerValue(graph, withAllChannels(layer), values.at(-1)!));
  return values;
}

/** NaN where what went into the layers is: max(NaN, 0) may be 0. */
export function nanGuarded(graph: Graph, value: string, first: string): string {
  if (value === first) return value;
  const sum = graph.node('ReduceSum', [first, graph.ints([1])], { keepdims: 1 });
  const guard = graph.node('Mul', [sum, graph.doubles([0], [1, 1])]);
  return graph.node('Add', [value, guard]);
}

function layerValue(
  graph: Graph,
  { layer, cells }: ReturnType<typeof withAllChannels>,
  x: string,
): string {
  const shape = layerShape(layer);
  const rowsOf = (from: number, to: number): string => {
    const cols = shape![1];
    return graph.doubles(cells!.subarray(from * cols, to * cols), [to - from, cols]);
  };
  const product = (one: string): string => {
    const last = shape![0] - 1;
    return graph.node('Add', [
      graph.node('MatMul', [one, rowsOf(0, last)]),
      rowsOf(last, last + 1),
    ]);
  };
  switch (layer.kind) {
    case 'dense':
      return product(x);
    case 'activation': {
      if (layer.activation === 'gelu') return gelu(graph, x);
      const op = ACTIVATION_OPS[layer.activation];
      return op === undefined ? x : graph.node(op, [x]);
    }
    case 'scale': {
      const { channels, pixels } = layer;
      const shaped = graph.node('Reshape', [x, graph.ints([-1, channels === 1 ? 1 : channels])]);
      const made = graph.node('Add', [graph.node('Mul', [shaped, rowsOf(0, 1)]), rowsOf(1, 2)]);
      return channels === 1
        ? graph.node('Reshape', [made, graph.node('Shape', [x])])
        : graph.node('Reshape', [made, graph.ints([-1, channels * pixels])]);
    }
    case 'layer_norm': {
      const { channels, pixels, epsilon } = layer;
      const shaped = graph.node('Reshape', [x, graph.ints([-1, channels])]);
      const meansOf = (value: string) =>
        graph.node('ReduceMean', [value, graph.ints([1])], { keepdims: 1 });
      const centred = graph.node('Sub', [shaped, meansOf(shaped)]);
      const variance = meansOf(graph.node('Mul', [centred, centred]));
      const deviation = graph.node('Sqrt', [
        graph.node('Add', [variance, graph.doubles([epsilon], [1, 1])]),
      ]);
      const normal = graph.node('Div', [centred, deviation]);
      const made = graph.node('Add', [graph.node('Mul', [normal, rowsOf(0, 1)]), rowsOf(1, 2)]);
      return graph.node('Reshape', [made, graph.ints([-1, channels * pixels])]);
    }
    case 'conv2d': {
      const { over, filters } = layer;
      const { places, taps } = sizesOf(over);
      const windows = windowsOf(graph, x, over, 0);
      const flat = graph.node('Reshape', [windows, graph.ints([-1, taps * over.image[2]])]);
      return graph.node('Reshape', [product(flat), graph.ints([-1, places * filters])]);
    }
    default:
      return pooled(graph, x, layer);
  }
}

/** x / 2 (1 + erf(x / sqrt(2))) */
function gelu(graph: Graph, x: string): string {
  const number = (value: number): string => graph.doubles([value], [1, 1]);
  const scaled = graph.node('Mul', [x, number(Math.SQRT1_2)]);
  const share = graph.node('Add', [erf(graph, scaled, number), number(1)]);
  return graph.node('Mul', [graph.node('Mul', [x, number(0.5)]), share]);
}

/** As `erfProgram`: onnxruntime has no `Erf` in float64. */
function erf(graph: Graph, a: string, number: (value: number) => string): string {
  const horner = (x: string, [first, ...others]: readonly number[]): string =>
    others.reduce(
      (sum, one) => graph.node('Add', [graph.node('Mul', [sum, x]), number(one)]),
      number(first!),
    );
  const quotient = (x: string, over: readonly number[], under: readonly number[]): string =>
    graph.node('Div', [horner(x, over), horner(x, under)]);
  const size = graph.node('Abs', [a]);
  const square = graph.node('Mul', [a, a]);
  const near = graph.node('Mul', [a, quotient(square, ERF_OVER, ERF_UNDER)]);
  const y = graph.node('Min', [size, number(6)]);
  const bell = graph.node('Exp', [graph.node('Neg', [graph.node('Mul', [y, y])])]);
  const share = graph.node('Mul', [bell, quotient(y, ERFC_OVER, ERFC_UNDER)]);
  const far = graph.node('Mul', [graph.node('Sign', [a]), graph.node('Sub', [number(1), share])]);
  return graph.node('Where', [graph.node('LessOrEqual', [size, number(ERF_NEAR)]), near, far]);
}

function sizesOf(over: Over): { readonly places: number; readonly taps: number } {
  const window = windowOf('layer', over);
  return { places: placesOf(window), taps: tapsOf(window) };
}

/** The cells under each window: [rows, places * taps * channels]; `beyond` outside the image. */
function windowsOf(graph: Graph, x: string, over: Over, beyond: number): string {
  const [height, width, channels] = over.image;
  const cells = height * width * channels;
  const none = graph.node('Expand', [
    graph.doubles([beyond], [1, 1]),
    graph.node(
      'Concat',
      [
        graph.node('Slice', [graph.node('Shape', [x]), graph.ints([0]), graph.ints([1])]),
        graph.ints([1]),
      ],
      { axis: 0 },
    ),
  ]);
  const all = graph.node('Concat', [x, none], { axis: 1 });
  const places = [...pixelsUnder(windowOf('layer', over))].flatMap((pixel) =>
    Array.from({ length: channels }, (_, c) => (pixel < 0 ? cells : pixel * channels + c)),
  );
  return graph.node('Gather', [all, graph.ints(places)], { axis: 1 });
}

function pooled(
  graph: Graph,
  x: string,
  { kind, over }: Extract<NetworkLayer, { readonly kind: 'max_pool' | 'avg_pool' }>,
): string {
  const channels = over.image[2];
  const { places, taps } = sizesOf(over);
  const isMax = kind === 'max_pool';
  const windows = windowsOf(graph, x, over, isMax ? Number.NEGATIVE_INFINITY : 0);
  const apart = graph.node('Reshape', [windows, graph.ints([-1, places, taps, channels])]);
  const own = graph.node(isMax ? 'ReduceMax' : 'ReduceSum', [apart, graph.ints([2])], {
    keepdims: 0,
  });
  const flat = graph.node('Reshape', [own, graph.ints([-1, places * channels])]);
  if (isMax) return flat;
  const table = pixelsUnder(windowOf('layer', over));
  const shares = Float64Array.from({ length: places * channels }, (_, at) => {
    const from = Math.floor(at / channels) * taps;
    return 1 / table.subarray(from, from + taps).filter((pixel) => pixel >= 0).length;
  });
  return graph.node('Mul', [flat, graph.doubles(shares, [1, shares.length])]);
}
