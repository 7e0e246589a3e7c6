/**
 * f(scalar(a), scalar(b), ..) -> scalar(f(a, b, ..)) for every element-wise f. The sign of a zero
 * is not kept, as everywhere in attributes.
 */
import { ops } from '../../operators/index.js';
import { scalarAttrs } from '../../operators/scalar.js';
import type { Rule } from '../rule.js';

export const foldScalars: Rule = {
  name: 'fold-scalars',
  direction: 'up',
  ops: Object.values(ops).filter((op) => op.elementwise),
  algebra: 'f(a, b) -> the number, for numbers a and b',
  apply: (expr, context) => {
    const { cell } = expr.op;
    if (cell === undefined) return undefined;
    const values: number[] = [];
    for (const input of expr.inputs) {
      if (input.op !== ops.scalar) return undefined;
      values.push(input.attrs.value as number);
    }
    const [a = 0, b = 0, c = 0] = values;
    return context.intern(ops.scalar, [], scalarAttrs(cell(a, b, c), expr.dtype));
  },
};
