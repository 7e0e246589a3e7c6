/**
 * Results of a range of rows from the cached result of all rows: f(X[a:b,]) = f(X)[a:b,] for f that works row by row. So
 * a product, a prediction or a transformed matrix of a sub-range (a fold, a batch) is a copy, not a computation.
 */
import { ops } from '../../operators/index.js';
import { rangeOf } from '../../operators/slice.js';
import { sliceAttrs } from '../rules/merge-slices.js';
import type { PartialRule } from './partial-rule.js';
import { rowWise } from './stack-row-parts.js';

export const sliceWholeResult: PartialRule = {
  name: 'slice-whole-result',
  ops: rowWise,
  algebra: 'X[a:b,] %*% Y -> [X %*% Y][a:b,]; f(X[a:b,]) -> [f(X)][a:b,]',
  apply: (expr, context) => {
    if (!expr.inputs.some((input) => input.op === ops.slice)) return undefined;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.kind !== 'map') return undefined;
    const first = expr.inputs[rule.blocked.indexOf(true)];
    if (first?.op !== ops.slice) return undefined;
    const baseRows = first.inputs[0]!.rows;
    const [from, to] = rangeOf(first.attrs, 'rows', baseRows);
    const bases = expr.inputs.map((input, i) => {
      if (!rule.blocked[i]) return input;
      const base = input.op === ops.slice ? input.inputs[0]! : undefined;
      if (base?.rows !== baseRows || (input.attrs.cols ?? null) !== null) return undefined;
      const range = rangeOf(input.attrs, 'rows', baseRows);
      return range[0] === from && range[1] === to ? base : undefined;
    });
    if (bases.some((base) => base === undefined)) return undefined;
    const whole = context.intern(
      expr.op,
      bases.filter((base) => base !== undefined),
      expr.attrs,
    );
    if (!context.isCached(whole)) return undefined;
    const attrs = sliceAttrs([from, to], [0, whole.cols], whole);
    return { expr: context.intern(ops.slice, [whole], attrs), uses: [whole] };
  },
};
