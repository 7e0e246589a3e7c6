/**
 * Columns of a product from cached products with the same left operand: column j of X %*% Y needs
 * column j of Y only. So columns added to Y cost themselves, columns taken away cost a copy, in any
 * order and out of several products. A column of ones gives the row sums.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import {
  addPlaces,
  bindSegments,
  columnSegments,
  cover,
  isOnes,
  joinColumns,
  type Places,
  type Segment,
} from './columns.js';

export const joinProductColumns: PlanRule = {
  name: 'join-product-columns',
  ops: [ops.matmul],
  algebra: 'X %*% cbind(Y, Z) -> cbind([X %*% Y], X %*% Z); X %*% Y[,a:b] -> [X %*% Y][,a:b]',
  apply: (expr, context) => {
    if (expr.attrs.transposeB === true) return undefined;
    const [left, right] = expr.inputs as [Expr, Expr];
    const siblings = context.siblings(ops.matmul, left);
    if (siblings.length === 0) return undefined;
    const places: Places = new Map();
    for (const sibling of siblings) {
      if (sibling.inputs[0] !== left || sibling.attrsText !== expr.attrsText) continue;
      addPlaces(places, columnSegments(sibling.inputs[1]!), sibling);
    }
    const pieces = cover(columnSegments(right), places);
    const uses = new Set(pieces.flatMap(({ source }) => source ?? []));
    if (uses.size === 0) return undefined;
    const missing = pieces.filter(({ source }) => source === undefined);
    const fresh = missing.length === 0 ? undefined : product(expr, missing, uses, context);
    let next = 0;
    const joined = pieces.map(({ source, at, from, to }) => {
      const width = to - from;
      if (source !== undefined) return { source, at, width };
      next += width;
      return { source: fresh!, at: next - width, width };
    });
    return { expr: joinColumns(joined, context), uses: [...uses] };
  },
};

/** The product with the columns that are nowhere; cached row sums where that is a column of ones. */
function product(
  expr: Expr,
  missing: readonly Segment[],
  uses: Set<Expr>,
  context: PlanContext,
): Expr {
  const left = expr.inputs[0]!;
  const right = bindSegments(missing, context);
  if (isOnes(right) && expr.attrs.transposeA !== true) {
    const sums = context.intern(ops.rowSums, [left]);
    if (context.isCached(sums)) {
      uses.add(sums);
      return sums;
    }
  }
  return context.intern(ops.matmul, [left, right], expr.attrs);
}
