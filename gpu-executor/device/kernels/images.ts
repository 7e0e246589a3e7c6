/**
 * Convolution, its gradients and pools over images as rows (`image-window.ts`). Convolutions are the
 * products of `product-code.ts`, or of the vendor's library: the pixels under the window at the places
 * of a block of images are copied side by side (im2col) and, on the way back, added where they came
 * from, by an item for each pixel, so that sums have one order. Few filters a group are folds, which
 * copy nothing. Source: Chellapilla, Puri and Simard, "High Performance Convolutional Neural Networks
 * for Document Processing" (2006).
 */
import { cellBytes } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { type Convolution, convolutionOf, filterRows } from '../../../driver/operators/conv2d.js';
import {
  isPointwise,
  pixelsOf,
  placesOf,
  tapsOf,
  windowOf,
} from '../../../driver/operators/image-window.js';
import type { DeviceProperties } from '../driver.js';
import { type ConvolutionName, foldTexts, imagesText, windowNumbers } from './images-code.js';
import {
  type DeviceStep,
  integer,
  itemsStep,
  type Lowered,
  long,
  loweredNode,
  narrowFlag,
  type PlacedOperand,
  Scratch,
  type StepOperand,
} from './lowered.js';
import { type Factor, type Product, productSteps } from './product-code.js';
import { joinParts, reduceSteps } from './reduce.js';

/** Cells that are copied side by side at a time, at most, but for an image of more. */
const COPIED_CELLS = 2 ** 24;
/** Filters of a group that fill tiles of products. */
const MIN_FILTERS = 8;

const X: PlacedOperand = { input: 0 };
const OTHER: PlacedOperand = { input: 1 };
const OUTPUT: PlacedOperand = { output: 0 };

/** A node's images, and what is made for all of its launches. */
interface Site {
  readonly expr: Expr;
  readonly convolution: Convolution;
  readonly rows: number;
  readonly isProcessor: boolean;
  readonly scratch: Scratch;
  readonly copiedCells: number;
}

/** @param copiedCells for tests: cells copied at a time at most */
type ConvolutionLowering = (
  expr: Expr,
  properties: DeviceProperties,
  copiedCells?: number,
) => Lowered;

function siteOf(expr: Expr, { isProcessor }: DeviceProperties, copiedCells = COPIED_CELLS): Site {
  const [{ rows }, second] = expr.inputs as [Expr, Expr];
  const name = expr.op.name as ConvolutionName;
  const filters = name === 'conv2dFilterGradient' ? expr.cols : second.cols;
  const convolution = convolutionOf(name, expr.attrs, filters);
  return { expr, convolution, rows, isProcessor, scratch: new Scratch(), copiedCells };
}

export const lowerConv2d: ConvolutionLowering = (expr, properties, copiedCells) => {
  const site = siteOf(expr, properties, copiedCells);
  const { convolution, rows } = site;
  const { filters, groupFilters } = convolution;
  const places = placesOf(convolution);
  const steps = areFew(convolution)
    ? foldSteps(site, 'conv2d', rows * places * filters, filterRows(convolution))
    : blocksOf(site).flatMap((block) => {
        const { count, pixels, steps } = unfolded(site, block);
        const first = block.from * places * filters;
        const product = {
          ...{ m: count, n: groupFilters, inner: filterRows(convolution), a: pixels },
          b: { operand: OTHER, outer: 1, inner: filters, step: groupFilters },
          out: { operand: OUTPUT, row: filters, col: 1, step: groupFilters, first },
        };
        return [...steps, ...groupProducts(site, product)];
      });
  if (expr.inputs.length > 2) {
    const cells = expr.rows * expr.cols;
    const operands = [{ input: 2 }, OUTPUT, long(cells), long(filters)];
    steps.push(step('add_bias', expr, operands, cells));
  }
  return loweredNode(expr, steps, site.scratch.bytes);
};

export const lowerConv2dInputGradient: ConvolutionLowering = (expr, properties, copiedCells) => {
  const site = siteOf(expr, properties, copiedCells);
  const { convolution, rows } = site;
  const { channels, groupChannels, groupFilters, filters } = convolution;
  const pixels = pixelsOf(convolution);
  if (areFew(convolution)) {
    const inner = tapsOf(convolution) * groupFilters;
    const steps = foldSteps(site, 'conv2dInputGradient', rows * pixels * channels, inner);
    return loweredNode(expr, steps, site.scratch.bytes);
  }
  const isDirect = isPointwise(convolution);
  const width = filterRows(convolution);
  const steps = blocksOf(site).flatMap((block) => {
    const count = block.rows * placesOf(convolution);
    const first = block.from * placesOf(convolution) * filters;
    const target = isDirect
      ? { operand: OUTPUT, row: channels, col: 1, step: groupChannels }
      : { operand: block.pixels!, row: width, col: 1, step: count * width };
    const products = groupProducts(site, {
      ...{ m: count, n: width, inner: groupFilters, out: target },
      a: { operand: X, outer: filters, inner: 1, step: groupFilters, first },
      b: { operand: OTHER, outer: filters, inner: 1, step: groupFilters },
    });
    if (isDirect) return products;
    const cells = block.rows * pixels * channels;
    const sizes = [cells, block.from * pixels * channels, count].map(long);
    const operands = [block.pixels!, OUTPUT, ...sizes, integer(groupChannels)];
    const numbers = windowNumbers(convolution);
    return [...products, step('add_back', expr, [...operands, ...numbers], cells)];
  });
  return loweredNode(expr, steps, site.scratch.bytes);
};

