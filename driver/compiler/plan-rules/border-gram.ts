/**
 * The Gram matrix of column-bound operands by quadrants, from that of some of the columns: with X =
 * [A B],
 *   tsmm(X) = [ tsmm(A)  P ; t(P)  tsmm(B) ],  P = t(A) %*% B,
 * for columns added anywhere, taken away or put in another order; columns of a product A %*%
 * B[,1:k] are known as columns of A %*% B, so that a model on one principal component more borders
 * that on one less, and rows of [A B] as columns of those rows of A and of B, so that sums over
 * folds border those over the same folds of A. P and t(P) are one product, so the result is exactly
 * symmetric; of columns that were never bound it is a product for each operand, under one another.
 * With a column of ones P is the column sums, and these are taken where they are cached. Taking
 * rows away (tsmm(X) - tsmm(rest)) is left out: where the rest dominates, the difference of the two
 * sums keeps none of the digits of the small one, and no bound on that is known before the values
 * are.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule, Proposal } from '../plan-rule.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import {
  addPlaces,
  bindSegments,
  columnKey,
  columnSegments,
  cover,
  cutSegments,
  heldSegments,
  isOnes,
  joinColumns,
  mergedPieces,
  operandsOf,
  type Piece,
  productSegments,
  type Segment,
  spreadRows,
} from './columns.js';
import { bound } from './parts.js';
import { rowsOf } from './rows.js';

/** The result has the square of this many blocks at most. */
const MAX_PIECES = 12;

export const borderGram: PlanRule = {
  name: 'border-gram',
  ops: [ops.tsmm],
  algebra: 'tsmm(cbind(A, B)) -> rbind(cbind([tsmm(A)], P), cbind(t(P), tsmm(B))), P = t(A) %*% B',
  apply: (expr, context) => {
    const x = spreadRows(expr.inputs[0]!, context);
    const wanted = productSegments(x, context);
    const keys = new Set(wanted.slice(0, 64).map(({ part }) => columnKey(part)));
    const siblings = new Set([...keys].flatMap((key) => context.siblings(ops.tsmm, key)));
    let best: { gram: Expr; pieces: readonly Piece[]; covered: number } | undefined;
    for (const gram of siblings) {
      const places = new Map();
      addPlaces(places, productSegments(spreadRows(gram.inputs[0]!, context), context), gram);
      const pieces = mergedPieces(cover(wanted, places));
      const covered = widthOf(pieces.filter(({ source }) => source !== undefined));
      if (covered === 0 || pieces.length > MAX_PIECES) continue;
      if (best === undefined || covered > best.covered) best = { gram, pieces, covered };
    }
    if (best === undefined) return undefined;
    return assemble(x, best.gram, best.pieces, context);
  },
};

function widthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** A run of columns of the result: in the cached matrix from `at`, or new, from `at` among the new columns. */
interface Run {
  readonly isCached: boolean;
  readonly at: number;
  /** Row of the cross product, as `at` for new columns. */
  readonly crossAt: number;
  readonly width: number;
}

function assemble(x: Expr, gram: Expr, pieces: readonly Piece[], context: PlanContext): Proposal {
  const bases = columnSegments(x);
  const held = heldSegments(x, context);
  const fresh: Segment[] = [];
  const kept: Segment[] = [];
  const runs: Run[] = [];
  let [next, crossed, position] = [0, 0, 0];
  for (const { source, at, from, to } of pieces) {
    const width = to - from;
    const end = position + width;
    const isCached = source !== undefined;
    const run = isCached
      ? { isCached, at, crossAt: crossed, width }
      : { isCached, at: next, crossAt: next, width };
    if (isCached) {
      kept.push(...cutSegments(held, position, end));
      crossed += width;
    } else {
      fresh.push(...cutSegments(bases, position, end));
      next += width;
    }
    position = end;
    const last = runs[runs.length - 1];
    const isNext =
      last?.isCached === isCached &&
      last.at + last.width === run.at &&
      last.crossAt + last.width === run.crossAt;
    if (isNext) runs[runs.length - 1] = { ...last, width: last.width + width };
    else runs.push(run);
  }
  const uses = [gram];
  const blockOf = blocks(gram, kept, fresh, uses, context);
  const rows = runs.map((row) =>
    bound(
      runs.map((col) => blockOf(row, col)),
      'cols',
      context,
    ),
  );
  return { expr: bound(rows, 'rows', context), uses };
}

function blocks(
  gram: Expr,
  kept: readonly Segment[],
  fresh: readonly Segment[],
  uses: Expr[],
  context: PlanContext,
): (row: Run, col: Run) => Expr {
  const part = (x: Expr, row: number, rows: number, col: number, cols: number): Expr => {
    if (rows === x.rows && cols === x.cols) return x;
    return context.intern(ops.slice, [x], sliceAttrs([row, row + rows], [col, col + cols], x));
  };
  if (fresh.length === 0) return (row, col) => part(gram, row.at, row.width, col.at, col.width);
  const added = bindSegments(fresh, context);
  const { cross, flipped } = crossProduct(kept, added, uses, context);
  const corner = context.intern(ops.tsmm, [added]);
  return (row, col) => {
    if (row.isCached && col.isCached) return part(gram, row.at, row.width, col.at, col.width);
    if (row.isCached) return part(cross, row.crossAt, row.width, col.at, col.width);
    if (col.isCached) return part(flipped, row.at, row.width, col.crossAt, col.width);
    return part(corner, row.at, row.width, col.at, col.width);
  };
}

/** P = t(A) %*% B and its transpose; from cached column sums where B is a column of ones. */
function crossProduct(
  kept: readonly Segment[],
  added: Expr,
  uses: Expr[],
  context: PlanContext,
): { readonly cross: Expr; readonly flipped: Expr } {
  const sums = isOnes(added) ? cachedSums(kept, uses, context) : undefined;
  if (sums !== undefined) {
    return { cross: context.intern(ops.transpose, [sums]), flipped: sums };
  }
  // Products with the operands where they lie: binding them would copy more than the products read.
  const products = operandsOf(kept, context).map(({ operand, from, to }) =>
    rowsOf(context.intern(ops.matmul, [operand, added], { transposeA: true }), from, to, context),
  );
  const cross = bound(products, 'rows', context);
  return { cross, flipped: context.intern(ops.transpose, [cross]) };
}

/** The column sums of the segments, if those of each operand are cached. */
function cachedSums(
  kept: readonly Segment[],
  uses: Expr[],
  context: PlanContext,
): Expr | undefined {
  const sums = kept.map(({ part }) => context.intern(ops.colSums, [part]));
  if (!sums.every((one) => context.isCached(one))) return undefined;
  uses.push(...new Set(sums));
  const pieces = kept.map(({ from, to }, i) => ({ source: sums[i]!, at: from, width: to - from }));
  return joinColumns(pieces, context);
}
