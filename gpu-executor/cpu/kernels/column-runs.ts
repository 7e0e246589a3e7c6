/** What works on runs of columns of a row, of many models side by side, row by row. */
import type { OpDef } from '../../../driver/ir/op-def.js';
import { type Cells, dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { type ColumnFold, runsOf } from '../../../driver/operators/aggregate.js';
import {
  foldCols,
  rowIndexMax,
  rowIndexMin,
  rowMaxs,
  rowMins,
  rowSumSqs,
  rowSums,
} from '../../../driver/operators/aggregates.js';
import { nonnegative, nonnegativeInto } from '../../../driver/operators/nonnegative.js';
import { softmax, softmaxInto } from '../../../driver/operators/softmax.js';
import { fitsSoftmax, softmaxOnLanes } from '../simd/softmax-lanes.js';
import { fitsTiles } from '../simd/tiles.js';
import { aggregateKernels } from './aggregates.js';
import type { Kernel } from './kernel.js';
import { widened } from './widened.js';

const rowKernels = new Map(aggregateKernels.map((kernel) => [kernel.op, kernel]));

const aggregateOf: { readonly [Fold in ColumnFold]: OpDef } = {
  sum: rowSums,
  sumSq: rowSumSqs,
  min: rowMins,
  max: rowMaxs,
  indexMax: rowIndexMax,
  indexMin: rowIndexMin,
};

const foldColsKernel: Kernel<Cells> = {
  op: foldCols,
  run: ({ inputs: [x], attrs, out }, context) => {
    const runs = runsOf(x!, attrs.width as number);
    const kernel = rowKernels.get(aggregateOf[attrs.fold as ColumnFold])!;
    const shape = { rows: runs.rows, cols: 1, dtype: out.dtype };
    const { data } = kernel.run!({ inputs: [runs], attrs: {}, out: shape }, context);
    return dense(out.rows, out.cols, data);
  },
};

const softmaxKernel: Kernel<Cells> = {
  op: softmax,
  run: ({ inputs: [z], attrs, out }, context) => {
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    const width = attrs.width as number;
    const isOnLanes = fitsTiles(1, cells.length) && fitsSoftmax(width);
    (isOnLanes ? softmaxOnLanes : softmaxInto)(cells, z!.data, width);
    return dense(out.rows, out.cols, cells);
  },
};

const nonnegativeKernel: Kernel = {
  op: nonnegative,
  run: ({ inputs, attrs, out }, context) => {
    const [g, x, h] = inputs as [Float64Matrix, Float64Matrix, Float64Matrix];
    const cells = context.allocate(x.rows * out.cols);
    cells.fill(0);
    nonnegativeInto(cells, [g, x, h], attrs);
    return dense(x.rows, out.cols, cells);
  },
};

export const columnRunKernels: readonly Kernel<Cells>[] = [
  foldColsKernel,
  softmaxKernel,
  widened(nonnegativeKernel),
];
