/** A column of evenly spaced numbers: cell i = from + i * by. attrs: from, by, rows. */

import { defineOp, sourceRule } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { finiteAttr, sizeAttr } from './shape-check.js';

export const seq = defineOp({
  name: 'seq',
  arity: 0,
  infer: (_inputs, attrs) => {
    finiteAttr('seq', attrs, 'from');
    finiteAttr('seq', attrs, 'by');
    return { rows: sizeAttr('seq', attrs, 'rows'), cols: 1 };
  },
  rowRule: () => sourceRule,
  reference: (_inputs, attrs, out, block) => {
    const first = block?.rowOffset ?? 0;
    const count = block?.rows ?? out.rows;
    const from = attrs.from as number;
    const by = attrs.by as number;
    return dense(
      count,
      1,
      Float64Array.from({ length: count }, (_, i) => from + (first + i) * by),
    );
  },
  cases: [
    { name: 'rising', inputs: [], attrs: { from: 1, by: 1, rows: 10 }, tolerance: 0 },
    { name: 'falling by a tenth', inputs: [], attrs: { from: 1, by: -0.1, rows: 8 }, tolerance: 0 },
    { name: 'one row', inputs: [], attrs: { from: 5, by: 0, rows: 1 }, tolerance: 0 },
  ],
});