export const lowerConv2dFilterGradient: ConvolutionLowering = (expr, properties, copiedCells) => {
  const site = siteOf(expr, properties, copiedCells);
  const { convolution, scratch, rows } = site;
  const { groupFilters, filters } = convolution;
  const places = placesOf(convolution);
  const outputs = expr.rows * expr.cols;
  if (areFew(convolution)) {
    const steps = foldSteps(site, 'conv2dFilterGradient', outputs, rows * places);
    return loweredNode(expr, steps, scratch.bytes);
  }
  const blocks = blocksOf(site);
  const isOne = blocks.length === 1;
  const sums = isOne ? OUTPUT : scratch.take(blocks.length * outputs * cellBytes(expr));
  const steps = blocks.flatMap((block, i) => {
    const { count, pixels, steps } = unfolded(site, block);
    const first = block.from * places * filters;
    const product = {
      ...{ m: filterRows(convolution), n: groupFilters, inner: count },
      a: { ...pixels, outer: pixels.inner, inner: pixels.outer },
      b: { operand: OTHER, outer: 1, inner: filters, step: groupFilters, first },
      out: { operand: sums, row: filters, col: 1, step: groupFilters, first: i * outputs },
    };
    return [...steps, ...groupProducts(site, product)];
  });
  if (!isOne) {
    const parts = { operand: sums, dtype: expr.dtype, count: blocks.length, outputs };
    const out = { operand: OUTPUT, dtype: expr.dtype };
    steps.push(...joinParts('sum', parts, out, scratch));
  }
  return loweredNode(expr, steps, scratch.bytes);
};

/** The greatest cell of each window, or what another matrix has there. */
export function lowerMaxPool2d(expr: Expr): Lowered {
  const other: StepOperand = { input: expr.inputs.length - 1 };
  return loweredNode(expr, [poolStep('max_pool', expr, [X, other, OUTPUT])]);
}

export function lowerMaxPool2dGradient(expr: Expr): Lowered {
  return loweredNode(expr, [poolStep('max_pool_back', expr, [X, OTHER, OUTPUT])]);
}

function poolStep(name: string, expr: Expr, operands: readonly StepOperand[]): DeviceStep {
  const cells = expr.rows * expr.cols;
  const window = windowOf(expr.op.name, expr.attrs);
  return step(name, expr, [...operands, long(cells), ...windowNumbers(window)], cells);
}

/** Whether products have too few columns: depthwise convolutions. */
function areFew({ groups, groupFilters }: Convolution): boolean {
  return groups > 1 && groupFilters < MIN_FILTERS;
}

/** Images that are taken together. */
interface Block {
  readonly from: number;
  readonly rows: number;
  /** For the copied pixels; every block has the same. Absent: they are read as they lie. */
  readonly pixels: PlacedOperand | undefined;
}

function blocksOf({ expr, convolution, rows, scratch, copiedCells }: Site): readonly Block[] {
  if (isPointwise(convolution)) return [{ from: 0, rows, pixels: undefined }];
  const ofImage = placesOf(convolution) * filterRows(convolution) * convolution.groups;
  const most = Math.max(1, Math.floor(copiedCells / ofImage));
  const step = Math.ceil(rows / Math.ceil(rows / most));
  const pixels = scratch.take(step * ofImage * cellBytes(expr));
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    return { from: i * step, rows: Math.min(step, rows - i * step), pixels };
  });
}

/** The matrix of a block: a row for each place, of the pixels under the window, group by group. */
function unfolded({ expr, convolution }: Site, { from, rows, pixels }: Block) {
  const { channels, groupChannels, groups } = convolution;
  const count = rows * placesOf(convolution);
  const width = filterRows(convolution);
  if (pixels === undefined) {
    const asTheyLie: Factor = { operand: X, outer: channels, inner: 1, step: groupChannels };
    return { count, pixels: asTheyLie, steps: [] };
  }
  const cells = groups * count * width;
  const sizes = [cells, from, count].map(long);
  const operands = [X, pixels, ...sizes, integer(groupChannels), ...windowNumbers(convolution)];
  return {
    count,
    pixels: { operand: pixels, outer: width, inner: 1, step: count * width } satisfies Factor,
    steps: [step('unfold', expr, operands, cells)],
  };
}

/** One product a group. */
function groupProducts(
  { expr, convolution, isProcessor, scratch }: Site,
  sizes: Omit<Product, 'dtype' | 'models' | 'isProcessor'>,
): DeviceStep[] {
  const models = convolution.groups;
  return productSteps({ ...sizes, dtype: expr.dtype, models, isProcessor }, scratch);
}

/** Each cell of the result as a sum of its own. */
function foldSteps(
  { expr, convolution, scratch }: Site,
  name: ConvolutionName,
  outputs: number,
  inner: number,
): DeviceStep[] {
  const { groupChannels, groupFilters } = convolution;
  const sizes = [groupChannels, groupFilters].map(integer);
  const numbers = [...windowNumbers(convolution), ...sizes, narrowFlag(expr)];
  const folded = {
    code: { name: `fold_${name}`, source: foldTexts[name] },
    operands: [X, OTHER, ...numbers],
  };
  // Sums of few products are an item's, those over all images are shared.
  const isLong = name === 'conv2dFilterGradient';
  const steps = isLong ? { outerStep: 1, innerStep: outputs } : { outerStep: inner, innerStep: 1 };
  const out = { operand: OUTPUT, dtype: expr.dtype };
  return reduceSteps('sum', folded, { outputs, inner, ...steps }, out, scratch);
}

/** A kernel for each of these cells, of either dtype. */
function step(
  name: string,
  expr: Expr,
  operands: readonly StepOperand[],
  cells: number,
): DeviceStep {
  return itemsStep({ name, source: imagesText }, [...operands, narrowFlag(expr)], cells);
}
