/**
 * Two-dimensional convolution (correlation, as networks call it) of images as rows, and its two
 * gradients, which are linear in each operand as it is: gradients of any order are these three.
 * Filters are a matrix of (tap, channel within its group) x out channel, groups side by side: HWIO
 * of TensorFlow. Depthwise convolution is `groups` of one channel each.
 *
 * attrs: those of `image-window.ts`, and groups (default 1).
 */
import type { Attrs } from '../ir/attrs.js';
import type { BatchLayout, BatchOperand, BatchSite, BatchValue } from '../ir/batch-rule.js';
import { dtypeAttr } from '../ir/dtype.js';
import type { Expr, Meta } from '../ir/expr.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { add } from './cells.js';
import { CONVOLUTION_CASES, FILTER_CASES, INPUT_CASES } from './conv2d-cases.js';
import { fill } from './fill.js';
import {
  batchByRows,
  type ImageWindow,
  pixelsOf,
  pixelsUnder,
  placesOf,
  tapsOf,
  windowOf,
} from './image-window.js';
import { permuteAxes } from './permute-axes.js';
import { shapeError, sizeAttr } from './shape-check.js';

export interface Convolution extends ImageWindow {
  readonly groups: number;
  /** Channels of a group, before and after. */
  readonly groupChannels: number;
  readonly groupFilters: number;
  /** Channels after. */
  readonly filters: number;
}

const known = new WeakMap<Attrs, Convolution>();

/** @param filters channels after. @throws PlanError */
export function convolutionOf(op: string, attrs: Attrs, filters: number): Convolution {
  const last = known.get(attrs);
  if (last?.filters === filters) return last;
  const window = windowOf(op, attrs);
  const groups = sizeAttr(op, { groups: attrs.groups ?? 1 }, 'groups');
  const groupChannels = window.channels / groups;
  const made = { ...window, groups, groupChannels, groupFilters: filters / groups, filters };
  known.set(attrs, made);
  return made;
}

/** Rows of the matrix of filters. */
export const filterRows = (convolution: Convolution): number =>
  tapsOf(convolution) * convolution.groupChannels;

/** @throws ShapeError unless the operands are what the attributes say */
function check(op: OpName, inputs: readonly Meta[], attrs: Attrs, filters: number): Convolution {
  const convolution = convolutionOf(op, attrs, filters);
  const { channels, groups, groupFilters } = convolution;
  const columns = {
    image: pixelsOf(convolution) * channels,
    output: placesOf(convolution) * filters,
    filter: filters,
    bias: filters,
  };
  const fits = inputs.every((input, i) => {
    const role = ROLES[op][i]!;
    if (role === 'filter' && input.rows !== filterRows(convolution)) return false;
    if (role === 'bias' && input.rows !== 1) return false;
    return input.cols === columns[role];
  });
  if (!fits || channels % groups !== 0 || !Number.isInteger(groupFilters)) {
    const { height, width } = convolution;
    const wanted = `images of ${height}x${width}x${channels}, ${groups} groups and filters of ${filterRows(convolution)} rows`;
    throw shapeError(op, wanted, inputs);
  }
  return convolution;
}

type Role = 'image' | 'output' | 'filter' | 'bias';
type OpName = keyof typeof ROLES;

/** What each operand is; of the gradients, one is that of what the third would have been. */
const ROLES = {
  conv2d: ['image', 'filter', 'bias'],
  conv2dInputGradient: ['output', 'filter'],
  conv2dFilterGradient: ['image', 'output'],
} as const satisfies Record<string, readonly Role[]>;

/** Loops over one channel each take longer than products of as many multiplications. */
const DEPTHWISE_COST = 6;

function flopsOf(rows: number, convolution: Convolution): number {
  const { filters, groupChannels } = convolution;
  const products = 2 * rows * placesOf(convolution) * filterRows(convolution) * filters;
  return groupChannels === 1 ? DEPTHWISE_COST * products : products;
}

