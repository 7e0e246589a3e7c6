/** A slice of a slice is one slice of the original; a slice of everything is the original. */
import type { Expr, NodeMaker } from '../../ir/expr.js';
import { ops } from '../../operators/index.js';
import { type Range, rangeOf } from '../../operators/slice.js';
import type { Rule } from '../rule.js';

/** Some rows and columns of a node, or the node itself when they are all; "all" is always null. */
export function sliceOf(x: Expr, rows: Range, cols: Range, maker: NodeMaker): Expr {
  const canonical = ([from, to]: Range, size: number): Range | null =>
    from === 0 && to === size ? null : [from, to];
  const attrs = { rows: canonical(rows, x.rows), cols: canonical(cols, x.cols) };
  return attrs.rows === null && attrs.cols === null ? x : maker.intern(ops.slice, [x], attrs);
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
    return sliceOf(source, shifted(rows, rowShift), shifted(cols, colShift), context);
  },
};

function shifted([from, to]: Range, by: number): Range {
  return [from + by, to + by];
}
