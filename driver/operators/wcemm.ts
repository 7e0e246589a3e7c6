/**
 * Weighted cross entropy of a factorisation, the sum of w x log(max(u v' + plus, least)) over the
 * cells asked about (see `weighted.ts`): what Poisson and Kullback-Leibler losses have of them.
 * inputs: X (n x m), U (n x r), V (m x r), optionally W (n x m). attrs: plus, least. X and U come
 * by row blocks.
 */

import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add } from './cells.js';
import { sample } from './product.js';
import {
  askedCells,
  checkFactors,
  factorBlocks,
  forEachAsked,
  guarded,
  guardOf,
  sparseSample,
} from './weighted.js';

/** Of a logarithm, in operations. */
const LOG_FLOPS = 20;

export const wcemm = defineOp({
  name: 'wcemm',
  arity: { min: 3, max: 4 },
  infer: (inputs, attrs) => {
    checkFactors('wcemm', inputs);
    guardOf('wcemm', attrs);
    return { rows: 1, cols: 1 };
  },
  rowRule: (inputs) => ({ kind: 'reduce', blocked: factorBlocks(inputs) }),
  flops: (inputs) => askedCells(inputs) * (2 * inputs[1]!.cols + LOG_FLOPS),
  reference: (inputs, attrs) => {
    const guard = guardOf('wcemm', attrs);
    let total = 0;
    forEachAsked(inputs, (_row, _col, weight, cell, product) => {
      total += weight * (cell * Math.log(guarded(product, guard)));
    });
    return dense(1, 1, Float64Array.of(total));
  },
  merge: add,
  cases: [
    {
      name: 'where X is not zero',
      inputs: [sparseSample(9, 7), sample(9, 2, 2), sample(7, 2, 3)],
      attrs: { least: 0.1 },
    },
    {
      name: 'weighted',
      inputs: [sample(8, 5), sample(8, 3, 2), sample(5, 3, 3), sparseSample(8, 5, 2)],
      attrs: { plus: 0.5, least: 1e-8 },
    },
    { name: 'no logarithm', inputs: [sample(1, 6), sample(1, 2, 2), sample(6, 2, 3)] },
    {
      name: '1x1',
      inputs: [sample(1, 1), sample(1, 1, 2), sample(1, 1, 3)],
      attrs: { plus: 2 },
    },
  ],
});
