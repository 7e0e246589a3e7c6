/**
 * How the rows of a block fall into groups (folds). Long runs of one group are worked on where they
 * lie; scattered rows are gathered group by group first. Rows with a group outside 0..groups-1 are
 * in no piece.
 */

/** Rows `start .. start+rows-1` of a block, or of a gathered buffer, that belong to one group. */
export interface Piece {
  readonly group: number;
  readonly start: number;
  readonly rows: number;
}

/** Mean length from which runs are worth a library call each without gathering. */
const LONG_RUN = 256;

/** The runs of equal group numbers, in pieces of at most `maxRows`; undefined when short. */
export function longRuns(
  g: Float64Array,
  groups: number,
  maxRows: number,
): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  const limit = Math.max(4, g.length / LONG_RUN);
  let runs = 0;
  for (let start = 0; start < g.length; ) {
    const group = g[start]!;
    let end = start + 1;
    while (end < g.length && g[end] === group) end++;
    if (++runs > limit) return undefined;
    if (group >= 0 && group < groups) {
      const rows = end - start;
      pieces.push(...divided({ group, start, rows }, Math.ceil(rows / maxRows)));
    }
    start = end;
  }
  return pieces;
}

/** A piece in parts of nearly equal length, without empty ones. */
export function divided({ group, start, rows }: Piece, count: number): Piece[] {
  const at = (part: number): number => start + Math.floor((rows * part) / count);
  return Array.from({ length: count }, (_, part) => {
    return { group, start: at(part), rows: at(part + 1) - at(part) };
  }).filter((part) => part.rows > 0);
}

/** Rows of a block in the order of their groups, as they are gathered. */
export interface GroupedRows {
  /** Row of the block that comes k-th. */
  readonly order: Int32Array;
  /** One piece a group that has rows, in order; `start` counts gathered rows. */
  readonly pieces: readonly Piece[];
}

/** Sorts rows `from .. to-1` by group, stably, in linear time. */
export function gather(g: Float64Array, groups: number, from: number, to: number): GroupedRows {
  const starts = new Int32Array(groups + 1);
  for (let i = from; i < to; i++) {
    const group = g[i]!;
    if (group >= 0 && group < groups) starts[(group | 0) + 1]!++;
  }
  for (let group = 0; group < groups; group++) starts[group + 1]! += starts[group]!;
  const pieces: Piece[] = [];
  for (let group = 0; group < groups; group++) {
    const rows = starts[group + 1]! - starts[group]!;
    if (rows > 0) pieces.push({ group, start: starts[group]!, rows });
  }
  const order = new Int32Array(starts[groups]!);
  for (let i = from; i < to; i++) {
    const group = g[i]!;
    if (group >= 0 && group < groups) order[starts[group | 0]!++] = i;
  }
  return { order, pieces };
}

/** From this width on a row is copied by one call. @units cells */
const WIDE_CELLS = 32;

/**
 * Copies row `from[k]` of one matrix into row `to[k]` of another; no numbers: row k. Not in a
 * generator, which the engine can't optimise.
 */
export function copyRows(
  source: Float64Array,
  from: Int32Array | undefined,
  target: Float64Array,
  to: Int32Array | undefined,
  width: number,
): void {
  const rows = (from ?? to)!.length;
  for (let k = 0; k < rows; k++) {
    // As integers, which indices computed from doubles are not; batches are small.
    const start = ((from === undefined ? k : from[k]!) * width) | 0;
    const at = ((to === undefined ? k : to[k]!) * width) | 0;
    if (width >= WIDE_CELLS) target.set(source.subarray(start, start + width), at);
    else for (let j = 0; j < width; j++) target[at + j] = source[start + j]!;
  }
}
