/**
 * A matrix given by its cells. Small ones are interned by content, large ones by the buffer that
 * holds them (attribute `key`, see `driver/matrix/create.ts`); the lineage key is the content
 * digest either way. attrs of compressed rows: nnz, the cells that are held.
 */

import { defineOp } from '../ir/op-def.js';
import { converted, type DenseMatrix } from '../ir/value.js';

export const literal = defineOp({
  name: 'literal',
  arity: 0,
  source: 'cells',
  infer: (_inputs, attrs) => ({
    rows: attrs.rows as number,
    cols: attrs.cols as number,
    nnz: attrs.nnz as number | undefined,
  }),
  flops: () => 0,
  reference: (_inputs, _attrs, _out, block) => converted(block!.payload as DenseMatrix, 'float64'),
});
