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
import type { PlanContext, PlanRule } from '../plan-rule.js';
import { sliceOf } from '../rules/merge-slices.js';
import {
  blockRows,
  borderOf,
  type ColumnRun,
  columnOperands,
  isOnes,
  mostCovered,
  productSegments,
  spreadRows,
} from './columns.js';
import { bindSegments, bound, type PartRange, rangeAlong } from './ranges.js';

/** The result has the square of this many blocks at most. */
const MAX_PIECES = 12;

export const borderGram: PlanRule = {
  name: 'border-gram',
  ops: [ops.tsmm],
  algebra: 'tsmm(cbind(A, B)) -> rbind(cbind([tsmm(A)], P), cbind(t(P), tsmm(B))), P = t(A) %*% B',
  apply: (expr, context) => {
    const columns = (x: Expr): PartRange[] => productSegments(spreadRows(x, context), context);
    const wanted = columns(expr.inputs[0]!);
    const columnsOf = ({ inputs }: Expr): PartRange[] => columns(inputs[0]!);
    const best = mostCovered(ops.tsmm, wanted, columnsOf, MAX_PIECES, context);
    if (best === undefined) return undefined;
    const x = spreadRows(expr.inputs[0]!, context);
    const { runs, kept, fresh } = borderOf(best.pieces, [x], 0, context);
    const uses = [best.source];
    const cell = cells(best.source, kept, fresh, uses, context);
    return { expr: bound(blockRows(runs, cell, context), 'rows', context), uses };
  },
};

function cells(
  gram: Expr,
  kept: readonly PartRange[],
  fresh: readonly PartRange[],
  uses: Expr[],
  context: PlanContext,
): (row: ColumnRun, col: ColumnRun) => Expr {
  const part = (x: Expr, top: number, left: number, row: ColumnRun, col: ColumnRun): Expr =>
    sliceOf(x, [top, top + row.width], [left, left + col.width], context);
  if (fresh.length === 0) return (row, col) => part(gram, row.at, col.at, row, col);
  const added = bindSegments(fresh, 'cols', context);
  const { cross, flipped } = crossProduct(kept, added, uses, context);
  const corner = context.intern(ops.tsmm, [added]);
  return (row, col) => {
    if (row.isCached && col.isCached) return part(gram, row.at, col.at, row, col);
    if (row.isCached) return part(cross, row.crossAt, col.at, row, col);
    if (col.isCached) return part(flipped, row.at, col.crossAt, row, col);
    return part(corner, row.at, col.at, row, col);
  };
}

/** P = t(A) %*% B and its transpose; from cached column sums where B is a column of ones. */
function crossProduct(
  kept: readonly PartRange[],
  added: Expr,
  uses: Expr[],
  context: PlanContext,
): { readonly cross: Expr; readonly flipped: Expr } {
  const sums = isOnes(added) ? cachedSums(kept, uses, context) : undefined;
  if (sums !== undefined) {
    return { cross: context.intern(ops.transpose, [sums]), flipped: sums };
  }
  // Products with the operands where they lie: binding them would copy more than the products read.
  const products = columnOperands(kept, context).map(({ operand, from, to }) =>
    rangeAlong(
      context.intern(ops.matmul, [operand, added], { transposeA: true }),
      'rows',
      from,
      to,
      context,
    ),
  );
  const cross = bound(products, 'rows', context);
  return { cross, flipped: context.intern(ops.transpose, [cross]) };
}

/** The column sums of the segments, if those of each operand are cached. */
function cachedSums(
  kept: readonly PartRange[],
  uses: Expr[],
  context: PlanContext,
): Expr | undefined {
  const sums = kept.map(({ part }) => context.intern(ops.colSums, [part]));
  if (!sums.every((one) => context.isCached(one))) return undefined;
  uses.push(...new Set(sums));
  const segments = kept.map(({ from, to }, i) => ({ part: sums[i]!, from, to }));
  return bindSegments(segments, 'cols', context);
}
