/** A column (n x 1) as the diagonal of an n x n matrix, or such a matrix's diagonal as a column. */

import { dtypeAttr } from '../ir/dtype.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { addDiag } from './add-diag.js';
import { rowSums } from './aggregates.js';
import { fill } from './fill.js';
import { ifelse } from './ifelse.js';
import { sample } from './product.js';
import { scalar, scalarAttrs } from './scalar.js';
import { shapeError } from './shape-check.js';

export const diag: OpDef = defineOp({
  name: 'diag',
  arity: 1,
  work: 'move',
  infer: (inputs) => {
    const { rows, cols } = inputs[0]!;
    if (cols === 1) return { rows, cols: rows, nnz: rows };
    if (cols === rows) return { rows, cols: 1 };
    throw shapeError('diag', 'a column or a square matrix', inputs);
  },
  batch: ({ models, operands: [x], maker, stack }) => {
    const own = stack(x!);
    const size = x!.rows;
    const shape = { rows: models * size, cols: size, ...dtypeAttr(own.dtype) };
    const zeros = maker.intern(fill, [], { ...shape, value: 0 });
    const parts = { parts: models };
    if (x!.cols === 1) return { layout: 'stack', expr: maker.intern(addDiag, [zeros, own], parts) };
    const one = maker.intern(scalar, [], scalarAttrs(1, own.dtype));
    const isDiagonal = maker.intern(addDiag, [zeros, one], parts);
    const zero = maker.intern(scalar, [], scalarAttrs(0, own.dtype));
    const kept = maker.intern(ifelse, [isDiagonal, own, zero]);
    return { layout: 'stack', expr: maker.intern(rowSums, [kept]) };
  },
  gradient: ({ upstream, make }) => [make(diag, [upstream])],
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
