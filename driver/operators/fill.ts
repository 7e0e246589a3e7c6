/** A matrix with one value in every cell. attrs: rows, cols, value. */

import { defineOp, sourceRule } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { numberAttr, sizeAttr } from './shape-check.js';

export const fill = defineOp({
  name: 'fill',
  arity: 0,
  constant: ({ value }) => value as number,
  infer: (_inputs, attrs) => {
    const rows = sizeAttr('fill', attrs, 'rows');
    const cols = sizeAttr('fill', attrs, 'cols');
    const value = numberAttr('fill', attrs, 'value');
    return value === 0 ? { rows, cols, nnz: 0 } : { rows, cols };
  },
  rowRule: () => sourceRule,
  rowsOf: ({ attrs }, from, to) => ({ attrs: { ...attrs, rows: to - from }, places: null }),
  reference: (_inputs, attrs, out, block) => {
    const rows = block?.rows ?? out.rows;
    const cols = attrs.cols as number;
    return dense(rows, cols, new Float64Array(rows * cols).fill(attrs.value as number));
  },
  cases: [
    { name: 'ones', inputs: [], attrs: { rows: 9, cols: 4, value: 1 } },
    { name: 'NaN, one row', inputs: [], attrs: { rows: 1, cols: 3, value: NaN } },
    { name: '1x1', inputs: [], attrs: { rows: 1, cols: 1, value: -2.5 } },
  ],
});