/** Calls with the cells that are multiplied: of the image, the filters, and the result's place. */
function eachProduct(
  rows: number,
  convolution: Convolution,
  visit: (image: number, filter: number, output: number) => void,
): void {
  const { channels, groupChannels, groupFilters, filters } = convolution;
  const pixels = pixelsUnder(convolution);
  const [places, taps] = [placesOf(convolution), tapsOf(convolution)];
  for (let at = 0; at < rows * places; at++) {
    const firstPixel = Math.floor(at / places) * pixelsOf(convolution);
    for (let tap = 0; tap < taps; tap++) {
      const pixel = pixels[(at % places) * taps + tap]!;
      if (pixel < 0) continue;
      for (let c = 0; c < channels; c++) {
        const firstFilter = Math.floor(c / groupChannels) * groupFilters;
        const image = (firstPixel + pixel) * channels + c;
        const filter = (tap * groupChannels + (c % groupChannels)) * filters + firstFilter;
        const output = at * filters + firstFilter;
        for (let f = 0; f < groupFilters; f++) visit(image, filter + f, output + f);
      }
    }
  }
}

/**
 * inputs: X (n x height*width*channels), filters (taps*channels/groups x filters), and what is added
 * by filter (1 x filters), which may be left out. output: n x outHeight*outWidth*filters.
 */
export const conv2d: OpDef = defineOp({
  name: 'conv2d',
  arity: { min: 2, max: 3 },
  work: 'product',
  infer: (inputs, attrs) => {
    const convolution = check('conv2d', inputs, attrs, inputs[1]!.cols);
    return { rows: inputs[0]!.rows, cols: placesOf(convolution) * convolution.filters };
  },
  rowRule: (inputs) => ({ kind: 'map', blocked: inputs.map((_, i) => i === 0) }),
  flops: ([x, f], attrs) => flopsOf(x!.rows, convolutionOf('conv2d', attrs, f!.cols)),
  batch: (site) => batchConvolution(site, 'conv2d', 'output'),
  gradient: ({ node, upstream, make, isWanted }) => {
    const { inputs, attrs } = node;
    const [x, f] = inputs as [Expr, Expr];
    // The bias is a filter of pixels that are all 1.
    const ofBias = (): Expr => {
      const places = upstream.cols / f.cols;
      const shape = { rows: upstream.rows, cols: places, value: 1, ...dtypeAttr(upstream.dtype) };
      const window = { image: [places, 1, 1], window: [1, 1] };
      return make(conv2dFilterGradient, [make(fill, [], shape), upstream], window);
    };
    return [
      isWanted[0] ? make(conv2dInputGradient, [upstream, f], attrs) : undefined,
      isWanted[1] ? make(conv2dFilterGradient, [x, upstream], attrs) : undefined,
      isWanted[2] ? ofBias() : undefined,
    ];
  },
  reference: ([x, f, bias], attrs) => {
    const convolution = convolutionOf('conv2d', attrs, f!.cols);
    const { filters } = convolution;
    const out = new Float64Array(x!.rows * placesOf(convolution) * filters);
    if (bias) for (let i = 0; i < out.length; i++) out[i] = bias.data[i % filters]!;
    eachProduct(x!.rows, convolution, (image, filter, output) => {
      out[output]! += x!.data[image]! * f!.data[filter]!;
    });
    return dense(x!.rows, placesOf(convolution) * filters, out);
  },
  cases: CONVOLUTION_CASES,
});

/** inputs: the gradient of the output (n x ..), filters. output: n x height*width*channels. */
export const conv2dInputGradient: OpDef = defineOp({
  name: 'conv2dInputGradient',
  arity: 2,
  work: 'product',
  infer: (inputs, attrs) => {
    const convolution = check('conv2dInputGradient', inputs, attrs, inputs[1]!.cols);
    return { rows: inputs[0]!.rows, cols: pixelsOf(convolution) * convolution.channels };
  },
  rowRule: () => ({ kind: 'map', blocked: [true, false] }),
  flops: ([y, f], attrs) => flopsOf(y!.rows, convolutionOf('conv2dInputGradient', attrs, f!.cols)),
  batch: (site) => batchConvolution(site, 'conv2dInputGradient', 'image'),
  gradient: ({ node, upstream, make, isWanted }) => {
    const [y, f] = node.inputs as [Expr, Expr];
    return [
      isWanted[0] ? make(conv2d, [upstream, f], node.attrs) : undefined,
      isWanted[1] ? make(conv2dFilterGradient, [upstream, y], node.attrs) : undefined,
    ];
  },
  reference: ([y, f], attrs) => {
    const convolution = convolutionOf('conv2dInputGradient', attrs, f!.cols);
    const cols = pixelsOf(convolution) * convolution.channels;
    const out = new Float64Array(y!.rows * cols);
    eachProduct(y!.rows, convolution, (image, filter, output) => {
      out[image]! += y!.data[output]! * f!.data[filter]!;
    });
    return dense(y!.rows, cols, out);
  },
  cases: INPUT_CASES,
});

