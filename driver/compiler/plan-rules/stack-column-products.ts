/**
 * Rows of t(X) %*% Y from cached products with the same right operand: row j needs column j of X
 * only,
 *   t(cbind(A, B)) %*% Y = rbind(t(A) %*% Y, t(B) %*% Y).
 * So features added to, taken from or reordered in a regression cost their own products with the
 * target, beside the Gram matrix that `border-gram` answers.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { PlanRule } from '../plan-rule.js';
import {
  addPlaces,
  columnKey,
  columnSegments,
  cover,
  mergedPieces,
  operandsOf,
  type Places,
} from './columns.js';
import { bound } from './parts.js';
import { rowsOf } from './rows.js';

/** Keys asked for, and runs of rows the result is put together from, at most. */
const MAX_KEYS = 64;
const MAX_PIECES = 64;

export const stackColumnProducts: PlanRule = {
  name: 'stack-column-products',
  ops: [ops.matmul],
  algebra: 't(cbind(A, B)) %*% Y -> rbind([t(A) %*% Y], t(B) %*% Y)',
  apply: (expr, context) => {
    if (expr.attrs.transposeA !== true) return undefined;
    const [left, right] = expr.inputs as [Expr, Expr];
    const wanted = columnSegments(left);
    const places: Places = new Map();
    const keys = new Set(wanted.slice(0, MAX_KEYS).map(({ part }) => columnKey(part)));
    for (const key of keys) {
      for (const sibling of context.siblings(ops.matmul, key)) {
        if (sibling === expr || sibling.attrsText !== expr.attrsText) continue;
        if (sibling.inputs[1] !== right) continue;
        addPlaces(places, columnSegments(sibling.inputs[0]!), sibling);
      }
    }
    if (places.size === 0) return undefined;
    const pieces = mergedPieces(cover(wanted, places));
    const uses = new Set(pieces.flatMap(({ source }) => source ?? []));
    if (uses.size === 0 || pieces.length > MAX_PIECES) return undefined;
    const results = pieces.flatMap(({ source, at, part, from, to }) => {
      if (source !== undefined) return [rowsOf(source, at, at + to - from, context)];
      return operandsOf([{ part, from, to }], context).map(({ operand, from: first, to: end }) => {
        const product = context.intern(ops.matmul, [operand, right], expr.attrs);
        return rowsOf(product, first, end, context);
      });
    });
    return { expr: bound(results, 'rows', context), uses: [...uses] };
  },
};
