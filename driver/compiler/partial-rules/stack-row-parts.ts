/**
 * Results row by row from results of parts of the rows: for f where row i of the result needs row i only,
 * f(rbind(A, B)) = rbind(f(A), f(B)). Products with a common right operand, element-wise operators, row aggregates.
 */

import { ops } from '../../operators/index.js';
import type { OpDef } from '../../operators/op-def.js';
import type { PartialRule } from './partial-rule.js';
import { bound, fromParts } from './parts.js';

/** Operators that work row by row and do more than move cells. */
export const rowWise: readonly OpDef[] = Object.values<OpDef>(ops).filter(
  (op) =>
    op.elementwise ||
    op === ops.matmul ||
    op === ops.rowSums ||
    op === ops.rowSumSqs ||
    op === ops.rowMins ||
    op === ops.rowMaxs ||
    op === ops.rowIndexMin ||
    op === ops.rowIndexMax,
);

export const stackRowParts: PartialRule = {
  name: 'stack-row-parts',
  ops: rowWise,
  algebra: 'rbind(A, B) %*% Y -> rbind([A %*% Y], B %*% Y); f(rbind(A, B)) -> rbind([f(A)], f(B))',
  apply: (expr, context) => {
    if (!expr.inputs.some((input) => input.op === ops.rbind)) return undefined;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.kind !== 'map') return undefined;
    return fromParts(
      expr,
      rule.blocked,
      'rows',
      (results, own) => bound(results, 'rows', own),
      context,
    );
  },
};
