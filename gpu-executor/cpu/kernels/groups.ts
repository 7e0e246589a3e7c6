/** `groupSums` and `takeRows`: plain loops, one addition or copy a cell, over cells of either dtype. */
import { type Cells, converted, dense } from '../../../driver/ir/value.js';
import { groupSums } from '../../../driver/operators/group-sums.js';
import { takeRows } from '../../../driver/operators/take-rows.js';
import type { Kernel } from './kernel.js';

/** Rows summed by themselves before they are added, which keeps sums over many rows accurate. */
const PART_ROWS = 4096;

const groupSumsKernel: Kernel<Cells> = {
  op: groupSums,
  reducer: ({ out, attrs }) => {
    const groups = attrs.groups as number;
    const totals = new Float64Array(out.rows * out.cols);
    const part = new Float64Array(totals.length);
    return {
      add: ([g, a]) => {
        for (let from = 0; from < a!.rows; from += PART_ROWS) {
          const to = Math.min(from + PART_ROWS, a!.rows);
          part.fill(0);
          addRows(part, g!.data, a!.data, a!.cols, groups, from, to);
          for (let i = 0; i < totals.length; i++) totals[i]! += part[i]!;
        }
      },
      result: () => converted(dense(out.rows, out.cols, totals), out.dtype),
    };
  },
};

function addRows(
  sums: Float64Array,
  g: Cells,
  a: Cells,
  cols: number,
  groups: number,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const label = g[i]!;
    if (!(label >= 0 && label < groups)) continue;
    // As an integer: indices computed from a double would be checked and converted at every access.
    const at = (label | 0) * cols;
    const row = i * cols;
    for (let j = 0; j < cols; j++) sums[at + j]! += a[row + j]!;
  }
}

const takeRowsKernel: Kernel<Cells> = {
  op: takeRows,
  run: ({ inputs: [g, table], out }, context) => {
    const { rows, cols, data } = table!;
    const cells = context.allocate(out.rows * cols, out.dtype);
    for (let i = 0; i < out.rows; i++) {
      const label = g!.data[i]!;
      const isRow = label >= 0 && label < rows;
      const from = isRow ? (label | 0) * cols : 0;
      const at = i * cols;
      for (let j = 0; j < cols; j++) cells[at + j] = isRow ? data[from + j]! : 0;
    }
    return dense(out.rows, cols, cells);
  },
};

export const groupKernels: readonly Kernel<Cells>[] = [groupSumsKernel, takeRowsKernel];
