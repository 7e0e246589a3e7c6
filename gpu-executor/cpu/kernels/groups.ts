/** `groupSums` and `takeRows`: plain loops, one addition or copy a cell, over cells of either dtype. */
import { type Cells, converted, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { groupSums } from '../../../driver/operators/group-sums.js';
import { takeRows } from '../../../driver/operators/take-rows.js';
import type { Kernel } from './kernel.js';

/**
 * Rows summed by themselves before they are added, which keeps sums over many rows accurate; as many
 * as there are sums where these are more, so that adding them costs no more than the rows.
 */
const PART_ROWS = 4096;
/** Rows from this many cells on are copied by one call rather than cell by cell. */
const COPIED_CELLS = 16;

const groupSumsKernel: Kernel<Cells> = {
  op: groupSums,
  reducer: ({ out, attrs }) => {
    const groups = attrs.groups as number;
    const totals = new Float64Array(out.rows * out.cols);
    const part = new Float64Array(totals.length);
    const partRows = Math.max(PART_ROWS, totals.length);
    return {
      add: ([g, a]) => {
        for (let from = 0; from < a!.rows; from += partRows) {
          const to = Math.min(from + partRows, a!.rows);
          part.fill(0);
          addRows(part, g!.data, a!.data, a!.cols, groups, from, to);
          for (let i = 0; i < totals.length; i++) totals[i]! += part[i]!;
        }
      },
      result: () => converted(dense(out.rows, out.cols, totals), out.dtype),
    };
  },
};

function rowViews({ rows, cols, data }: DenseMatrix): readonly Cells[] {
  return Array.from({ length: rows }, (_, i) => data.subarray(i * cols, (i + 1) * cols));
}

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
  takesRows: true,
  run: ({ inputs: [g, table], out }, context) => {
    const { rows, cols, data } = table!;
    const cells = context.allocate(out.rows * cols, out.dtype);
    // Views of all rows pay where most are taken, and more than once.
    const isCopied = cols >= COPIED_CELLS;
    const views = isCopied && out.rows >= rows ? rowViews(table!) : undefined;
    for (let i = 0; i < out.rows; i++) {
      const label = g!.data[i]!;
      const at = i * cols;
      if (!(label >= 0 && label < rows)) cells.fill(0, at, at + cols);
      else if (isCopied && views === undefined) {
        // Rows that follow one another are one copy: batches in order, say.
        const from = label | 0;
        const run = runFrom(g!.data, i, Math.min(out.rows, i + rows - from));
        cells.set(data.subarray(from * cols, (from + run) * cols), at);
        i += run - 1;
      } else if (views !== undefined) cells.set(views[label | 0]!, at);
      else for (let j = 0; j < cols; j++) cells[at + j] = data[(label | 0) * cols + j]!;
    }
    return dense(out.rows, cols, cells);
  },
};

/** Numbers from place i on, before `end`, of which each is one more than the one before. */
function runFrom(numbers: Cells, i: number, end: number): number {
  let to = i + 1;
  while (to < end && numbers[to] === numbers[to - 1]! + 1) to++;
  return to - i;
}

export const groupKernels: readonly Kernel<Cells>[] = [groupSumsKernel, takeRowsKernel];
