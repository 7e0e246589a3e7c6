/** The same cells, read row by row, in another shape. attrs: rows, cols. */

import { isTall } from '../ir/batch-rule.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const reshape: OpDef = defineOp({
  name: 'reshape',
  arity: 1,
  work: 'move',
  infer: (inputs, attrs) => {
    const rows = sizeAttr('reshape', attrs, 'rows');
    const cols = sizeAttr('reshape', attrs, 'cols');
    if (rows * cols !== inputs[0]!.rows * inputs[0]!.cols) {
      throw shapeError('reshape', `${rows * cols} cells for ${rows}x${cols}`, inputs);
    }
    return { rows, cols, nnz: inputs[0]!.nnz };
  },
  flops: () => 0,
  batch: ({ models, operands, maker, one, stack }) => {
    if (isTall(operands[0]!)) return undefined;
    const rows = models * one.rows;
    const expr = maker.intern(reshape, [stack(operands[0]!)], { rows, cols: one.cols });
    return { layout: 'stack', expr };
  },
  gradient: ({ node, upstream, make }) => {
    const { rows, cols } = node.inputs[0]!;
    return [make(reshape, [upstream], { rows, cols })];
  },
  reference: ([x], attrs) => dense(attrs.rows as number, attrs.cols as number, x!.data),
  cases: [
    { name: 'tall to wide', inputs: [sample(6, 2)], attrs: { rows: 3, cols: 4 } },
    { name: 'to a column', inputs: [sample(3, 4)], attrs: { rows: 12, cols: 1 } },
    { name: '1x1', inputs: [sample(1, 1)], attrs: { rows: 1, cols: 1 } },
  ],
});
