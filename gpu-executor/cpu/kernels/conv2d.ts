/**
 * Convolution and its gradients as products by BLAS: the pixels under the window at some places are
 * copied side by side (im2col), few enough to stay in the cache. Windows of one pixel are products of
 * the images as they lie; depthwise ones go on lanes. Calls are synchronous: blocks of images run
 * side by side on threads. Source: Chellapilla, Puri and Simard (2006) for the copies.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import { type Cells, cellsOf, copyRun, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import {
  type Convolution,
  conv2d,
  conv2dFilterGradient,
  conv2dInputGradient,
  convolutionOf,
  filterRows,
} from '../../../driver/operators/conv2d.js';
import {
  isPointwise,
  pixelsOf,
  pixelsUnder,
  placesOf,
  tapsOf,
} from '../../../driver/operators/image-window.js';
import type { Blas } from '../native/blas.js';
import type { Kernel } from './kernel.js';
import { RowSumReducer } from './products.js';
import { foldWindows } from './window-lanes.js';

/** Cells copied at a time. */
const COPIED_CELLS = 1 << 16;
const MIN_PLACES = 16;

const scratch: Record<DType, Cells> = {
  float64: new Float64Array(0),
  float32: new Float32Array(0),
};

/** Cells of this thread, which the next call writes again. */
function scratchCells(dtype: DType, count: number): Cells {
  if (scratch[dtype].length < count) scratch[dtype] = cellsOf(dtype, count);
  return scratch[dtype];
}

/** One filter a channel, of more than one. */
function isDepthwise({ groups, channels, filters }: Convolution): boolean {
  return groups > 1 && groups === channels && filters === channels;
}

/** Places [from, to) over all images, which are taken together. */
function* pieces(rows: number, convolution: Convolution): Generator<[from: number, to: number]> {
  const all = rows * placesOf(convolution);
  const fitting = Math.floor(COPIED_CELLS / filterRows(convolution));
  const step = isPointwise(convolution) ? all : Math.max(MIN_PLACES, fitting);
  for (let from = 0; from < all; from += step) yield [from, Math.min(all, from + step)];
}

/** A matrix of the pixels under the window at some places, one group's channels; BLAS's A. */
interface Pixels {
  readonly cells: Cells;
  /** Cells from one place to the next. */
  readonly stride: number;
}

type Copy = (cells: Cells, at: number, image: Cells, from: number, count: number) => void;

const addBack: Copy = (cells, at, image, from, count) => {
  for (let i = 0; i < count; i++) image[from + i]! += cells[at + i]!;
};

/** Calls `copy` for each run of cells under the window, and `miss` for taps beyond the border. */
function walk(
  convolution: Convolution,
  group: number,
  [from, to]: readonly [number, number],
  cells: Cells,
  image: Cells,
  copy: Copy,
): void {
  const { channels, groupChannels, groups } = convolution;
  const pixels = pixelsUnder(convolution);
  const [places, taps, size] = [placesOf(convolution), tapsOf(convolution), pixelsOf(convolution)];
  const isFill = copy === copyRun;
  let at = 0;
  for (let place = from; place < to; place++) {
    const row = Math.floor(place / places);
    const first = row * size;
    const table = (place - row * places) * taps;
    for (let tap = 0; tap < taps; ) {
      const pixel = pixels[table + tap]!;
      let next = tap + 1;
      // Neighbours lie one after the other.
      if (groups === 1)
        while (next < taps && follows(pixel, pixels[table + next]!, next - tap)) next++;
      const count = (next - tap) * groupChannels;
      if (pixel >= 0)
        copy(cells, at, image, (first + pixel) * channels + group * groupChannels, count);
      else if (isFill) cells.fill(0, at, at + count);
      at += count;
      tap = next;
    }
  }
}

function follows(pixel: number, other: number, distance: number): boolean {
  return pixel < 0 ? other < 0 : other === pixel + distance;
}

function pixelsAt(
  convolution: Convolution,
  group: number,
  range: readonly [number, number],
  image: Cells,
  dtype: DType,
): Pixels {
  const { channels, groupChannels } = convolution;
  if (isPointwise(convolution)) {
    return { cells: image.subarray(range[0] * channels + group * groupChannels), stride: channels };
  }
  const stride = filterRows(convolution);
  const cells = scratchCells(dtype, (range[1] - range[0]) * stride);
  walk(convolution, group, range, cells, image, copyRun);
  return { cells, stride };
}

