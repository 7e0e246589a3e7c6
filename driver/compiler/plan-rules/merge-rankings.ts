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
import { columnsOf } from './columns.js';
import { widest } from './merge-row-parts.js';
import { bound } from './parts.js';
import { RowCut, rowsOf } from './rows.js';

export const mergeRankings: PlanRule = {
  name: 'merge-rankings',
  ops: [ops.topK],
  algebra:
    'topK(X, k) -> [topK(X, K)][0:k,]; topK(rbind(A, B), k) -> topK(rbind([topK(A, k)], topK(B, k)), k)',
  apply: (expr, context) => {
    const { k, by, descending } = rankingOf(expr.attrs);
    const cut = new RowCut(expr, [true], context);
    const places = cut.places((sibling) => {
      const other = rankingOf(sibling.attrs);
      const isEnough = sibling.rows >= Math.min(k, sibling.inputs[0]!.rows);
      return other.by === by && other.descending === descending && isEnough;
    });
    const whole = places.filter(
      ({ from, to, at, source }) => at === 0 && to - from === source.inputs[0]!.rows,
    );
    const chosen = widest([...whole, ...cut.partPlaces()]);
    if (chosen.length === 0) return undefined;
    const parts: Expr[] = [];
    let next = 0;
    const add = (ranked: Expr, from: number): void => {
      const kept = rowsOf(ranked, 0, Math.min(k, ranked.rows), context);
      parts.push(numberedFrom(kept, from, context));
    };
    for (const { from, to, source } of chosen) {
      if (next < from) add(cut.over(next, from), next);
      add(source, from);
      next = to;
    }
    if (next < cut.rows) add(cut.over(next, cut.rows), next);
    const uses = chosen.map(({ source }) => source);
    if (parts.length === 1) return { expr: parts[0]!, uses };
    const all = bound(parts, 'rows', context);
    // The number of the row is a column of `all`, before the cells.
    const ranked = context.intern(ops.topK, [all], { k, by: by + 1, descending });
    return { expr: columnsOf(ranked, 1, ranked.cols, context), uses };
  },
};

/** The ranking with `from` added to the numbers of its rows. */
function numberedFrom(ranked: Expr, from: number, context: PlanContext): Expr {
  if (from === 0) return ranked;
  const shift = context.intern(ops.scalar, [], { value: from });
  const numbers = context.intern(ops.add, [columnsOf(ranked, 0, 1, context), shift]);
  return bound([numbers, columnsOf(ranked, 1, ranked.cols, context)], 'cols', context);
}
