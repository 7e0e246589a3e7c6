/**
 * Results of a range of rows from the cached result of all rows: f(X[a:b,]) = f(X)[a:b,] for f that
 * works row by row. So a product, a prediction or a transformed matrix of a sub-range (a fold, a
 * batch) is a copy, not a computation. Where f works cell by cell the range may be one of columns
 * too: f(X[a:b,c:d]) = f(X)[a:b,c:d].
 */
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { rangeOf } from '../../operators/slice.js';
import type { PlanContext, PlanRule } from '../plan-rule.js';
import { sliceOf } from '../rules/merge-slices.js';
import { splitOps } from './bind-parts.js';

export const sliceWholeResult: PlanRule = {
  name: 'slice-whole-result',
  ops: splitOps,
  algebra: 'X[a:b,] %*% Y -> [X %*% Y][a:b,]; f(X[a:b,c:d]) -> [f(X)][a:b,c:d]',
  apply: (expr, context) => {
    if (!expr.inputs.some((input) => input.op === ops.slice)) return undefined;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.kind !== 'map') return undefined;
    const takesCols = expr.inputs.map(({ cols }) => expr.op.elementwise && cols === expr.cols);
    const rows = common(expr.inputs, rule.blocked, 'rows');
    const cols = common(expr.inputs, takesCols, 'cols');
    if (rows === undefined || cols === undefined) return undefined;
    const bases = expr.inputs.map((input, i) =>
      input.op === ops.slice ? widened(input, rule.blocked[i]!, takesCols[i]!, context) : input,
    );
    const whole = context.intern(expr.op, bases, expr.attrs);
    if (whole === expr || !context.isCached(whole)) return undefined;
    const range = expr.op.elementwise ? cols.range : [0, whole.cols];
    return { expr: sliceOf(whole, rows.range, range as Range, context), uses: [whole] };
  },
};

type Range = readonly [number, number];

/** A slice without its range of rows, of columns, or both. */
function widened(slice: Expr, rows: boolean, cols: boolean, context: PlanContext): Expr {
  const base = slice.inputs[0]!;
  const own = (axis: 'rows' | 'cols', isAll: boolean): Range =>
    isAll ? [0, base[axis]] : rangeOf(slice.attrs, axis, base[axis]);
  return sliceOf(base, own('rows', rows), own('cols', cols), context);
}

/** The range that all these operands are of equally long ones; undefined when they differ. */
function common(
  inputs: readonly Expr[],
  taken: readonly boolean[],
  axis: 'rows' | 'cols',
): { readonly range: Range; readonly length: number } | undefined {
  let found: { readonly range: Range; readonly length: number } | undefined;
  for (const [i, input] of inputs.entries()) {
    if (!taken[i]) continue;
    const length = input.op === ops.slice ? input.inputs[0]![axis] : input[axis];
    const range: Range =
      input.op === ops.slice ? rangeOf(input.attrs, axis, length) : [0, input[axis]];
    found ??= { range, length };
    const [from, to] = found.range;
    if (found.length !== length || range[0] !== from || range[1] !== to) return undefined;
  }
  return found ?? { range: [0, 1], length: 1 };
}
