/** Kernels of matrices that come from attributes alone, whole or by row blocks. */

import type { CsrMatrix } from '../../../driver/ir/csr.js';
import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { fill } from '../../../driver/operators/fill.js';
import { fillFolds, kfold } from '../../../driver/operators/kfold.js';
import { literal } from '../../../driver/operators/literal.js';
import { rand, randomRows } from '../../../driver/operators/rand.js';
import { scalar } from '../../../driver/operators/scalar.js';
import { seq } from '../../../driver/operators/seq.js';
import { shuffledAt } from '../../../driver/operators/shuffled-at.js';
import { slot } from '../../../driver/operators/slot.js';
import { uniformAt } from '../../../driver/operators/uniform-at.js';
import { isSparseRand, sparseRandomRows } from './csr-rand.js';
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

const randKernel: Kernel = {
  op: rand,
  run: (call) => {
    const { first, rows } = rowsOf(call);
    // Its cells, should somebody ask for them, are float64.
    if (isSparseRand(call.attrs)) {
      return sparseRandomRows(call.attrs, first, rows) as CsrMatrix<Float64Array>;
    }
    return dense(rows, call.out.cols, randomRows(call.attrs, first, rows));
  },
};

/** Matrices whose cells are given. */
export const leafKernels: readonly Kernel<Cells>[] = [literal, slot].map((op) => ({
  op,
  run: ({ block }) => block!.payload as DenseMatrix,
}));

export const sourceKernels: readonly Kernel[] = [
  referenceKernel(scalar),
  randKernel,
  referenceKernel(uniformAt),
  referenceKernel(shuffledAt),
  fillKernel,
  seqKernel,
  kfoldKernel,
];
