/** Random matrices that are mostly zero: their rows are drawn one by one into compressed rows. */
import type { Attrs } from '../../../driver/ir/attrs.js';
import { CsrBuilder, type CsrMatrix } from '../../../driver/ir/csr.js';
import { randomRows } from '../../../driver/operators/rand.js';

/** Share of cells that are kept, up to which they are held alone. */
const MOST_KEPT = 1 / 8;
/** Narrower rows are small whichever way. */
const MIN_COLUMNS = 16;

export function isSparseRand(attrs: Attrs): boolean {
  const { sparsity, cols } = attrs as { readonly sparsity?: number; readonly cols: number };
  return sparsity !== undefined && sparsity <= MOST_KEPT && cols >= MIN_COLUMNS;
}

/** Rows [first, first + count). */
export function sparseRandomRows(attrs: Attrs, first: number, count: number): CsrMatrix {
  const cols = attrs.cols as number;
  const expected = count * cols * (attrs.sparsity as number);
  const builder = new CsrBuilder(count, cols, 'float64', expected * 1.1);
  for (let i = 0; i < count; i++) {
    const cells = randomRows(attrs, first + i, 1);
    for (let j = 0; j < cols; j++) builder.add(j, cells[j]!);
    builder.endRow();
  }
  return builder.value;
}