/** inputs: X, the gradient of the output (n x ..). output: that of the filters, in their shape. */
export const conv2dFilterGradient: OpDef = defineOp({
  name: 'conv2dFilterGradient',
  arity: 2,
  work: 'product',
  infer: (inputs, attrs) => {
    const [x, y] = inputs as [Meta, Meta];
    const places = placesOf(windowOf('conv2dFilterGradient', attrs));
    const convolution = check('conv2dFilterGradient', inputs, attrs, y.cols / places);
    if (x.rows !== y.rows) throw shapeError('conv2dFilterGradient', 'equally many rows', inputs);
    return { rows: filterRows(convolution), cols: convolution.filters };
  },
  rowRule: () => ({ kind: 'reduce', blocked: [true, true] }),
  merge: add,
  flops: ([x], attrs, out) =>
    flopsOf(x!.rows, convolutionOf('conv2dFilterGradient', attrs, out.cols)),
  batch: (site) => batchConvolution(site, 'conv2dFilterGradient', 'filter'),
  gradient: ({ node, upstream, make, isWanted }) => {
    const [x, y] = node.inputs as [Expr, Expr];
    return [
      isWanted[0] ? make(conv2dInputGradient, [y, upstream], node.attrs) : undefined,
      isWanted[1] ? make(conv2d, [x, upstream], node.attrs) : undefined,
    ];
  },
  reference: (inputs, attrs, { rows, cols }) => {
    const [x, y] = inputs as [Float64Matrix, Float64Matrix];
    const convolution = convolutionOf('conv2dFilterGradient', attrs, cols);
    const out = new Float64Array(rows * cols);
    eachProduct(x.rows, convolution, (image, filter, output) => {
      out[filter]! += x.data[image]! * y.data[output]!;
    });
    return dense(rows, cols, out);
  },
  cases: FILTER_CASES,
});

/**
 * Filters of one model each: those of shared images are side by side in one product, others see the
 * images of their model. Shared filters take the images of all models as rows.
 */
function batchConvolution(site: BatchSite, op: OpName, result: Role): BatchValue | undefined {
  const { one, operands, models, maker } = site;
  const byRows = batchByRows(site);
  if (byRows !== undefined) return byRows;
  const roles: readonly Role[] = ROLES[op];
  const isOf = (layout: BatchLayout) => (operand: BatchOperand, i: number) =>
    operand.layout === layout && (roles[i] === 'image' || roles[i] === 'output');
  const isWide =
    one.attrs.groups === undefined &&
    operands[roles.indexOf('image')]?.layout === 'shared' &&
    !operands.some(isOf('stack'));
  // Rows of a stack are a model's images as they lie.
  if (!isWide) return site.apart(result === 'filter' ? 'columns' : 'stack');
  const window = windowOf(op, one.attrs);
  const places = placesOf(window);
  const inputs = operands.map((operand, i) => {
    if (roles[i] === 'image') return operand.expr;
    const columns = site.columns(operand);
    return roles[i] === 'output' ? turned(columns, [models, places]) : columns;
  });
  const expr = maker.intern(one.op, inputs, one.attrs);
  return { layout: 'columns', expr: result === 'filter' ? expr : turned(expr, [places, models]) };

  /** The first two axes of a row exchanged, which moves no cell where one has a single place. */
  function turned(value: Expr, [first, second]: readonly [number, number]): Expr {
    if (first === 1 || second === 1) return value;
    const shape = [first, second, value.cols / first / second];
    return maker.intern(permuteAxes, [value], { shape, order: [1, 0, 2] });
  }
}
