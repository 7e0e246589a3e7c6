/** t(X). Free in products, which take transposed operands by a flag (`rules/fold-transpose.ts`). */

import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';

export const transpose: OpDef = defineOp({
  name: 'transpose',
  arity: 1,
  work: 'move',
  infer: ([x]) => ({ rows: x!.cols, cols: x!.rows, nnz: x!.nnz }),
  gradient: ({ narrowUpstream, make }) => [make(transpose, [narrowUpstream])],
  batch: ({ operands: [x], transposed }) => transposed(x!),
  reference: ([x]) => {
    const { rows, cols, data } = x!;
    const out = new Float64Array(rows * cols);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j]!;
    }
    return dense(cols, rows, out);
  },
  cases: [
    { name: 'tall', inputs: [sample(70, 3)] },
    { name: 'wide', inputs: [sample(2, 9)] },
    { name: 'row', inputs: [sample(1, 5)] },
    { name: '1x1', inputs: [sample(1, 1)] },
  ],
});
