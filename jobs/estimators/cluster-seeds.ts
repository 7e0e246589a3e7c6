/**
 * First centres for k-means, by random numbers that depend on the seed, the start, the step and the
 * row's number only: the same on every engine and for any partitioning. Row i is drawn with a chance
 * in proportion to w_i where log(u_i) / w_i is greatest. The first k centres of a start are those of
 * every k, so all values of k of a grid share their starts.
 * Sources: Arthur and Vassilvitskii, k-means++ (2007); Efraimidis and Spirakis (2006), the drawing.
 */
import { type Matrix, matrix, rand } from '../../driver/index.js';
import { type ClusterRows, preparedRows } from './clusters.js';

export interface SeedOptions {
  readonly init: 'k-means++' | 'random';
  /** How many starts. */
  readonly starts: number;
  /** Centres of each. */
  readonly most: number;
  /** Whole, below 2^32. */
  readonly seed: number;
}

/** Steps of a start draw from streams of their own. */
const STEPS = 65_536;

/** Centres by start, in prepared columns: [most, design]. One pass a centre for all starts. */
export async function firstCenters(
  rows: ClusterRows,
  { init, starts, most, seed }: SeedOptions,
): Promise<Float64Array[]> {
  const { X, weight, design } = rows;
  const { session } = X;
  const d = design.cols - 1;
  const chances = (step: number): Matrix =>
    rand(session, X.rows, starts, { seed: seed * STEPS + step }).log();
  const weighted = (keys: Matrix): Matrix => (weight === undefined ? keys : keys.div(weight));
  if (init === 'random') {
    const keys = weighted(chances(0));
    const drawn = await ranked(
      keys,
      Array.from({ length: starts }, () => most),
    );
    return split(await rowsOf(rows, drawn.flat()), starts, most, d);
  }
  const Z = preparedRows(rows);
  const squares = Z.rowSumSqs();
  const centers = Array.from({ length: starts }, () => new Float64Array(most * d));
  let nearest: Matrix | undefined;
  for (let step = 0; step < most; step++) {
    const keys = chances(step);
    const own = nearest === undefined ? keys : keys.div(nearest);
    const drawn = await ranked(
      weighted(own),
      Array.from({ length: starts }, () => 1),
    );
    const chosen = await rowsOf(rows, drawn.flat());
    for (let s = 0; s < starts; s++) centers[s]!.set(chosen.subarray(s * d, (s + 1) * d), step * d);
    const distances = distancesTo(Z, squares, chosen, starts);
    nearest = nearest === undefined ? distances : nearest.minimum(distances);
    if (step < most - 1) await (session.persist?.([nearest.expr]) ?? nearest.value());
  }
  return centers;
}

/** Squared distances of rows from each centre. @shape Z: [n, d] -> [n, centres] */
function distancesTo(Z: Matrix, squares: Matrix, centers: Float64Array, count: number): Matrix {
  const { session } = Z;
  const C = matrix(session, count, Z.cols, centers);
  return squares.sub(Z.matmul(C.t()).mul(2)).add(C.rowSumSqs().t()).maximum(0);
}

/** Numbers of the rows with the greatest keys, by column. */
async function ranked(keys: Matrix, counts: readonly number[]): Promise<number[][]> {
  const found = await Promise.all(
    counts.map((count, by) => keys.topK(count, { by, descending: true }).value()),
  );
  return found.map(({ rows, cols, data }) =>
    Array.from({ length: rows }, (_, i) => data[i * cols]!),
  );
}

/** Prepared rows by number, one after another. */
async function rowsOf(
  { X, design }: ClusterRows,
  numbers: readonly number[],
): Promise<Float64Array> {
  const found = await Promise.all(numbers.map((number) => X.row(number).value()));
  const d = design.cols - 1;
  const out = new Float64Array(numbers.length * d);
  found.forEach(({ data }, i) => {
    for (const { row, col, value } of design.cells) {
      if (col < d) out[i * d + col]! += value * (row === data.length ? 1 : data[row]!);
    }
  });
  return out;
}

function split(rows: Float64Array, starts: number, most: number, d: number): Float64Array[] {
  return Array.from({ length: starts }, (_, s) => rows.slice(s * most * d, (s + 1) * most * d));
}
