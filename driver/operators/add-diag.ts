/** A + diag(d), or A + d * I for a scalar d, without n x n zeros: the ridge penalty. */

import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const addDiag = defineOp({
  name: 'addDiag',
  arity: 2,
  infer: (inputs) => {
    const [a, d] = inputs;
    if (a!.rows !== a!.cols || d!.cols !== 1 || (d!.rows !== 1 && d!.rows !== a!.rows)) {
      throw shapeError('addDiag', 'a square matrix and a scalar or a column of its size', inputs);
    }
    return { rows: a!.rows, cols: a!.cols };
  },
  reference: ([a, d]) => {
    const n = a!.rows;
    const out = a!.data.slice();
    for (let i = 0; i < n; i++) out[i * n + i]! += d!.data[d!.rows === 1 ? 0 : i]!;
    return dense(n, n, out);
  },
  cases: [
    { name: 'scalar', inputs: [sample(5, 5), sample(1, 1)] },
    { name: 'column', inputs: [sample(4, 4), sample(4, 1, 2)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});
