/**
 * Lloyd's iterations for many k-means models at once: an iteration is one pass over the data, in
 * which one product compares every row with all centres of all models, and sums by cluster change by
 * the rows that change clusters. Rows are prepared by each model's own design (imputed,
 * standardised), which is an affine map M: with the encoded row e = [x, 1], the row is e M, so
 * centres are compared as weights M [2 c; -|c|^2], and sums of rows are M' sums of e.
 * Empty clusters take the rows farthest from their centres, as in scikit-learn's `KMeans`. Weights
 * that came and went leave rounding behind, so sums of a cluster nearly without weight are made anew.
 */
import {
  bestColumns,
  type DenseMatrix,
  fill,
  type Matrix,
  matrix,
  regroupSums,
  takeRows,
} from '../../driver/index.js';

/** The rows that models are trained on, and how their columns are prepared. */
export interface ClusterRows {
  /** Encoded columns: [n, encoded]. */
  readonly X: Matrix;
  /** [n, 1]; 0 for rows that are left out. Absent: all 1. */
  readonly weight?: Matrix | undefined;
  /** M, about the mean of the training rows: [encoded + 1, design + 1]. */
  readonly design: AffineMap;
}

/** The cells of M that are not 0. */
export interface AffineMap {
  readonly rows: number;
  readonly cols: number;
  readonly cells: readonly { readonly row: number; readonly col: number; readonly value: number }[];
}

export interface ClusterStart {
  readonly rows: ClusterRows;
  /** In prepared columns: [clusters, design]. */
  readonly centers: Float64Array;
  readonly clusters: number;
  /** Ends when centres move by at most this: the sum of squared distances. */
  readonly tolerance: number;
  readonly maxIterations: number;
  /** Where it stood after fewer iterations: it goes on there, and not at `centers`. */
  readonly from?: ClusterEnd;
}

/** Where a start stands, its rows compared with its centres. */
export interface ClusterEnd {
  readonly centers: Float64Array;
  readonly iterations: number;
  /** Its centres move no more; else it may go on. */
  readonly isFinished: boolean;
  /** Sums of encoded rows by cluster, weights last: [clusters, encoded + 1]. */
  readonly encodedSums: Float64Array;
}

export interface Clustering extends ClusterEnd {
  /** Weight and sums of the rows of each cluster: [clusters, design + 1], weights last. */
  readonly sums: Float64Array;
}

/** A model in the stack. */
interface Live {
  readonly start: ClusterStart;
  centers: Float64Array;
  /** Sums of encoded rows by cluster, by the last centres rows were compared with. */
  readonly sums: Float64Array;
  iterations: number;
  isFinished: boolean;
  /** `last`: the centres are final and rows are compared with them once more. */
  state: 'moving' | 'last' | 'over';
}

/** Models side by side, and what is kept of the rows between iterations. */
interface Stack {
  readonly X: Matrix;
  readonly models: readonly Live[];
  readonly widths: readonly number[];
  readonly weights: Matrix | undefined;
  /** The cluster of each row under each model; none to begin with. */
  readonly labels: Matrix;
}

/** Largest memory of clusters by row and model that are kept between iterations. @units bytes */
const KEPT_BYTES = 512 * 1024 * 1024;
/** Clusters lighter than this share of all may be rounding. */
const LOST_SHARE = 1e-9;
/** Models that are over leave the stack when they are this share of its columns. */
const OVER_SHARE = 1 / 4;

/** One clustering for each start. All starts are of the same X. */
export async function clusterAll(starts: readonly ClusterStart[]): Promise<Clustering[]> {
  const { X } = starts[0]!.rows;
  const models = starts.map((start) => begun(start, X.cols + 1));
  await Promise.all(models.map(goOn));
  const going = models.filter((one) => !isOver(one));
  const none = fill(X.session, X.rows, Math.max(1, going.length), -1, { dtype: 'float32' });
  let stack = stackOf(X, going, none);
  while (!stack.models.every(isOver)) {
    const labels = await compare(stack);
    for (let m = 0; m < stack.models.length; m++) {
      const one = stack.models[m]!;
      if (one.state === 'last') one.state = 'over';
      if (one.state === 'moving') await move(one, labels.slice(null, m));
    }
    stack = smaller({ ...stack, labels });
  }
  return models.map(({ start, centers, iterations, isFinished, sums }) => ({
    ...{ centers, iterations, isFinished },
    encodedSums: sums,
    sums: prepared(start, sums),
  }));
}

