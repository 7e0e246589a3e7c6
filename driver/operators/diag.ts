/** A column (n x 1) as the diagonal of an n x n matrix, or such a matrix's diagonal as a column. */

import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const diag = defineOp({
  name: 'diag',
  arity: 1,
  work: 'move',
  infer: (inputs) => {
    const { rows, cols } = inputs[0]!;
    if (cols === 1) return { rows, cols: rows, nnz: rows };
    if (cols === rows) return { rows, cols: 1 };
    throw shapeError('diag', 'a column or a square matrix', inputs);
  },
  reference: ([x]) => {
    const { rows: n, cols, data } = x!;
    if (cols !== 1) {
      return dense(
        n,
        1,
        Float64Array.from({ length: n }, (_, i) => data[i * n + i]!),
      );
    }
    const out = new Float64Array(n * n);
    for (let i = 0; i < n; i++) out[i * n + i] = data[i]!;
    return dense(n, n, out);
  },
  cases: [
    { name: 'column to matrix', inputs: [sample(4, 1)] },
    { name: 'matrix to column', inputs: [sample(5, 5)] },
    { name: '1x1', inputs: [sample(1, 1)] },
  ],
});
