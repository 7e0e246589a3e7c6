/** What is summed and multiplied by groups of rows, over compressed rows: searches of sparse data. */
import { areFinite, CsrMatrix } from '../../../driver/ir/csr.js';
import {
  converted,
  type DenseMatrix,
  dense,
  type Float64Matrix,
} from '../../../driver/ir/value.js';
import { columnMoments, mergeMoments } from '../../../driver/operators/column-moments.js';
import { gramOperands } from '../../../driver/operators/group-gram.js';
import { groupSums } from '../../../driver/operators/group-sums.js';
import { heldOut } from '../../../driver/operators/held-out.js';
import type { CsrForm } from './csr-form.js';
import { addScaled, isAllFinite } from './csr-products.js';

/** By row its group; -1 for none. */
function groupsOf({ data }: DenseMatrix, groups: number): Int32Array {
  return Int32Array.from(data, (label) => (label >= 0 && label < groups ? label : -1));
}

/** Moments of a block: weights, means and squares about them, a row each by group. */
function momentsOf(
  { rows, cols, rowStarts, columns, values }: CsrMatrix,
  group: Int32Array,
  weights: DenseMatrix['data'] | undefined,
  groups: number,
): Float64Array {
  const own = new Float64Array(3 * groups * cols);
  const counts = new Float64Array(groups);
  /** Weight of the cells that are held; that of the zeros is the rest. */
  const held = new Float64Array(groups * cols);
  const each = (visit: (at: number, weight: number, cell: number, place: number) => void): void => {
    for (let i = 0; i < rows; i++) {
      const g = group[i]!;
      const weight = weights === undefined ? 1 : weights[i]!;
      if (g < 0 || weight === 0) continue;
      for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
        const column = columns[k]!;
        visit(3 * g * cols + column, weight, values[k]!, g * cols + column);
      }
    }
  };
  for (let i = 0; i < rows; i++) {
    if (group[i]! >= 0) counts[group[i]!]! += weights === undefined ? 1 : weights[i]!;
  }
  each((at, weight, cell, place) => {
    own[at + cols]! += weight * cell;
    held[place]! += weight;
  });
  for (let g = 0; g < groups; g++) {
    const count = counts[g]!;
    for (let j = 0, at = 3 * g * cols; j < cols && count !== 0; j++, at++) {
      own[at] = count;
      own[at + cols]! /= count;
      own[at + 2 * cols] = (count - held[g * cols + j]!) * own[at + cols]! ** 2;
    }
  }
  each((at, weight, cell) => {
    own[at + 2 * cols]! += weight * (cell - own[at + cols]!) ** 2;
  });
  return own;
}

const momentsForm: CsrForm = {
  op: columnMoments,
  operands: [1],
  reducer: ({ attrs, out: { rows, cols } }) => {
    const groups = attrs.groups as number;
    const totals = new Float64Array(rows * cols);
    return {
      add: (inputs) => {
        const of = gramOperands(inputs as readonly Float64Matrix[], attrs);
        const [x] = of.columns as readonly DenseMatrix[];
        const weights = of.weights?.data;
        if (!(x instanceof CsrMatrix)) return false;
        if (weights !== undefined && !areFinite(weights)) return false;
        mergeMoments(totals, momentsOf(x, groupsOf(inputs[0]!, groups), weights, groups), cols);
        return true;
      },
      result: () => dense(rows, cols, totals),
    };
  },
};

const heldOutForm: CsrForm = {
  op: heldOut,
  operands: [1],
  run: ({ inputs, attrs, out }) => {
    const [g, x, w] = inputs as [DenseMatrix, DenseMatrix, DenseMatrix];
    if (!(x instanceof CsrMatrix) || !isAllFinite(w)) return undefined;
    const { cols } = out;
    const group = groupsOf(g, attrs.groups as number);
    const cells = new Float64Array(x.rows * cols);
    const { rowStarts, columns, values } = x;
    const intercepts = x.cols * w.cols;
    for (let i = 0; i < x.rows; i++) {
      if (group[i]! < 0) continue;
      const offset = group[i]! * cols;
      addScaled(cells, i * cols, 1, w.data, intercepts + offset, cols);
      for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
        addScaled(cells, i * cols, values[k]!, w.data, columns[k]! * w.cols + offset, cols);
      }
    }
    return converted(dense(x.rows, cols, cells), out.dtype);
  },
};

const sumsForm: CsrForm = {
  op: groupSums,
  operands: [1],
  reducer: ({ attrs, out }) => {
    const totals = new Float64Array(out.rows * out.cols);
    return {
      add: ([g, x]) => {
        if (!(x instanceof CsrMatrix)) return false;
        const group = groupsOf(g!, attrs.groups as number);
        const { rowStarts, columns, values, cols } = x;
        for (let i = 0; i < x.rows; i++) {
          const at = group[i]! * cols;
          for (let k = rowStarts[i]!; k < rowStarts[i + 1]! && at >= 0; k++) {
            totals[at + columns[k]!]! += values[k]!;
          }
        }
        return true;
      },
      result: () => converted(dense(out.rows, out.cols, totals), out.dtype),
    };
  },
};

export const csrGroups: readonly CsrForm[] = [momentsForm, heldOutForm, sumsForm];
