/**
 * Results over column-bound operands from results of parts of the columns: element-wise operators and column aggregates
 * stand side by side, row and full aggregates merge. colSums(cbind(A, B)) = cbind(colSums(A), colSums(B)), and
 * rowSums(cbind(A, B)) = rowSums(A) + rowSums(B).
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { OpDef } from '../../operators/op-def.js';
import type { PartialContext, PartialRule } from './partial-rule.js';
import { bound, fromParts } from './parts.js';

const mergeOf = new Map<OpDef, OpDef>([
  [ops.rowSums, ops.add],
  [ops.rowSumSqs, ops.add],
  [ops.sum, ops.add],
  [ops.sumSq, ops.add],
  [ops.rowMins, ops.minimum],
  [ops.min, ops.minimum],
  [ops.rowMaxs, ops.maximum],
  [ops.max, ops.maximum],
]);
const sideBySide: readonly OpDef[] = [
  ...Object.values<OpDef>(ops).filter((op) => op.elementwise),
  ops.colSums,
  ops.colSumSqs,
  ops.colMins,
  ops.colMaxs,
];

export const joinColumnParts: PartialRule = {
  name: 'join-column-parts',
  ops: [...mergeOf.keys(), ...sideBySide],
  algebra:
    'f(cbind(A, B)) -> cbind([f(A)], f(B)); rowSums(cbind(A, B)) -> [rowSums(A)] + rowSums(B)',
  apply: (expr, context) => {
    if (!expr.inputs.some((input) => input.op === ops.cbind)) return undefined;
    const merge = mergeOf.get(expr.op);
    // Operands with one column are stretched over all parts.
    const split = expr.inputs.map((input) => input.cols > 1);
    const join = (results: readonly Expr[], own: PartialContext): Expr =>
      merge === undefined
        ? bound(results, 'cols', own)
        : results.reduce((total, one) => own.intern(merge, [total, one]));
    return fromParts(expr, split, 'cols', join, context);
  },
};
