/**
 * Sums over rows, or columns, from sums over parts of them: for f that adds up (or takes the least
 * or greatest) along an axis, f(rbind(A, B)) = f(A) + f(B), where A and B are operands, ranges of
 * operands, or runs of both: Gram matrices, t(A) %*% B, moments and losses by group, aggregates.
 * Centred moments merge with a correction for the means (Chan, Golub and LeVeque 1979), which is
 * `mergeGroupGram`. Of the cached results those are taken that cover most without overlapping. A
 * range of what is cached is no use here: it would take a difference (see `border-gram`).
 */
import type { Expr } from '../../ir/expr.js';
import { mergeResults, type OpDef, rowSplit, type Split } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { PlanRule } from '../plan-rule.js';
import { widestCut } from './cut.js';
import { piecesOf, widest } from './ranges.js';

/** Operators whose results over parts of the rows merge. */
export const mergedOps = Object.values<OpDef>(ops).filter(({ merge }) => merge !== undefined);

/** How a node's rows are cut, if results over parts of them merge. */
export function summedRows({ op, inputs, attrs }: Expr): Split | undefined {
  const split = op.merge && rowSplit(op, inputs, attrs);
  return split?.into === undefined ? split : undefined;
}

export const mergeParts: PlanRule = {
  name: 'merge-parts',
  ops: Object.values<OpDef>(ops).filter(({ merge, colSplits }) => merge ?? colSplits),
  algebra:
    'tsmm(rbind(A, B)) -> [tsmm(A)] + tsmm(B); rowSums(cbind(A, B)) -> [rowSums(A)] + rowSums(B)',
  apply: (expr, context) => {
    const best = widestCut(
      expr,
      context,
      ({ merge }) => merge !== undefined,
      (cut) => widest(cut.wholePlaces()),
    );
    if (best === undefined) return undefined;
    const { cut, chosen } = best;
    const results = piecesOf(chosen, cut.length).map(
      (piece) => piece.span?.source ?? cut.over(piece),
    );
    return {
      expr: mergeResults(cut.split.merge!, expr, results, context),
      uses: chosen.map(({ source }) => source),
    };
  },
};
