/**
 * Column j of the result is M_(j mod C) %*% column j, of C square blocks one under the other: what
 * each output of a model has of its own beside every model of a stack.
 * inputs: M (C p x p), Q (p x C K). output: p x C K.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError } from './shape-check.js';

export const blockProducts = defineOp({
  name: 'blockProducts',
  arity: 2,
  work: 'product',
  infer: (inputs) => {
    const [blocks, q] = inputs;
    const fits = blocks!.cols === q!.rows && blocks!.rows % blocks!.cols === 0;
    if (!fits || q!.cols % (blocks!.rows / blocks!.cols) !== 0) {
      throw shapeError('blockProducts', 'C blocks p x p and p x C K columns', inputs);
    }
    return { rows: q!.rows, cols: q!.cols };
  },
  flops: ([, q]) => 2 * q!.rows ** 2 * q!.cols,
  batch: ({ one, operands: [blocks, q], maker, columns }) => {
    if (blocks!.layout !== 'shared') return undefined;
    return { layout: 'columns', expr: maker.intern(one.op, [blocks!.expr, columns(q!)]) };
  },
  reference: ([blocks, q]) => {
    const [p, cols] = [q!.rows, q!.cols];
    const count = blocks!.rows / p;
    const out = new Float64Array(p * cols);
    for (let j = 0; j < cols; j++) {
      const block = blocks!.data.subarray((j % count) * p * p);
      for (let i = 0; i < p; i++) {
        let sum = 0;
        for (let k = 0; k < p; k++) sum += block[i * p + k]! * q!.data[k * cols + j]!;
        out[i * cols + j] = sum;
      }
    }
    return dense(p, cols, out);
  },
  cases: [
    { name: 'three blocks, two models', inputs: [sample(12, 4), sample(4, 6, 2)] },
    { name: 'three blocks, one model', inputs: [sample(12, 4), sample(4, 3, 2)] },
    { name: 'one block', inputs: [sample(5, 5), sample(5, 3, 2)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});
