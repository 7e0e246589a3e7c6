/** Operands beside one another; all have the same number of rows. */

import { isTall } from '../ir/batch-rule.js';
import { partsInOrder } from '../ir/gradient-rule.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { nnzOf, shapeError } from './shape-check.js';

export const cbind = defineOp({
  name: 'cbind',
  arity: { min: 2, max: Number.POSITIVE_INFINITY },
  work: 'move',
  isSeenThrough: true,
  infer: (inputs) => {
    const { rows } = inputs[0]!;
    let cols = 0;
    let nnz = 0;
    for (const input of inputs) {
      if (input.rows !== rows) throw shapeError('cbind', 'operands with equal rows', inputs);
      cols += input.cols;
      nnz += nnzOf(input);
    }
    return nnz < rows * cols ? { rows, cols, nnz } : { rows, cols };
  },
  rowRule: (inputs) => ({ kind: 'map', blocked: inputs.map(() => true) }),
  batch: ({ one, operands, maker, stack }) => {
    if (operands.some(isTall)) return undefined;
    return { layout: 'stack', expr: maker.intern(one.op, operands.map(stack)) };
  },
  gradient: (site) =>
    partsInOrder(
      site,
      ({ cols }) => cols,
      (from, to) => site.part(site.upstream, null, [from, to]),
    ),
  reference: (inputs) => {
    const { rows } = inputs[0]!;
    const cols = inputs.reduce((sum, input) => sum + input.cols, 0);
    const out = new Float64Array(rows * cols);
    let offset = 0;
    for (const input of inputs) {
      for (let i = 0; i < rows; i++) {
        const start = i * input.cols;
        out.set(input.data.subarray(start, start + input.cols), i * cols + offset);
      }
      offset += input.cols;
    }
    return dense(rows, cols, out);
  },
  cases: [
    { name: 'two', inputs: [sample(6, 3), sample(6, 2, 2)] },
    { name: 'three', inputs: [sample(5, 1), sample(5, 2, 2), sample(5, 1, 3)] },
    { name: 'rows', inputs: [sample(1, 3), sample(1, 4, 2)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});
