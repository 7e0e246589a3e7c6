/** Kernels of matrices that come from attributes alone, whole or by row blocks. */

import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { fill } from '../../../driver/operators/fill.js';
import { fillFolds, kfold } from '../../../driver/operators/kfold.js';
import { literal } from '../../../driver/operators/literal.js';
import { rand } from '../../../driver/operators/rand.js';
import { scalar } from '../../../driver/operators/scalar.js';
import { seq } from '../../../driver/operators/seq.js';
import { slot } from '../../../driver/operators/slot.js';
import { type Kernel, type KernelCall, referenceKernel } from './kernel.js';

function rowsOf({ out, block }: KernelCall): { readonly first: number; readonly rows: number } {
  return { first: block?.rowOffset ?? 0, rows: block?.rows ?? out.rows };
}

const fillKernel: Kernel = {
  op: fill,
  run: (call, context) => {
    const { rows } = rowsOf(call);
    const cells = context.allocate(rows * call.out.cols).fill(call.attrs.value as number);
    return dense(rows, call.out.cols, cells);
  },
};

const seqKernel: Kernel = {
  op: seq,
  run: (call, context) => {
    const { first, rows } = rowsOf(call);
    const from = call.attrs.from as number;
    const by = call.attrs.by as number;
    const cells = context.allocate(rows);
    for (let i = 0; i < rows; i++) cells[i] = from + (first + i) * by;
    return dense(rows, 1, cells);
  },
};

const kfoldKernel: Kernel = {
  op: kfold,
  run: (call, context) => {
    const { first, rows } = rowsOf(call);
    const cells = context.allocate(rows);
    fillFolds(call.attrs, first, cells);
    return dense(rows, 1, cells);
  },
};

/** Matrices whose cells are given. */
export const leafKernels: readonly Kernel<Cells>[] = [literal, slot].map((op) => ({
  op,
  run: ({ block }) => block!.payload as DenseMatrix,
}));

export const sourceKernels: readonly Kernel[] = [
  ...[scalar, rand].map(referenceKernel),
  fillKernel,
  seqKernel,
  kfoldKernel,
];
