/** Kernels that move cells: whole rows at a time where they are contiguous, else by tiles. */

import { type Cells, converted, dense } from '../../../driver/ir/value.js';
import { addDiag } from '../../../driver/operators/add-diag.js';
import { cast } from '../../../driver/operators/cast.js';
import { cbind } from '../../../driver/operators/cbind.js';
import { diag } from '../../../driver/operators/diag.js';
import { rbind } from '../../../driver/operators/rbind.js';
import { repeatCols, repeatColsInto } from '../../../driver/operators/repeat-cols.js';
import { reshape } from '../../../driver/operators/reshape.js';
import { restack } from '../../../driver/operators/restack.js';
import { selectRows } from '../../../driver/operators/select-rows.js';
import { rangeOf, slice } from '../../../driver/operators/slice.js';
import { transpose } from '../../../driver/operators/transpose.js';
import { type Kernel, referenceKernel } from './kernel.js';

/** Rows and columns of a tile that fits the first-level cache with its transpose. */
const TILE = 32;

const transposeKernel: Kernel<Cells> = {
  op: transpose,
  view: ({ rows, cols }) => (rows === 1 || cols === 1 ? 0 : undefined),
  run: ({ inputs: [x] }, context) => {
    const { rows, cols, dtype, data } = x!;
    const out = context.allocate(rows * cols, dtype);
    for (let i0 = 0; i0 < rows; i0 += TILE) {
      const i1 = Math.min(i0 + TILE, rows);
      for (let j0 = 0; j0 < cols; j0 += TILE) {
        const j1 = Math.min(j0 + TILE, cols);
        for (let j = j0; j < j1; j++) {
          for (let i = i0; i < i1; i++) out[j * rows + i] = data[i * cols + j]!;
        }
      }
    }
    return dense(cols, rows, out);
  },
};

/** Rows up to this width are copied cell by cell: cheaper than making a view of them. */
const NARROW = 32;

function copyRows(
  from: Cells,
  start: number,
  stride: number,
  to: Cells,
  offset: number,
  width: number,
  rows: number,
  cols: number,
): void {
  for (let i = 0; i < rows; i++) {
    const source = start + i * stride;
    const target = offset + i * width;
    if (cols > NARROW) to.set(from.subarray(source, source + cols), target);
    else for (let j = 0; j < cols; j++) to[target + j] = from[source + j]!;
  }
}

const sliceKernel: Kernel<Cells> = {
  op: slice,
  view: ({ inputs: [x], attrs, cols }) =>
    cols === x!.cols ? rangeOf(attrs, 'rows', x!.rows)[0] * cols : undefined,
  run: ({ inputs: [x], attrs, out }, context) => {
    const [firstRow] = rangeOf(attrs, 'rows', x!.rows);
    const [firstCol] = rangeOf(attrs, 'cols', x!.cols);
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    const start = firstRow * x!.cols + firstCol;
    if (out.cols === x!.cols) cells.set(x!.data.subarray(start, start + cells.length));
    else copyRows(x!.data, start, x!.cols, cells, 0, out.cols, out.rows, out.cols);
    return dense(out.rows, out.cols, cells);
  },
};

const cbindKernel: Kernel<Cells> = {
  op: cbind,
  joins: ({ rows }) => rows === 1,
  run: ({ inputs, out }, context) => {
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    let offset = 0;
    for (const { data, cols } of inputs) {
      copyRows(data, 0, cols, cells, offset, out.cols, out.rows, cols);
      offset += cols;
    }
    return dense(out.rows, out.cols, cells);
  },
};

const rbindKernel: Kernel<Cells> = {
  op: rbind,
  joins: () => true,
  run: ({ inputs, out }, context) => {
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    let at = 0;
    for (const { data } of inputs) {
      cells.set(data, at);
      at += data.length;
    }
    return dense(out.rows, out.cols, cells);
  },
};

const castKernel: Kernel<Cells> = {
  op: cast,
  view: ({ inputs: [x], dtype }) => (x!.dtype === dtype ? 0 : undefined),
  run: ({ inputs: [x], out }, { allocate }) => converted(x!, out.dtype, allocate),
};

const repeatColsKernel: Kernel<Cells> = {
  op: repeatCols,
  run: ({ inputs: [x], attrs, out }, context) => {
    const cells = context.allocate(out.rows * out.cols, out.dtype);
    repeatColsInto(cells, x!.data, attrs);
    return dense(out.rows, out.cols, cells);
  },
};

const reshapeKernel: Kernel<Cells> = {
  op: reshape,
  view: () => 0,
  run: ({ inputs: [x], out }) => dense(out.rows, out.cols, x!.data),
};

const restackKernel: Kernel<Cells> = {
  op: restack,
  run: ({ inputs: [x], attrs, out }, { allocate }) => {
    const { rows, cols, data } = x!;
    const cells = allocate(out.rows * out.cols, out.dtype);
    for (let k = 0; k < (attrs.parts as number); k++) {
      const at = k * rows * out.cols;
      copyRows(data, k * out.cols, cols, cells, at, out.cols, rows, out.cols);
    }
    return dense(out.rows, out.cols, cells);
  },
};

export const movingKernels: readonly Kernel<Cells>[] = [
  transposeKernel,
  sliceKernel,
  cbindKernel,
  rbindKernel,
  reshapeKernel,
  castKernel,
  repeatColsKernel,
  restackKernel,
];

export const reorganiseKernels = [selectRows, diag, addDiag].map(referenceKernel);
