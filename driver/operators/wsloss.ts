/**
 * Weighted squared loss of a factorisation, the sum of w (x - u v')^2 over the cells asked about
 * (see `weighted.ts`). inputs: X (n x m), U (n x r), V (m x r), optionally W (n x m). X and U come
 * by row blocks.
 */

import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add } from './cells.js';
import { sample } from './product.js';
import { askedCells, checkFactors, factorBlocks, forEachAsked, sparseSample } from './weighted.js';

export const wsloss = defineOp({
  name: 'wsloss',
  arity: { min: 3, max: 4 },
  infer: (inputs) => {
    checkFactors('wsloss', inputs);
    return { rows: 1, cols: 1 };
  },
  rowRule: (inputs) => ({ kind: 'reduce', blocked: factorBlocks(inputs) }),
  flops: (inputs) => askedCells(inputs) * (2 * inputs[1]!.cols + 4),
  reference: (inputs) => {
    let total = 0;
    forEachAsked(inputs, (_row, _col, weight, cell, product) => {
      total += weight * (cell - product) ** 2;
    });
    return dense(1, 1, Float64Array.of(total));
  },
  merge: add,
  cases: [
    { name: 'where X is not zero', inputs: [sparseSample(9, 7), sample(9, 2, 2), sample(7, 2, 3)] },
    {
      name: 'weighted',
      inputs: [sample(8, 5), sample(8, 3, 2), sample(5, 3, 3), sparseSample(8, 5, 2)],
    },
    { name: 'one row', inputs: [sparseSample(1, 6), sample(1, 2, 2), sample(6, 2, 3)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2), sample(1, 1, 3)] },
  ],
});
