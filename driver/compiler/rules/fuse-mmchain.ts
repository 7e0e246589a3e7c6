/**
 * t(X) %*% (X %*% v) -> mmchain(X, v) and t(X) %*% (w * (X %*% v)) -> mmchain(X, v, w): one pass
 * over X instead of two. Not when something else needs X %*% v or its weighted form, which would
 * then be computed twice; so it works downwards, on the nodes as written, whose uses are known.
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

export const fuseMmchain: Rule = {
  name: 'fuse-mmchain',
  direction: 'down',
  ops: [ops.matmul],
  algebra: 't(X) %*% (w * (X %*% v)) -> mmchain(X, v, w)',
  apply: (expr, context) => {
    const x = transposedLeft(expr);
    const right = expr.inputs[1]!;
    if (x === undefined || context.isShared(right)) return undefined;
    if (isProductOf(right, x)) return context.intern(ops.mmchain, [x, right.inputs[1]!]);
    if (right.op !== ops.mul) return undefined;
    const [p, q] = right.inputs;
    const inner = isProductOf(p!, x) ? p! : q!;
    if (!isProductOf(inner, x) || context.isShared(inner)) return undefined;
    const v = inner.inputs[1]!;
    const w = inner === p ? q! : p!;
    // A scalar or row of weights broadcasts otherwise than weights of rows do.
    if (w.rows !== x.rows || (w.cols !== 1 && w.cols !== v.cols)) return undefined;
    return context.intern(ops.mmchain, [x, v, w]);
  },
};

/** X when the node is t(X) %*% .., by flag or by node. */
function transposedLeft(expr: Expr): Expr | undefined {
  const left = expr.inputs[0]!;
  if (expr.attrs.transposeB === true) return undefined;
  if (expr.attrs.transposeA === true) return left.op === ops.transpose ? undefined : left;
  return left.op === ops.transpose ? left.inputs[0] : undefined;
}

function isProductOf(expr: Expr, x: Expr): boolean {
  const { transposeA, transposeB } = expr.attrs;
  return expr.op === ops.matmul && expr.inputs[0] === x && !transposeA && !transposeB;
}
