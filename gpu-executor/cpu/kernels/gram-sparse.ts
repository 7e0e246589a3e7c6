/**
 * Moments of rows that are mostly zero: a row of k non-zero cells costs the scan for them and k^2 /
 * 2 products, whatever its width. One-hot columns are the case in mind: 10 of 150 cells, a fraction
 * of the work of the dense update. Products may land in either triangle; `GramSums` brings them
 * together.
 */
import type { Float64Matrix } from '../../../driver/ir/value.js';
import { type GramSums, STEP_ROWS } from './gram-sums.js';

/** One operand, with what the shifts of [1, z] say about its columns. */
interface Part {
  readonly data: Float64Array;
  readonly cols: number;
  /** Column of [1, z] its first column is. */
  readonly offset: number;
  /** Per group, its columns with a shift: their zeros count as cells too. */
  readonly shifted: readonly Int32Array[];
}

/** The cells of a row of [1, z - shift] that are not zero. */
interface SparseRow {
  readonly columns: Int32Array;
  readonly cells: Float64Array;
}

/** Adds [1, z - shift] of every row, `weights` times, to its group's moments. */
export function addSparseRows(
  g: Float64Array,
  operands: readonly Float64Matrix[],
  weights: Float64Array | undefined,
  shifts: Float64Array,
  totals: GramSums,
): void {
  const { groups, side } = totals;
  const parts = partsOf(operands, groups, side, shifts);
  const row = { columns: new Int32Array(side), cells: new Float64Array(side) };
  row.cells[0] = 1;
  const counts = new Int32Array(groups);
  for (let from = 0; from < g.length; from += STEP_ROWS) {
    const sums = totals.rowSums();
    counts.fill(0);
    for (let i = from; i < Math.min(g.length, from + STEP_ROWS); i++) {
      const label = g[i]!;
      if (!(label >= 0 && label < groups)) continue;
      // As an integer: indices computed from a double would be checked and converted at every access.
      const group = label | 0;
      counts[group]!++;
      let count = 1;
      for (let p = 0; p < parts.length; p++) {
        count = collect(row, count, parts[p]!, i, group, shifts, group * side);
      }
      addProducts(sums, group * side * side, side, row, count, weights?.[i] ?? 1);
    }
    for (let group = 0; group < groups; group++) totals.rowsAdded(group, counts[group]!);
  }
}

function partsOf(
  operands: readonly Float64Matrix[],
  groups: number,
  side: number,
  shifts: Float64Array,
): Part[] {
  let offset = 1;
  return operands.map(({ data, cols }) => {
    const shifted = Array.from({ length: groups }, (_, group) => {
      const from = group * side + offset;
      return Int32Array.from({ length: cols }, (_cell, j) => j).filter(
        (j) => shifts[from + j] !== 0,
      );
    });
    const part = { data, cols, offset, shifted };
    offset += cols;
    return part;
  });
}

/** Appends one operand's cells to the `count` there are, and returns their new number. */
function collect(
  { columns, cells }: SparseRow,
  count: number,
  { data, cols, offset, shifted }: Part,
  i: number,
  group: number,
  shifts: Float64Array,
  shiftFrom: number,
): number {
  const from = i * cols;
  const shiftAt = shiftFrom + offset;
  let next = count;
  for (let j = 0; j < cols; j++) {
    const cell = data[from + j]!;
    if (cell !== 0) {
      columns[next] = offset + j;
      cells[next++] = cell - shifts[shiftAt + j]!;
    }
  }
  const zeros = shifted[group]!;
  for (let k = 0; k < zeros.length; k++) {
    const j = zeros[k]!;
    if (data[from + j] !== 0) continue;
    columns[next] = offset + j;
    cells[next++] = -shifts[shiftAt + j]!;
  }
  return next;
}

function addProducts(
  sums: Float64Array,
  base: number,
  side: number,
  { columns, cells }: SparseRow,
  count: number,
  weight: number,
): void {
  for (let a = 0; a < count; a++) {
    const at = base + columns[a]! * side;
    const cell = weight * cells[a]!;
    for (let b = a; b < count; b++) sums[at + columns[b]!]! += cell * cells[b]!;
  }
}
