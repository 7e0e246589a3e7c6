/**
 * The same cells in another dtype, each rounded to the nearest (ties to even; beyond the range of
 * float32 to an infinity, as IEEE 754 says). attrs: dtype. No step of a fused chain: what is cast
 * down and up again has lost its digits.
 */
import { checkedDType } from '../ir/dtype.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { sample } from './product.js';

export const cast: OpDef = defineOp({
  name: 'cast',
  arity: 1,
  infer: ([x]) => ({ rows: x!.rows, cols: x!.cols, nnz: x!.nnz }),
  dtype: (_inputs, attrs) => checkedDType('cast', attrs.dtype),
  rowRule: () => ({ kind: 'map', blocked: [true] }),
  batch: ({ one, operands: [x], maker }) => ({
    layout: x!.layout,
    expr: maker.intern(one.op, [x!.expr], one.attrs),
  }),
  gradient: ({ node, narrowUpstream, make }) => [
    make(cast, [narrowUpstream], { dtype: node.inputs[0]!.dtype }),
  ],
  // The caller rounds it to the dtype.
  reference: ([x]) => dense(x!.rows, x!.cols, x!.data.slice()),
  cases: [
    { name: 'to float32', inputs: [sample(7, 3)], attrs: { dtype: 'float32' } },
    { name: 'to float64', inputs: [sample(7, 3)], attrs: { dtype: 'float64' } },
    {
      name: 'ties, tiny, huge, NaN and infinities',
      inputs: [
        dense(2, 4, Float64Array.of(1 + 2 ** -24, -0, 1e-50, 1e39, NaN, Infinity, -1e39, 0.1)),
      ],
      attrs: { dtype: 'float32' },
    },
  ],
});
