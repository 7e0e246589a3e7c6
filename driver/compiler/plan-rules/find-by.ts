/** Under which nodes a cached result is found by partial reuse: what the operator's `findBy` names. */
import type { Expr } from '../../ir/expr.js';
import { boundBelow, columnKey } from './columns.js';
import { firstPart, partsOf } from './parts.js';
import { rowKey } from './rows.js';

/** Columns of an operand a result is found by. */
const MAX_KEYS = 64;

/** Nodes under which a related result is looked up; none for operators too cheap to index. */
export function siblingKeys(expr: Expr): readonly Expr[] {
  const lookups = expr.op.findBy?.(expr.inputs, expr.attrs) ?? [];
  const keys = lookups.flatMap(({ operand, by }) => {
    const x = expr.inputs[operand]!;
    if (by === 'self') return [x];
    if (by === 'rows') return [rowKey(firstPart(x, 'rows'))];
    return partsOf(boundBelow(x) ?? x, 'cols')
      .slice(0, MAX_KEYS)
      .map(columnKey);
  });
  return keys.length < 2 ? keys : [...new Set(keys)];
}
