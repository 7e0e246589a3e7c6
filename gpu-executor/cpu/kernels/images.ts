/** Pools, and moves of cells within rows of images. */
import { type Cells, dense } from '../../../driver/ir/value.js';
import { permuteAxes, permuteInto } from '../../../driver/operators/permute-axes.js';
import {
  eachGreatest,
  maxPool2d,
  maxPool2dGradient,
  poolOf,
} from '../../../driver/operators/pool2d.js';
import {
  bindRuns,
  bindRunsInto,
  sliceRuns,
  sliceRunsInto,
} from '../../../driver/operators/runs.js';
import type { Kernel } from './kernel.js';
import { foldWindows, windowBytes } from './window-lanes.js';

const maxPoolKernel: Kernel<Cells> = {
  op: maxPool2d,
  isThreaded: true,
  laneBytes: (attrs, _inputs, { dtype }) => windowBytes(poolOf('maxPool2d', attrs), dtype),
  run: ({ inputs: [x, v], attrs, out }, { allocate }) => {
    const window = poolOf('maxPool2d', attrs);
    const cells = allocate(out.rows * out.cols, out.dtype);
    if (v === undefined) {
      foldWindows('max', window, out.rows, { images: x!.data, places: cells });
    } else {
      eachGreatest(x!.data, out.rows, window, (output, image) => {
        cells[output] = v.data[image]!;
      });
    }
    return dense(out.rows, out.cols, cells);
  },
};

const maxPoolGradientKernel: Kernel<Cells> = {
  op: maxPool2dGradient,
  isThreaded: true,
  laneBytes: (attrs, _inputs, { dtype }) => windowBytes(poolOf('maxPool2dGradient', attrs), dtype),
  run: ({ inputs: [x, y], attrs, out }, { allocate }) => {
    const cells = allocate(out.rows * out.cols, out.dtype);
    cells.fill(0);
    const operands = { images: x!.data, places: y!.data, taps: cells };
    foldWindows('route', poolOf('maxPool2dGradient', attrs), out.rows, operands);
    return dense(out.rows, out.cols, cells);
  },
};

const permuteKernel: Kernel<Cells> = {
  op: permuteAxes,
  run: ({ inputs: [x], attrs, out }, { allocate }) => {
    const cells = allocate(out.rows * out.cols, out.dtype);
    permuteInto(cells, x!.data, attrs);
    return dense(out.rows, out.cols, cells);
  },
};

const bindRunsKernel: Kernel<Cells> = {
  op: bindRuns,
  run: ({ inputs, attrs, out }, { allocate }) => {
    const cells = allocate(out.rows * out.cols, out.dtype);
    bindRunsInto(cells, inputs, attrs.runs as number);
    return dense(out.rows, out.cols, cells);
  },
};

const sliceRunsKernel: Kernel<Cells> = {
  op: sliceRuns,
  run: ({ inputs: [x], attrs, out }, { allocate }) => {
    const cells = allocate(out.rows * out.cols, out.dtype);
    const [width, from, to] = [attrs.width, attrs.from, attrs.to] as [number, number, number];
    sliceRunsInto(cells, x!.data, width, from, to);
    return dense(out.rows, out.cols, cells);
  },
};

export const imageKernels: readonly Kernel<Cells>[] = [
  maxPoolKernel,
  maxPoolGradientKernel,
  permuteKernel,
  bindRunsKernel,
  sliceRunsKernel,
];
