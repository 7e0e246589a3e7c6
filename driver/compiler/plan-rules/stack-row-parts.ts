/**
 * Results row by row from cached results over some of the rows: for f where row i of the result
 * needs row i only, f(rbind(A, B)) = rbind(f(A), f(B)), and so for any ranges of rows, wider or
 * narrower than what is asked for: a range within a cached result is a copy of it. Products with a
 * common right operand, element-wise operators, row aggregates.
 */
import type { Expr } from '../../ir/expr.js';
import type { OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { PlanRule } from '../plan-rule.js';
import { bound } from './parts.js';
import { RowCut, type RowPlace, rowsOf } from './rows.js';

/** Operators that work row by row and do more than move cells. */
export const rowWise: readonly OpDef[] = Object.values<OpDef>(ops).filter(
  (op) =>
    op.elementwise ||
    op === ops.matmul ||
    op === ops.rowSums ||
    op === ops.rowSumSqs ||
    op === ops.rowMins ||
    op === ops.rowMaxs ||
    op === ops.rowIndexMax ||
    op === ops.rowIndexMin,
);

export const stackRowParts: PlanRule = {
  name: 'stack-row-parts',
  ops: rowWise,
  algebra:
    'rbind(A, B) %*% Y -> rbind([A %*% Y], B %*% Y); X[a:d,] %*% Y -> rbind([X[a:c,] %*% Y][,], X[c:d,] %*% Y)',
  apply: (expr, context) => {
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.kind !== 'map' || !rule.blocked.includes(true)) return undefined;
    const cut = new RowCut(expr, rule.blocked, context);
    const chosen = covering([...cut.places(), ...cut.partPlaces()], cut.rows);
    if (chosen.length === 0) return undefined;
    const results: Expr[] = [];
    let next = 0;
    for (const { from, to, source, at } of chosen) {
      if (next < from) results.push(cut.over(next, from));
      results.push(rowsOf(source, at, at + to - from, context));
      next = to;
    }
    if (next < cut.rows) results.push(cut.over(next, cut.rows));
    return {
      expr: bound(results, 'rows', context),
      uses: [...new Set(chosen.map(({ source }) => source))],
    };
  },
};

/** From the first row on, always the place that reaches furthest; cut where they overlap. */
function covering(places: readonly RowPlace[], rows: number): RowPlace[] {
  const chosen: RowPlace[] = [];
  const byStart = [...places].sort((a, b) => a.from - b.from);
  let row = 0;
  let i = 0;
  let furthest: RowPlace | undefined;
  while (row < rows) {
    for (; i < byStart.length && byStart[i]!.from <= row; i++) {
      if (furthest === undefined || byStart[i]!.to > furthest.to) furthest = byStart[i];
    }
    if (furthest !== undefined && furthest.to > row) {
      const { to, source, at, from } = furthest;
      chosen.push({ from: row, to, source, at: at + row - from });
      row = to;
    } else if (i < byStart.length) row = byStart[i]!.from;
    else break;
  }
  return chosen;
}
