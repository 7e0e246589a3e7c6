/**
 * Sums over rows from sums over parts of the rows: for f that adds up (or takes the least or greatest) over rows,
 * f(rbind(A, B)) = f(A) + f(B). Gram matrices, t(A) %*% B of operands cut at the same rows, moments and losses by group,
 * and aggregates over columns or all cells. The centred form of `groupGram` is left out: its parts do not add up, they
 * merge with a correction for the means that no operator does.
 */

import { ops } from '../../operators/index.js';
import type { OpDef } from '../../operators/op-def.js';
import type { PartialRule } from './partial-rule.js';
import { fromParts } from './parts.js';

const mergeOf = new Map<OpDef, OpDef>([
  [ops.tsmm, ops.add],
  [ops.matmul, ops.add],
  [ops.mmchain, ops.add],
  [ops.groupGram, ops.add],
  [ops.groupLoss, ops.add],
  [ops.sum, ops.add],
  [ops.sumSq, ops.add],
  [ops.colSums, ops.add],
  [ops.colSumSqs, ops.add],
  [ops.min, ops.minimum],
  [ops.colMins, ops.minimum],
  [ops.max, ops.maximum],
  [ops.colMaxs, ops.maximum],
]);

export const mergeRowParts: PartialRule = {
  name: 'merge-row-parts',
  ops: [...mergeOf.keys()],
  algebra:
    'tsmm(rbind(A, B)) -> [tsmm(A)] + tsmm(B); t(rbind(A, B)) %*% rbind(C, D) -> [t(A) %*% C] + t(B) %*% D',
  apply: (expr, context) => {
    if (expr.op === ops.groupGram && expr.attrs.center === true) return undefined;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.kind !== 'reduce') return undefined;
    const merge = mergeOf.get(expr.op)!;
    return fromParts(
      expr,
      rule.blocked,
      'rows',
      (results, { intern }) => results.reduce((total, one) => intern(merge, [total, one])),
      context,
    );
  },
};
