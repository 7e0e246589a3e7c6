/**
 * The first k of a ranking from cached rankings: of the same rows, the first k of the first K >= k;
 * of parts of the rows, the first k among the first k of each part,
 *   topK(rbind(A, B)) = topK(rbind([topK(A)], topK(B))),
 * where the rows of B are numbered on from those of A. Parts stand in the order of their rows and
 * each is in order, so ties come out as over the whole. A ranking of all rows (`order`) answers
 * every k.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { rankingOf } from '../../operators/top-k.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import { Cut } from './cut.js';
import { bound, piecesOf, rangeAlong, widest } from './ranges.js';

export const mergeRankings: PlanRule = {
  name: 'merge-rankings',
  ops: [ops.topK],
  algebra:
    'topK(X, k) -> [topK(X, K)][0:k,]; topK(rbind(A, B), k) -> topK(rbind([topK(A, k)], topK(B, k)), k)',
  apply: (expr, context) => {
    const { k, by, descending } = rankingOf(expr.attrs);
    const cut = new Cut(expr, { axis: 'rows', cut: [true] }, context);
    const places = cut.wholePlaces((sibling) => {
      const other = rankingOf(sibling.attrs);
      const isEnough = sibling.rows >= Math.min(k, sibling.inputs[0]!.rows);
      return other.by === by && other.descending === descending && isEnough;
    });
    const chosen = widest(places);
    if (chosen.length === 0) return undefined;
    const parts = piecesOf(chosen, cut.length).map((piece) => {
      const ranked = piece.span?.source ?? cut.over(piece);
      const kept = rangeAlong(ranked, 'rows', 0, Math.min(k, ranked.rows), context);
      return numberedFrom(kept, piece.from, context);
    });
    const uses = chosen.map(({ source }) => source);
    if (parts.length === 1) return { expr: parts[0]!, uses };
    const all = bound(parts, 'rows', context);
    // The number of the row is a column of `all`, before the cells.
    const ranked = context.intern(ops.topK, [all], { k, by: by + 1, descending });
    return { expr: rangeAlong(ranked, 'cols', 1, ranked.cols, context), uses };
  },
};

/** The ranking with `from` added to the numbers of its rows. */
function numberedFrom(ranked: Expr, from: number, context: PlanContext): Expr {
  if (from === 0) return ranked;
  const shift = context.intern(ops.scalar, [], { value: from });
  const numbers = context.intern(ops.add, [rangeAlong(ranked, 'cols', 0, 1, context), shift]);
  return bound([numbers, rangeAlong(ranked, 'cols', 1, ranked.cols, context)], 'cols', context);
}
