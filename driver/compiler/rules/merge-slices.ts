/** A slice of a slice is one slice of the original; a slice of everything is the original. */
import type { Attrs } from '../../ir/attrs.js';
import type { Expr } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { type Range, rangeOf } from '../../operators/slice.js';
import type { Rule } from '../rule.js';

/** Slice attributes in the one canonical form: null for all. */
export function sliceAttrs(rows: Range, cols: Range, x: Expr): Attrs {
  const canonical = ([from, to]: Range, size: number): Range | null =>
    from === 0 && to === size ? null : [from, to];
  return { rows: canonical(rows, x.rows), cols: canonical(cols, x.cols) };
}

export const mergeSlices: Rule = {
  name: 'merge-slices',
  direction: 'up',
  ops: [ops.slice],
  algebra: 'X[a:b,][c:d,] -> X[a+c:a+d,]; X[,] -> X',
  apply: (expr, context) => {
    const x = expr.inputs[0]!;
    const rows = rangeOf(expr.attrs, 'rows', x.rows);
    const cols = rangeOf(expr.attrs, 'cols', x.cols);
    if (expr.rows === x.rows && expr.cols === x.cols) return x;
    if (x.op !== ops.slice) return undefined;
    const source = x.inputs[0]!;
    const rowShift = rangeOf(x.attrs, 'rows', source.rows)[0];
    const colShift = rangeOf(x.attrs, 'cols', source.cols)[0];
    const attrs = sliceAttrs(shifted(rows, rowShift), shifted(cols, colShift), source);
    return context.intern(ops.slice, [source], attrs);
  },
};

function shifted([from, to]: Range, by: number): Range {
  return [from + by, to + by];
}
