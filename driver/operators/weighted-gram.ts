/**
 * t(X) %*% diag(w_k) %*% X for every column w_k of W in one pass: the Gram matrices of many models
 * over the same rows, each with weights of its own (Newton's and reweighted steps). Weights may be
 * negative. inputs: X (n x d), W (n x K). output: K blocks of d x d, one under the other.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add } from './cells.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const weightedGram = defineOp({
  name: 'weightedGram',
  arity: 2,
  work: 'product',
  infer: (inputs) => {
    const [x, w] = inputs;
    if (w!.rows !== x!.rows) throw shapeError('weightedGram', 'X n x d and weights n x K', inputs);
    return { rows: w!.cols * x!.cols, cols: x!.cols };
  },
  rowRule: () => ({ kind: 'reduce', blocked: [true, true] }),
  flops: ([x, w]) => x!.rows * x!.cols * x!.cols * w!.cols,
  reference: ([x, w]) => {
    const d = x!.cols;
    const models = w!.cols;
    const data = new Float64Array(models * d * d);
    for (let i = 0; i < x!.rows; i++) {
      const row = x!.data.subarray(i * d, (i + 1) * d);
      for (let k = 0; k < models; k++) {
        const weight = w!.data[i * models + k]!;
        for (let a = 0; a < d; a++) {
          for (let b = 0; b < d; b++) data[(k * d + a) * d + b]! += weight * row[a]! * row[b]!;
        }
      }
    }
    return dense(models * d, d, data);
  },
  merge: add,
  batch: ({ one, operands: [x, w], maker, columns }) => {
    if (x!.layout !== 'shared') return undefined;
    return { layout: 'stack', expr: maker.intern(one.op, [x!.expr, columns(w!)]) };
  },
  cases: [
    { name: 'three models, negative weights', inputs: [sample(17, 4), sample(17, 3, 2)] },
    {
      name: 'no negative weight',
      inputs: [sample(12, 3), dense(12, 2, sample(12, 2, 2).data.map(Math.abs))],
    },
    { name: 'more models than columns', inputs: [sample(9, 2), sample(9, 11, 2)] },
    { name: 'one row', inputs: [sample(1, 3), sample(1, 2, 2)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});
