/** rbind(A, B)[i:j,] -> A[i:j,] for a slice within one part, and the same for cbind. */
import { ops } from '../../operators/index.js';
import { type Range, rangeOf } from '../../operators/slice.js';
import type { Rule } from '../rule.js';
import { sliceOf } from './merge-slices.js';

export const pushSliceIntoBind: Rule = {
  name: 'push-slice-into-bind',
  direction: 'up',
  ops: [ops.slice],
  algebra: 'rbind(A, B)[i:j,] -> A[i:j,] for j <= nrow(A)',
  apply: (expr, context) => {
    const bind = expr.inputs[0]!;
    if (bind.op !== ops.rbind && bind.op !== ops.cbind) return undefined;
    const byRows = bind.op === ops.rbind;
    const rows = rangeOf(expr.attrs, 'rows', bind.rows);
    const cols = rangeOf(expr.attrs, 'cols', bind.cols);
    const [from, to] = byRows ? rows : cols;
    let start = 0;
    for (const part of bind.inputs) {
      const end = start + (byRows ? part.rows : part.cols);
      if (from < end) {
        if (to > end) return undefined;
        const inside: Range = [from - start, to - start];
        return sliceOf(part, byRows ? inside : rows, byRows ? cols : inside, context);
      }
      start = end;
    }
    return undefined;
  },
};
