/** t(X) %*% X, the Gram matrix of least squares, computed once for both triangles; symmetric. */

import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { batchGram } from './batch-products.js';
import { add } from './cells.js';
import { matmul } from './matmul.js';
import { multiply, sample } from './product.js';
import { transpose } from './transpose.js';

export const tsmm = defineOp({
  name: 'tsmm',
  arity: 1,
  work: 'product',
  infer: ([x]) => ({ rows: x!.cols, cols: x!.cols }),
  rowRule: () => ({ kind: 'reduce', blocked: [true] }),
  flops: (inputs) => inputs[0]!.rows * inputs[0]!.cols * inputs[0]!.cols,
  reference: ([x]) => multiply(x!, x!, true),
  merge: add,
  batch: batchGram,
  gradient: ({ node, upstream, make }) => {
    const both = make(add, [upstream, make(transpose, [upstream])]);
    return [make(matmul, [node.inputs[0]!, both])];
  },
  findBy: () => [
    { operand: 0, by: 'rows' },
    { operand: 0, by: 'self' },
    { operand: 0, by: 'cols' },
  ],
  cases: [
    { name: 'tall', inputs: [sample(37, 5)] },
    { name: 'wide', inputs: [sample(3, 8, 2)] },
    { name: 'one column', inputs: [sample(10, 1)] },
    { name: 'one row', inputs: [sample(1, 4)] },
    { name: '1x1', inputs: [sample(1, 1)] },
    { name: 'NaN spoils its row and column', inputs: [dense(2, 2, Float64Array.of(1, NaN, 3, 4))] },
  ],
});
