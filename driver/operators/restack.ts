/**
 * Matrices side by side, [r, K c], one under the other, [K r, c]. attrs: parts, the K. The way back
 * is between two transposes.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const restack = defineOp({
  name: 'restack',
  arity: 1,
  work: 'move',
  infer: (inputs, attrs) => {
    const parts = sizeAttr('restack', attrs, 'parts');
    const { rows, cols, nnz } = inputs[0]!;
    if (cols % parts !== 0) throw shapeError('restack', `columns of ${parts} parts`, inputs);
    return { rows: rows * parts, cols: cols / parts, nnz };
  },
  reference: ([x], attrs) => {
    const { rows, cols, data } = x!;
    const parts = attrs.parts as number;
    const width = cols / parts;
    const out = new Float64Array(data.length);
    for (let k = 0; k < parts; k++) {
      for (let i = 0; i < rows; i++) {
        const from = i * cols + k * width;
        out.set(data.subarray(from, from + width), (k * rows + i) * width);
      }
    }
    return dense(rows * parts, width, out);
  },
  cases: [
    { name: 'three parts', inputs: [sample(4, 6)], attrs: { parts: 3 } },
    { name: 'columns', inputs: [sample(5, 4)], attrs: { parts: 4 } },
    { name: 'one part', inputs: [sample(3, 2)], attrs: { parts: 1 } },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { parts: 1 } },
  ],
});
