/**
 * Choosing the shift of a group's moments from its first rows, and telling rows that are mostly
 * zero. A shift near the mean keeps the digits of a variance that is small beside it; 0 spares the
 * subtraction where it loses little.
 */
import type { Float64Matrix } from '../../../driver/ir/value.js';

/** The first rows of a group. */
export interface RowSample {
  readonly rows: number;
  /** Row of the operands that is the k-th of the sample. */
  readonly rowOf: (k: number) => number;
  /**
   * When a column keeps shift 0: `never`; `small`: all columns do if every mean is at most 8
   * spreads, which costs under two digits; `sparse`: a column that is mostly zero does, whose mean
   * is below its root mean square by itself.
   */
  readonly zeroIf: 'never' | 'small' | 'sparse';
}

const SAMPLED_ROWS = 4096;
/** Largest |mean| / spread with which moments about 0 are as good as centred ones. */
const SMALL_RATIO = 8;

/** Writes the shift of [1, z] (its first cell stays 0). @returns false when it is 0 throughout */
export function chooseShift(
  shift: Float64Array,
  parts: readonly Float64Matrix[],
  sample: RowSample,
): boolean {
  const rows = Math.min(sample.rows, SAMPLED_ROWS);
  const squares = new Float64Array(shift.length);
  const zeros = new Int32Array(shift.length);
  let at = 1;
  for (const { data, cols } of parts) {
    for (let k = 0; k < rows; k++) {
      const row = sample.rowOf(k) * cols;
      for (let j = 0; j < cols; j++) {
        const cell = data[row + j]!;
        shift[at + j]! += cell;
        squares[at + j]! += cell * cell;
        if (cell === 0) zeros[at + j]!++;
      }
    }
    at += cols;
  }
  let isSmall = sample.zeroIf === 'small';
  let hasShift = false;
  for (let j = 1; j < shift.length; j++) {
    const mean = shift[j]! / rows;
    const variance = squares[j]! / rows - mean * mean;
    if (!(mean * mean <= SMALL_RATIO ** 2 * variance || mean === 0)) isSmall = false;
    const keepsZero = sample.zeroIf === 'sparse' && zeros[j]! * 2 > rows;
    shift[j] = keepsZero ? 0 : mean;
    if (shift[j] !== 0) hasShift = true;
  }
  if (isSmall) shift.fill(0);
  return hasShift && !isSmall;
}

/** Share of non-zero cells below which adding products cell by cell beats a dense update. */
const SPARSE_SHARE = 0.2;
/** Narrower moments are cheap whichever way. */
const SPARSE_SIDE = 24;

/** Whether at most a fifth of the cells are non-zero, judged by rows spread over the operands. */
export function isMostlyZero(parts: readonly Float64Matrix[], side: number): boolean {
  if (side < SPARSE_SIDE) return false;
  let cells = 0;
  let filled = 0;
  for (const { data, rows, cols } of parts) {
    const step = Math.max(1, Math.floor(rows / 256));
    for (let i = 0; i < rows; i += step) {
      for (let j = 0; j < cols; j++) if (data[i * cols + j] !== 0) filled++;
      cells += cols;
    }
  }
  return filled <= SPARSE_SHARE * cells;
}
