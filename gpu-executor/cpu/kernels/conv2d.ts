/**
 * Convolution and its gradients as products by BLAS: the pixels under the window at some places are
 * copied side by side (im2col) on lanes, few enough to stay in the cache. Windows of one pixel are
 * products of the images as they lie; depthwise ones go on lanes. Calls are synchronous: blocks of
 * images run side by side on threads. Source: Chellapilla, Puri and Simard (2006) for the copies.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import { cellBytes, type DType, type Typed } from '../../../driver/ir/dtype.js';
import type { Meta } from '../../../driver/ir/expr.js';
import { type Cells, cellsOf, type DenseMatrix, dense, dtypeOf } from '../../../driver/ir/value.js';
import {
  type Convolution,
  conv2d,
  conv2dFilterGradient,
  conv2dInputGradient,
  convolutionOf,
  filterRows,
} from '../../../driver/operators/conv2d.js';
import { isPointwise, pixelsOf, placesOf } from '../../../driver/operators/image-window.js';
import type { Blas } from '../native/blas.js';
import { aligned, threadMemory } from '../simd/lane-memory.js';
import type { Kernel } from './kernel.js';
import { RowSumReducer } from './products.js';
import { foldWindows, PlacedRows, windowBytes, windowFunction } from './window-lanes.js';

/** Cells copied at a time: as many as stay in a cache. */
const COPIED_CELLS = 1 << 18;
/** More where filters are long: BLAS copies those too, for every product. */
const COPIED_PLACES = 512;
const MAX_COPIED_CELLS = 1 << 20;
/** Cells of a product's rows that stay in a cache from the bias to the sum. */
const PRODUCT_CELLS = 1 << 16;

/** One filter a channel, of more than one. */
function isDepthwise({ groups, channels, filters }: Convolution): boolean {
  return groups > 1 && groups === channels && filters === channels;
}

/** Cells that are copied of one row of places, and of how many rows together. */
function copiesOf(convolution: Convolution): { readonly row: number; readonly rows: number } {
  const taps = filterRows(convolution);
  const row = convolution.outWidth * taps;
  const cells = Math.min(MAX_COPIED_CELLS, Math.max(COPIED_CELLS, COPIED_PLACES * taps));
  return { row, rows: Math.max(1, Math.floor(cells / row)) };
}

/** What lies in lane memory beside the operands. @units bytes */
function laneBytes(convolution: Convolution, dtype: DType): number {
  if (isDepthwise(convolution)) return windowBytes(convolution, dtype);
  if (isPointwise(convolution)) return 0;
  const { row, rows } = copiesOf(convolution);
  const image = pixelsOf(convolution) * convolution.channels;
  return [image, row * rows].reduce((sum, cells) => sum + aligned(cells * cellBytes({ dtype })), 0);
}

/** A matrix of the pixels under the window at some places, one group's channels; BLAS's A. */
interface Pixels {
  readonly group: number;
  /** The first place, counted over all images, and how many. */
  readonly from: number;
  readonly count: number;
  readonly cells: Cells;
  /** Cells from one place to the next. */
  readonly stride: number;
}

/**
 * Calls with the pixels under the window at all places, some at a time.
 * @param work `addBack`: the call writes them, and they are added to the images
 */
function eachPixels(
  work: 'copy' | 'addBack',
  convolution: Convolution,
  images: Cells,
  rows: number,
  call: (pixels: Pixels) => void,
): void {
  const { channels, groups, groupChannels, outHeight } = convolution;
  const [places, pixels, width] = [
    placesOf(convolution),
    pixelsOf(convolution),
    filterRows(convolution),
  ];
  if (isPointwise(convolution)) {
    for (let group = 0; group < groups; group++) {
      const cells = images.subarray(group * groupChannels);
      call({ group, from: 0, count: rows * places, cells, stride: channels });
    }
    return;
  }
  const dtype = dtypeOf(images);
  const bytes = cellBytes({ dtype });
  const run = windowFunction(work, convolution, dtype, groupChannels);
  const start = threadMemory.beyond(laneBytes(convolution, dtype));
  const image = new PlacedRows(images, pixels * channels, start, work === 'addBack');
  const copies = start + aligned(image.bytes);
  const together = copiesOf(convolution);
  // Either several images, or some rows of places of one.
  const step = Math.max(1, Math.floor(together.rows / outHeight));
  const lines = Math.min(together.rows, outHeight);
  const ofImage = lines * together.row * bytes;
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    for (let line = 0; line < outHeight; line += lines) {
      const end = Math.min(outHeight, line + lines);
      const all = (end - line) * convolution.outWidth * count;
      const cells = threadMemory.cells(dtype, copies, all * width);
      const move = (group: number): void => {
        for (let i = 0; i < count; i++) {
          const at = image.load(row + i) + group * groupChannels * bytes;
          run(line, end, at, 0, copies + i * ofImage);
          image.store(row + i);
        }
      };
      for (let group = 0; group < groups; group++) {
        if (work === 'copy') move(group);
        const from = row * places + line * convolution.outWidth;
        call({ group, from, count: all, cells, stride: width });
        if (work === 'addBack') move(group);
      }
    }
  }
}

