/**
 * X + 0, X - 0, X * 1, X / 1, X ^ 1 -> X, where the shape stays (a 1x1 operand that broadcasts the
 * other way does not count). Adding 0 turns -0 into 0; the sign of a zero is not kept.
 */
import type { Expr } from '../../ir/expr.js';
import type { OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import type { Rule } from '../rule.js';

const neutral: ReadonlyMap<OpDef, number> = new Map([
  [ops.add, 0],
  [ops.sub, 0],
  [ops.mul, 1],
  [ops.div, 1],
  [ops.pow, 1],
]);

export const removeIdentity: Rule = {
  name: 'remove-identity',
  direction: 'up',
  ops: [...neutral.keys()],
  algebra: 'X + 0, X - 0, X * 1, X / 1, X ^ 1 -> X',
  apply: (expr) => {
    const [a, b] = expr.inputs;
    const value = neutral.get(expr.op);
    if (isScalar(b!, value) && hasShapeOf(a!, expr)) return a;
    if (expr.op.commutative && isScalar(a!, value) && hasShapeOf(b!, expr)) return b;
    return undefined;
  },
};

function isScalar(expr: Expr, value: number | undefined): boolean {
  return expr.op === ops.scalar && expr.attrs.value === value;
}

function hasShapeOf(expr: Expr, out: Expr): boolean {
  return expr.rows === out.rows && expr.cols === out.cols;
}
