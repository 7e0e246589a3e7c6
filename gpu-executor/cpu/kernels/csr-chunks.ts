/**
 * How compressed rows come to lanes: some rows at a time, which stay in the cache of a core with
 * their cells, beside dense rows that are copied there and back.
 */
import type { CsrMatrix } from '../../../driver/ir/csr.js';
import type { Cells } from '../../../driver/ir/value.js';

export const MOST_ROWS = 256;
const MOST_CELLS = 1 << 13;

/** The most cells of a chunk: one row alone may have more than several together. */
export function mostCells({ rows, rowStarts }: CsrMatrix): number {
  let most = MOST_CELLS;
  for (let i = 0; i < rows; i++) most = Math.max(most, rowStarts[i + 1]! - rowStarts[i]!);
  return most;
}

/** Runs of rows that are computed together. */
export function* chunksOf({
  rows,
  rowStarts,
}: CsrMatrix): Generator<readonly [from: number, to: number]> {
  for (let from = 0, to = 0; from < rows; from = to) {
    to = from + 1;
    const most = Math.min(rows, from + MOST_ROWS);
    while (to < most && rowStarts[to + 1]! - rowStarts[from]! <= MOST_CELLS) to++;
    yield [from, to];
  }
}

/** Rows of `count` cells; cells beyond them are made 0 where the rows of `to` are longer. */
export function copyStrided(
  from: Cells,
  fromAt: number,
  fromStride: number,
  to: Cells,
  toAt: number,
  toStride: number,
  rows: number,
  count: number,
): void {
  if (fromStride === toStride) {
    to.set(from.subarray(fromAt, fromAt + rows * fromStride), toAt);
    return;
  }
  for (let i = 0; i < rows; i++) {
    const at = toAt + i * toStride;
    const source = fromAt + i * fromStride;
    for (let k = 0; k < count; k++) to[at + k] = from[source + k]!;
    for (let k = count; k < toStride; k++) to[at + k] = 0;
  }
}