/** Every row of places begins with the bias. */
function startFrom(out: Cells, { data: bias }: DenseMatrix): void {
  out.set(bias);
  for (let at = bias.length; at < out.length; at *= 2) {
    out.copyWithin(at, 0, Math.min(at, out.length - at));
  }
}

type Form = Meta & Typed;

/** @param at of the operand whose columns are the filters; the result's where there is none */
function laneBytesOf(op: string, at?: number) {
  return (attrs: Attrs, inputs: readonly Form[], out: Form): number =>
    laneBytes(convolutionOf(op, attrs, (inputs[at ?? -1] ?? out).cols), out.dtype);
}

const conv2dKernel: Kernel<Cells> = {
  op: conv2d,
  isThreaded: true,
  laneBytes: laneBytesOf('conv2d', 1),
  run: ({ inputs: [x, f, bias], attrs, out }, { blas, allocate }) => {
    const convolution = convolutionOf('conv2d', attrs, f!.cols);
    const cells = allocate(out.rows * out.cols, out.dtype);
    const { groupFilters, filters } = convolution;
    if (isDepthwise(convolution)) {
      const taps = cellsOf(out.dtype, f!.data.length + filters);
      taps.set(f!.data);
      if (bias !== undefined) taps.set(bias.data, f!.data.length);
      foldWindows('sum', convolution, out.rows, { images: x!.data, places: cells, taps });
      return dense(out.rows, out.cols, cells);
    }
    const taps = filterRows(convolution);
    const together = Math.max(COPIED_PLACES, Math.floor(PRODUCT_CELLS / (taps + filters)));
    eachPixels('copy', convolution, x!.data, x!.rows, ({ group, from, count, ...a }) => {
      const first = group * groupFilters;
      for (let at = 0; at < count; at += together) {
        const places = Math.min(together, count - at);
        const start = (from + at) * filters;
        // Groups of the same places follow.
        if (bias && group === 0) startFrom(cells.subarray(start, start + places * filters), bias);
        blas.gemm(
          ...([false, false, places, groupFilters, taps, 1] as const),
          ...([a.cells.subarray(at * a.stride), a.stride] as const),
          ...([f!.data.subarray(first), filters, bias ? 1 : 0] as const),
          ...([cells.subarray(start + first), filters] as const),
        );
      }
    });
    return dense(out.rows, out.cols, cells);
  },
};

const inputGradientKernel: Kernel<Cells> = {
  op: conv2dInputGradient,
  isThreaded: true,
  laneBytes: laneBytesOf('conv2dInputGradient', 1),
  run: ({ inputs: [y, f], attrs, out }, { blas, allocate }) => {
    const convolution = convolutionOf('conv2dInputGradient', attrs, f!.cols);
    const cells = allocate(out.rows * out.cols, out.dtype);
    const { groupFilters, filters } = convolution;
    // Products of pixels as they lie write each one.
    if (isDepthwise(convolution) || !isPointwise(convolution)) cells.fill(0);
    if (isDepthwise(convolution)) {
      const operands = { images: cells, places: y!.data, taps: f!.data };
      foldWindows('image', convolution, out.rows, operands);
      return dense(out.rows, out.cols, cells);
    }
    eachPixels('addBack', convolution, cells, y!.rows, ({ group, from, count, ...a }) => {
      const first = group * groupFilters;
      blas.gemm(
        ...([false, true, count, filterRows(convolution), groupFilters, 1] as const),
        ...([y!.data.subarray(from * filters + first), filters] as const),
        ...([f!.data.subarray(first), filters, 0, a.cells, a.stride] as const),
      );
    });
    return dense(out.rows, out.cols, cells);
  },
};

const filterGradientKernel: Kernel<Cells> = {
  op: conv2dFilterGradient,
  isThreaded: true,
  laneBytes: laneBytesOf('conv2dFilterGradient'),
  reducer: (call, context) => {
    const convolution = convolutionOf('conv2dFilterGradient', call.attrs, call.out.cols);
    return new RowSumReducer(call, context, ([x, y], start, rows, sums) =>
      addFilterGradient(
        convolution,
        rowsOf(x!, start, rows),
        rowsOf(y!, start, rows),
        rows,
        sums,
        context.blas,
      ),
    );
  },
};

function rowsOf({ data, cols }: DenseMatrix, start: number, rows: number): Cells {
  return data.subarray(start * cols, (start + rows) * cols);
}

function addFilterGradient(
  convolution: Convolution,
  x: Cells,
  y: Cells,
  rows: number,
  sums: Cells,
  blas: Blas,
): void {
  const { groupFilters, filters } = convolution;
  if (isDepthwise(convolution)) {
    foldWindows('taps', convolution, rows, { images: x, places: y, taps: sums });
    return;
  }
  eachPixels('copy', convolution, x, rows, ({ group, from, count, ...a }) => {
    const first = group * groupFilters;
    blas.gemm(
      ...([true, false, filterRows(convolution), groupFilters, count, 1] as const),
      ...([a.cells, a.stride, y.subarray(from * filters + first), filters] as const),
      ...([1, sums.subarray(first), filters] as const),
    );
  });
}

export const convolutionKernels: readonly Kernel<Cells>[] = [
  conv2dKernel,
  inputGradientKernel,
  filterGradientKernel,
];
