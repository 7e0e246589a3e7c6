/**
 * Choosing the shift of a group's moments from its first rows, and telling rows that are mostly
 * zero. A shift near the mean keeps the digits of a variance that is small beside it; 0 spares the
 * subtraction where it loses little.
 */
import type { Numbers } from './gram-columns.js';

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
const TILE_ROWS = 64;
/** Largest |mean| / spread with which moments about 0 are as good as centred ones. */
const SMALL_RATIO = 8;

/**
 * Writes the shift of [1, z] at the places of the numbers; its first cell stays 0.
 * @returns false when it is 0 throughout
 */
export function chooseShift(
  shift: Float64Array,
  { places, cells, strides }: Numbers,
  sample: RowSample,
): boolean {
  const rows = Math.min(sample.rows, SAMPLED_ROWS);
  const squares = new Float64Array(shift.length);
  const zeros = new Int32Array(shift.length);
  const order = Int32Array.from({ length: rows }, (_, k) => sample.rowOf(k));
  // A few rows of all columns at a time: a row's cells lie side by side in memory.
  for (let from = 0; from < rows; from += TILE_ROWS) {
    const tile = order.subarray(from, from + TILE_ROWS);
    for (let a = 0; a < places.length; a++) {
      const [column, stride, at] = [cells[a]!, strides[a]!, places[a]!];
      let [sum, square, zero] = [shift[at]!, squares[at]!, 0];
      for (let k = 0; k < tile.length; k++) {
        const cell = column[tile[k]! * stride]!;
        sum += cell;
        square += cell * cell;
        if (cell === 0) zero++;
      }
      [shift[at], squares[at]] = [sum, square];
      zeros[at]! += zero;
    }
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

/** Whether at most a fifth of the cells are non-zero, judged by rows spread over the block. */
export function isMostlyZero({ cells, strides }: Numbers, rows: number): boolean {
  if (cells.length < SPARSE_SIDE - 1) return false;
  const step = Math.max(1, Math.floor(rows / 256));
  let filled = 0;
  for (const [a, column] of cells.entries()) {
    for (let i = 0; i < rows; i += step) if (column[i * strides[a]!] !== 0) filled++;
  }
  return filled <= SPARSE_SHARE * cells.length * Math.ceil(rows / step);
}
