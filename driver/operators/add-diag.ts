/**
 * A + diag(d), or A + d * I for a scalar d, without n x n zeros: the ridge penalty. attrs
 * (optional): parts, of so many square matrices one under the other, d having a cell a row.
 */

import { dtypeAttr } from '../ir/dtype.js';
import type { Expr } from '../ir/expr.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { mul } from './cells.js';
import { fill } from './fill.js';
import { sample } from './product.js';
import { shapeError, sizeAttr } from './shape-check.js';

export const addDiag: OpDef = defineOp({
  name: 'addDiag',
  arity: 2,
  infer: (inputs, attrs) => {
    const [a, d] = inputs;
    const parts = attrs.parts === undefined ? 1 : sizeAttr('addDiag', attrs, 'parts');
    if (a!.rows !== parts * a!.cols || d!.cols !== 1 || (d!.rows !== 1 && d!.rows !== a!.rows)) {
      throw shapeError(
        'addDiag',
        `${parts === 1 ? 'a square matrix' : `${parts} square matrices`} and a scalar or a column of its rows`,
        inputs,
      );
    }
    return { rows: a!.rows, cols: a!.cols };
  },
  batch: ({ models, one, operands, maker, stack, repeatRows }) => {
    const parts = models * ((one.attrs.parts as number | undefined) ?? 1);
    const [a, d] = operands;
    const diagonal = d!.rows === 1 ? repeatRows(stack(d!), 1, a!.rows) : stack(d!);
    const added = d!.layout === 'shared' && d!.rows === 1 ? d!.expr : diagonal;
    return { layout: 'stack', expr: maker.intern(addDiag, [stack(a!), added], { parts }) };
  },
  gradient: ({ node, upstream, narrowUpstream, isWanted, make, unbroadcast }) => {
    const { rows, cols, dtype } = node;
    const byDiagonal = (): Expr => {
      const zeros = make(fill, [], { rows, cols, value: 0, ...dtypeAttr(dtype) });
      const isDiagonal = make(addDiag, [zeros, 1], node.attrs);
      const column = { rows, cols: 1 };
      const sums = unbroadcast(make(mul, [upstream, isDiagonal]), column);
      return unbroadcast(sums, node.inputs[1]!, column);
    };
    return [narrowUpstream, isWanted[1] ? byDiagonal() : undefined];
  },
  reference: ([a, d]) => {
    const { rows, cols } = a!;
    const out = a!.data.slice();
    for (let i = 0; i < rows; i++) out[i * cols + (i % cols)]! += d!.data[d!.rows === 1 ? 0 : i]!;
    return dense(rows, cols, out);
  },
  cases: [
    { name: 'scalar', inputs: [sample(5, 5), sample(1, 1)] },
    { name: 'column', inputs: [sample(4, 4), sample(4, 1, 2)] },
    { name: 'two matrices', inputs: [sample(6, 3), sample(6, 1, 2)], attrs: { parts: 2 } },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});
