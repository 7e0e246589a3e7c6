/**
 * Sums over rows from sums over parts of the rows: for f that adds up (or takes the least or
 * greatest) over rows, f(rbind(A, B)) = f(A) + f(B), where A and B are operands, ranges of rows of
 * operands, or runs of both. Gram matrices, t(A) %*% B, moments and losses by group, and aggregates
 * over columns or all cells. Centred moments merge with a correction for the means (Chan, Golub and
 * LeVeque 1979), which is `mergeGroupGram`. Of the cached results those are taken that cover most
 * rows without overlapping. A range of what is cached is no use here: it would take a difference
 * (see `border-gram`).
 */
import type { Expr } from '../../ir/expr.js';
import { mergeRows, type OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { PlanRule } from '../plan-rule.js';
import { RowCut, type RowPlace } from './rows.js';

/** Operators whose results over parts of the rows merge. */
export const mergedOps = Object.values<OpDef>(ops).filter(({ merge }) => merge !== undefined);

/** The operands taken by rows, if results over parts of the rows merge. */
export function summedRows(expr: Expr): readonly boolean[] | undefined {
  if (expr.op.merge === undefined) return undefined;
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  return rule.kind === 'reduce' ? rule.blocked : undefined;
}

export const mergeRowParts: PlanRule = {
  name: 'merge-row-parts',
  ops: mergedOps,
  algebra:
    'tsmm(rbind(A, B)) -> [tsmm(A)] + tsmm(B); colSums(X[a:c,]) -> [colSums(X[a:b,])] + colSums(X[b:c,])',
  apply: (expr, context) => {
    const blocked = summedRows(expr);
    if (blocked === undefined) return undefined;
    const cut = new RowCut(expr, blocked, context);
    const whole = cut.places().filter(({ from, to, source, at }) => {
      const operand = source.inputs[blocked.indexOf(true)]!;
      return at === 0 && to - from === operand.rows;
    });
    const chosen = widest([...whole, ...cut.partPlaces()]);
    if (chosen.length === 0) return undefined;
    const results: Expr[] = [];
    let next = 0;
    for (const { from, to, source } of chosen) {
      if (next < from) results.push(cut.over(next, from));
      results.push(source);
      next = to;
    }
    if (next < cut.rows) results.push(cut.over(next, cut.rows));
    return {
      expr: mergeRows(expr, results, context),
      uses: chosen.map(({ source }) => source),
    };
  },
};

/** Places that do not overlap and cover most rows, of these the fewest; in order. */
export function widest(places: readonly RowPlace[]): RowPlace[] {
  const byEnd = [...places].sort((a, b) => a.to - b.to);
  interface Best {
    readonly rows: number;
    readonly count: number;
    readonly last: RowPlace | undefined;
    readonly before: Best | undefined;
  }
  const none: Best = { rows: 0, count: 0, last: undefined, before: undefined };
  const best: Best[] = [none];
  for (const place of byEnd) {
    let low = 0;
    let high = best.length - 1;
    // The last choice among places that end where this one begins, or before.
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (byEnd[middle - 1]!.to <= place.from) low = middle;
      else high = middle - 1;
    }
    const before = best[low]!;
    const rows = before.rows + place.to - place.from;
    const count = before.count + 1;
    const skip = best.at(-1)!;
    const isBetter = rows > skip.rows || (rows === skip.rows && count < skip.count);
    best.push(isBetter ? { rows, count, last: place, before } : skip);
  }
  const chosen: RowPlace[] = [];
  for (let at: Best | undefined = best.at(-1); at?.last !== undefined; at = at.before) {
    chosen.push(at.last);
  }
  return chosen.reverse();
}