/** @param side of the sums of a cluster */
function begun(start: ClusterStart, side: number): Live {
  const { from, clusters, maxIterations } = start;
  if (from === undefined) {
    const own = { iterations: 0, isFinished: false, state: 'moving' as const };
    return { start, centers: start.centers, sums: new Float64Array(clusters * side), ...own };
  }
  const { centers, iterations, isFinished, encodedSums } = from;
  const isOver = isFinished || iterations >= maxIterations;
  const sums = Float64Array.from(encodedSums);
  return { start, centers, sums, iterations, isFinished, state: isOver ? 'over' : 'moving' };
}

/**
 * The first step of one that goes on, whose rows were compared with its centres. Which clusters they
 * are in is not known any more, so sums begin anew after it; of empty ones they do so before.
 */
async function goOn(one: Live): Promise<void> {
  if (one.start.from === undefined || isOver(one)) return;
  if (emptyClusters(prepared(one.start, one.sums), one.start).length === 0) await move(one);
  // One whose centres did not move stands where its sums are of.
  if (!isOver(one)) one.sums.fill(0);
}

function isOver({ state }: Live): boolean {
  return state === 'over';
}

function stackOf(X: Matrix, models: readonly Live[], labels: Matrix): Stack {
  const weights = models.map(({ start }) => start.rows.weight);
  const isOne = weights.every((weight) => weight === weights[0]);
  const columns = weights.map((weight) => weight ?? fill(X.session, X.rows, 1, 1));
  return {
    X,
    models,
    widths: models.map(({ start }) => start.clusters),
    weights: isOne ? weights[0] : columns[0]!.cbind(...columns.slice(1)),
    labels,
  };
}

/** Without the models that are over, where that pays. */
function smaller(stack: Stack): Stack {
  const { X, models, widths, labels } = stack;
  const all = total(widths);
  const over = total(widths.filter((_, m) => isOver(models[m]!)));
  if (over === all || over < OVER_SHARE * all) return stack;
  const columns = models.flatMap((one, m) => (isOver(one) ? [] : [labels.slice(null, m)]));
  const kept = columns[0]!.cbind(...columns.slice(1));
  return stackOf(
    X,
    models.filter((one) => !isOver(one)),
    kept,
  );
}

/** Compares rows with centres and brings the sums up to date. @returns the clusters of the rows */
async function compare({ X, models, widths, weights, labels: from }: Stack): Promise<Matrix> {
  const { session } = X;
  const isKept = X.rows * models.length * 4 <= KEPT_BYTES;
  const to = bestColumns(X, matrix(session, X.cols + 1, total(widths), decisions(models)), widths);
  const none = fill(session, X.rows, models.length, -1, { dtype: 'float32' });
  const change = (before: Matrix) => regroupSums({ X, from: before, to, weights }, widths).value();
  const [value] = await Promise.all([
    change(isKept ? from : none),
    isKept ? (session.persist?.([to.expr]) ?? session.evaluate([to.expr])) : undefined,
  ]);
  add(models, value, isKept);
  if (isKept && weights && models.some(isUncertain)) add(models, await change(none), false);
  return to;
}

/** @param isChange whether the sums change by `value`, or are it */
function add(models: readonly Live[], value: DenseMatrix, isChange: boolean): void {
  let at = 0;
  for (const { sums } of models) {
    if (!isChange) sums.fill(0);
    for (let i = 0; i < sums.length; i++) sums[i]! += value.data[at++]!;
  }
}

/** Whether a cluster may be without rows: what it weighs may be what rounding left. */
function isUncertain({ start, sums }: Live): boolean {
  const side = sums.length / start.clusters;
  const weights = Array.from({ length: start.clusters }, (_, k) => sums[(k + 1) * side - 1]!);
  const least = LOST_SHARE * total(weights);
  return weights.some((weight) => weight !== 0 && weight < least);
}

/** M [2 c; -|c|^2] of all centres of all models: [encoded + 1, centres]. */
function decisions(models: readonly Live[]): Float64Array {
  const all = total(models.map(({ start }) => start.clusters));
  const rows = models[0]!.start.rows.design.rows;
  const weights = new Float64Array(rows * all);
  let column = 0;
  for (const { start, centers } of models) {
    const { cells, cols } = start.rows.design;
    const d = cols - 1;
    for (let k = 0; k < start.clusters; k++, column++) {
      let square = 0;
      for (let j = 0; j < d; j++) square += centers[k * d + j]! ** 2;
      for (const { row, col, value } of cells) {
        const weight = col === d ? -square : 2 * centers[k * d + col]!;
        weights[row * all + column]! += value * weight;
      }
    }
  }
  return weights;
}

