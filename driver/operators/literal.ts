/**
 * A matrix given by its cells. Small ones are interned by content, large ones by the buffer that holds them
 * (attribute `key`, see `driver/matrix/create.ts`); the lineage key is the content digest either way.
 */
import type { DenseMatrix } from '../runtime/value.js';
import { defineOp } from './op-def.js';

export const literal = defineOp({
  name: 'literal',
  arity: 0,
  infer: (_inputs, attrs) => ({ rows: attrs.rows as number, cols: attrs.cols as number }),
  flops: () => 0,
  reference: (_inputs, _attrs, _out, block) => block!.payload as DenseMatrix,
});
