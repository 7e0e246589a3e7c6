/** Nodes by which partial reuse finds a cached result: those the operator's `findBy` names. */
import type { Expr } from '../../ir/expr.js';
import type { Axis, Lookup } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import { partsOf } from './ranges.js';

/** Parts of an operand that a result is found by, or looked up by. */
export const MAX_KEYS = 64;

export function lookupsOf({ op, inputs, attrs }: Expr): readonly Lookup[] {
  return op.findBy?.(inputs, attrs) ?? [];
}

/** Nodes under which a related result is looked up; none for operators too cheap to index. */
export function siblingKeys(expr: Expr): readonly Expr[] {
  const keys = lookupsOf(expr).flatMap(({ operand, by }) => {
    const x = expr.inputs[operand]!;
    if (by === 'self') return [x];
    // Rows are mostly added at the end: the first part tells enough.
    if (by === 'rows') return [partKey(firstPart(x), 'rows')];
    return partsOf(boundBelow(x) ?? x, 'cols')
      .slice(0, MAX_KEYS)
      .map((part) => partKey(part, 'cols'));
  });
  return keys.length < 2 ? keys : [...new Set(keys)];
}

/** The key of a result over this part, looking through what cuts it or makes its columns. */
export function partKey(part: Expr, axis: Axis): Expr {
  const isSeenThrough = axis === 'cols' ? part.op.isSeenThrough : part.op === ops.slice;
  return isSeenThrough ? part.inputs[0]! : part;
}

/** The bind of columns a node is a range of rows of; undefined when it is no such range. */
export function boundBelow(expr: Expr): Expr | undefined {
  if (expr.op !== ops.slice || (expr.attrs.cols ?? null) !== null) return undefined;
  const base = expr.inputs[0]!;
  return base.op === ops.cbind ? base : undefined;
}

function firstPart(expr: Expr): Expr {
  let node = expr;
  while (node.op === ops.rbind) node = node.inputs[0]!;
  return node;
}
