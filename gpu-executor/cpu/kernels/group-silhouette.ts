/**
 * `groupSilhouette` by blocks of rows: products give a block's distances from all rows of its group,
 * |x|^2 - 2 x y + |y|^2, and products of these with the rows' clusters, as ones and zeros, the sums
 * by cluster of all clusterings. Rows are about their mean, and where the squares cancel, the
 * distance is summed from differences: of equal rows it is 0. Memory is bounded: a block, and the
 * clusters of as many clusterings as fit.
 */
import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import {
  type Clusters,
  clustersOf,
  groupSilhouette,
  meanSilhouette,
} from '../../../driver/operators/group-silhouette.js';
import type { GemmArgs } from '../native/blas.js';
import { gather } from './grouping.js';
import type { Kernel, KernelCall } from './kernel.js';

/** Distances of a block. @units 8 bytes */
const BLOCK_CELLS = 1 << 21;
/** Columns of ones and zeros at a time. */
const MOST_CLUSTERS = 256;
/** Below this share of the squares, what is left of them is mostly rounding. */
const CANCELLED = 1e-6;

export const groupSilhouetteKernel: Kernel = {
  op: groupSilhouette,
  run: (call, { blas }) => {
    const work = silhouettes(call);
    for (;;) {
      const next = work.next();
      if (next.done) return next.value;
      blas.gemm(...next.value);
    }
  },
  runAsync: async (call, { blas }) => {
    const work = silhouettes(call);
    for (;;) {
      const next = work.next();
      if (next.done) return next.value;
      await blas.gemmAsync(...next.value);
    }
  },
};

/** Yields the products to do next. */
function* silhouettes({ inputs, attrs, out }: KernelCall): Generator<GemmArgs, Float64Matrix> {
  const [g, z, labels] = inputs as readonly [Float64Matrix, Float64Matrix, Float64Matrix];
  const data = new Float64Array(out.rows * out.cols).fill(Number.NaN);
  const { order, pieces } = gather(g.data, attrs.groups as number, 0, g.rows);
  for (const { group, start, rows: count } of pieces) {
    const rows = order.subarray(start, start + count);
    const points = pointsOf(z, rows);
    const found = Array.from({ length: labels.cols }, (_, m) =>
      clustersOf(Float64Array.from(rows, (i) => labels.data[i * labels.cols + m]!)),
    );
    let first = 0;
    for (const some of togetherOf(found)) {
      const means = yield* meansOf(points, some);
      data.set(means, group * out.cols + first);
      first += some.length;
    }
  }
  return dense(out.rows, out.cols, data);
}

interface Points {
  readonly rows: number;
  readonly cols: number;
  /** About their mean. */
  readonly cells: Float64Array;
  readonly squares: Float64Array;
}

function pointsOf({ cols, data }: Float64Matrix, rows: Int32Array): Points {
  const means = new Float64Array(cols);
  for (const i of rows) {
    for (let c = 0; c < cols; c++) means[c]! += data[i * cols + c]! / rows.length;
  }
  const cells = new Float64Array(rows.length * cols);
  const squares = new Float64Array(rows.length);
  for (const [k, i] of rows.entries()) {
    for (let c = 0; c < cols; c++) {
      const cell = data[i * cols + c]! - means[c]!;
      cells[k * cols + c] = cell;
      squares[k]! += cell * cell;
    }
  }
  return { rows: rows.length, cols, cells, squares };
}

/** Runs of clusterings whose clusters are few enough together. */
function togetherOf(found: readonly Clusters[]): Clusters[][] {
  const runs: Clusters[][] = [];
  let width = Number.POSITIVE_INFINITY;
  for (const one of found) {
    width += one.sizes.length;
    if (width > MOST_CLUSTERS) {
      runs.push([]);
      width = one.sizes.length;
    }
    runs.at(-1)!.push(one);
  }
  return runs;
}

/** The mean coefficient of each clustering. */
function* meansOf(points: Points, found: readonly Clusters[]): Generator<GemmArgs, Float64Array> {
  const { rows, cols, cells } = points;
  const starts: number[] = [];
  let width = 0;
  for (const { sizes } of found) {
    starts.push(width);
    width += sizes.length;
  }
  const isOf = new Float64Array(rows * width);
  for (const [m, { of }] of found.entries()) {
    for (let j = 0; j < rows; j++) isOf[j * width + starts[m]! + of[j]!] = 1;
  }
  const sums = new Float64Array(rows * width);
  const most = Math.max(1, Math.min(rows, Math.floor(BLOCK_CELLS / Math.max(1, rows))));
  const block = new Float64Array(most * rows);
  for (let from = 0; from < rows; from += most) {
    const count = Math.min(most, rows - from);
    const own = cells.subarray(from * cols);
    yield [false, true, count, rows, cols, -2, own, cols, cells, cols, 0, block, rows];
    distances(points, from, count, block);
    const into = sums.subarray(from * width);
    yield [false, false, count, width, rows, 1, block, rows, isOf, width, 0, into, width];
  }
  return Float64Array.from(found, (one, m) =>
    meanSilhouette(one, (i, c) => sums[i * width + starts[m]! + c]!),
  );
}

/** Distances from -2 x y, in place. */
function distances(
  { rows, cols, cells, squares }: Points,
  from: number,
  count: number,
  block: Float64Array,
): void {
  for (let k = 0; k < count; k++) {
    const i = from + k;
    const square = squares[i]!;
    for (let j = 0; j < rows; j++) {
      const both = square + squares[j]!;
      let apart = both + block[k * rows + j]!;
      if (apart <= CANCELLED * both) {
        apart = 0;
        for (let c = 0; c < cols; c++) apart += (cells[i * cols + c]! - cells[j * cols + c]!) ** 2;
      }
      block[k * rows + j] = Math.sqrt(apart);
    }
  }
}