/** The rows as models see them: [n, design]. */
export function preparedRows({ X, design }: ClusterRows): Matrix {
  const { rows, cols } = design;
  const cells = new Float64Array(rows * cols);
  for (const { row, col, value } of design.cells) cells[row * cols + col]! += value;
  const M = matrix(X.session, rows, cols, cells);
  return X.matmul(M.slice([0, X.cols], [0, cols - 1])).add(M.slice(X.cols, [0, cols - 1]));
}

/** Sums of prepared rows by cluster, their weights last: [clusters, design + 1]. */
function prepared({ clusters, rows: { design } }: ClusterStart, sums: Float64Array): Float64Array {
  const { rows, cols, cells } = design;
  const out = new Float64Array(clusters * cols);
  for (let k = 0; k < clusters; k++) {
    for (const { row, col, value } of cells) out[k * cols + col]! += sums[k * rows + row]! * value;
  }
  return out;
}

function emptyClusters(sums: Float64Array, { clusters, rows: { design } }: ClusterStart): number[] {
  const { cols: side } = design;
  const all = Array.from({ length: clusters }, (_, k) => k);
  return all.filter((k) => !(sums[(k + 1) * side - 1]! > 0));
}

/** New centres from the sums. @param labels the clusters of the rows, where any is empty: [n, 1] */
async function move(one: Live, labels?: Matrix): Promise<void> {
  const { start, centers: old } = one;
  const { clusters, tolerance, maxIterations } = start;
  const side = start.rows.design.cols;
  const d = side - 1;
  const sums = prepared(start, one.sums);
  const isEmpty = (k: number): boolean => !(sums[k * side + d]! > 0);
  const empty = emptyClusters(sums, start);
  if (empty.length > 0 && labels !== undefined) await relocate(empty, sums, one, labels);
  const centers = new Float64Array(clusters * d);
  let largest = 0;
  for (let k = 1; k < clusters; k++) {
    if (sums[k * side + d]! > sums[largest * side + d]!) largest = k;
  }
  let shift = 0;
  for (let k = 0; k < clusters; k++) {
    // A cluster that stays empty, all rows being on centres, stands where the largest is.
    const from = (isEmpty(k) ? largest : k) * side;
    for (let j = 0; j < d; j++) {
      const cell = sums[from + j]! / sums[from + d]!;
      centers[k * d + j] = cell;
      shift += (cell - old[k * d + j]!) ** 2;
    }
  }
  one.centers = centers;
  one.iterations++;
  one.isFinished = shift <= tolerance;
  if (shift === 0) one.state = 'over';
  else if (one.isFinished || one.iterations >= maxIterations) one.state = 'last';
}

/** Gives each empty cluster one of the rows that are farthest from their centres. */
async function relocate(
  empty: readonly number[],
  sums: Float64Array,
  { start, centers }: Live,
  labels: Matrix,
): Promise<void> {
  const { X, weight, design } = start.rows;
  const { session } = X;
  const side = design.cols;
  const d = side - 1;
  const Z = preparedRows(start.rows);
  const own = takeRows(labels.cast('float64'), matrix(session, start.clusters, d, centers));
  const distance = Z.sub(own).rowSumSqs();
  const weights = weight ?? fill(session, X.rows, 1, 1);
  const ranked = weights.ne(0).ifelse(distance, -1).cbind(labels.cast('float64'), weights, Z);
  const rows = await ranked.topK(empty.length, { descending: true }).value();
  if (!(rows.data[1]! > 0)) return;
  empty.forEach((k, i) => {
    const at = i * rows.cols;
    if (i >= rows.rows || rows.data[at + 1]! < 0) return;
    const from = rows.data[at + 2]! * side;
    const share = rows.data[at + 3]!;
    for (let j = 0; j <= d; j++) {
      const cell = j === d ? share : share * rows.data[at + 4 + j]!;
      sums[from + j]! -= cell;
      sums[k * side + j] = cell;
    }
  });
}

/**
 * The sum of squared distances of rows from the centres of their clusters.
 * @param squares the weighted sum of squares of the prepared rows
 */
export function inertiaOf(
  { centers, sums }: Pick<Clustering, 'centers' | 'sums'>,
  squares: number,
): number {
  const clusters = sums.length - centers.length;
  const d = centers.length / clusters;
  let sum = squares;
  for (let k = 0; k < clusters; k++) {
    const weight = sums[k * (d + 1) + d]!;
    for (let j = 0; j < d; j++) {
      const center = centers[k * d + j]!;
      sum += center * (weight * center - 2 * sums[k * (d + 1) + j]!);
    }
  }
  return Math.max(0, sum);
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0);
}