/** Every row of places begins with the bias. */
function startFrom(out: Cells, bias: Cells | undefined): void {
  if (bias === undefined) {
    out.fill(0);
    return;
  }
  out.set(bias);
  for (let at = bias.length; at < out.length; at *= 2) {
    out.copyWithin(at, 0, Math.min(at, out.length - at));
  }
}

const conv2dKernel: Kernel<Cells> = {
  op: conv2d,
  isThreaded: true,
  run: ({ inputs: [x, f, bias], attrs, out }, { blas, allocate }) => {
    const convolution = convolutionOf('conv2d', attrs, f!.cols);
    const cells = allocate(out.rows * out.cols, out.dtype);
    const { groups, groupFilters, filters } = convolution;
    if (bias !== undefined || isDepthwise(convolution)) startFrom(cells, bias?.data);
    if (isDepthwise(convolution)) {
      const b = { data: f!.data, cols: f!.data.length };
      const work = { fold: 'sum', work: 'output', window: convolution, rows: x!.rows } as const;
      foldWindows({ data: cells, cols: out.cols }, { ...work, a: x!, b });
      return dense(out.rows, out.cols, cells);
    }
    for (const [from, to] of pieces(x!.rows, convolution)) {
      for (let group = 0; group < groups; group++) {
        const a = pixelsAt(convolution, group, [from, to], x!.data, out.dtype);
        const first = group * groupFilters;
        blas.gemm(
          ...([false, false, to - from, groupFilters, filterRows(convolution), 1] as const),
          ...([a.cells, a.stride, f!.data.subarray(first), filters] as const),
          ...([
            bias === undefined ? 0 : 1,
            cells.subarray(from * filters + first),
            filters,
          ] as const),
        );
      }
    }
    return dense(out.rows, out.cols, cells);
  },
};

const inputGradientKernel: Kernel<Cells> = {
  op: conv2dInputGradient,
  isThreaded: true,
  run: ({ inputs: [y, f], attrs, out }, { blas, allocate }) => {
    const convolution = convolutionOf('conv2dInputGradient', attrs, f!.cols);
    const cells = allocate(out.rows * out.cols, out.dtype);
    cells.fill(0);
    const { channels, groups, groupChannels, groupFilters, filters } = convolution;
    if (isDepthwise(convolution)) {
      const b = { data: f!.data, cols: f!.data.length };
      const work = { fold: 'sum', work: 'image', window: convolution, rows: y!.rows } as const;
      foldWindows({ data: cells, cols: out.cols }, { ...work, a: y!, b });
      return dense(out.rows, out.cols, cells);
    }
    const isDirect = isPointwise(convolution);
    const width = filterRows(convolution);
    for (const [from, to] of pieces(y!.rows, convolution)) {
      for (let group = 0; group < groups; group++) {
        const target = isDirect
          ? cells.subarray(from * channels + group * groupChannels)
          : scratchCells(out.dtype, (to - from) * width);
        const first = group * groupFilters;
        blas.gemm(
          ...([false, true, to - from, width, groupFilters, 1] as const),
          ...([y!.data.subarray(from * filters + first), filters] as const),
          ...([f!.data.subarray(first), filters, 0, target, isDirect ? channels : width] as const),
        );
        if (!isDirect) walk(convolution, group, [from, to], target, cells, addBack);
      }
    }
    return dense(out.rows, out.cols, cells);
  },
};

const filterGradientKernel: Kernel<Cells> = {
  op: conv2dFilterGradient,
  isThreaded: true,
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
  const { groups, groupFilters, filters } = convolution;
  const dtype = x instanceof Float32Array ? 'float32' : 'float64';
  if (isDepthwise(convolution)) {
    const [a, b] = [x, y].map((data) => ({ data, cols: data.length / rows }));
    const work = { fold: 'sum', work: 'filter', window: convolution, rows } as const;
    foldWindows({ data: sums, cols: sums.length }, { ...work, a: a!, b: b! });
    return;
  }
  for (const [from, to] of pieces(rows, convolution)) {
    for (let group = 0; group < groups; group++) {
      const a = pixelsAt(convolution, group, [from, to], x, dtype);
      const first = group * groupFilters;
      blas.gemm(
        ...([true, false, filterRows(convolution), groupFilters, to - from, 1] as const),
        ...([a.cells, a.stride, y.subarray(from * filters + first), filters] as const),
        ...([1, sums.subarray(first), filters] as const),
      );
    }
  }
}

export const convolutionKernels: readonly Kernel<Cells>[] = [
  conv2dKernel,
  inputGradientKernel,
  filterGradientKernel,
];
