/**
 * A matrix whose cells are given each time it is evaluated: the state of a loop. What is computed
 * from it is not the same each time, so nothing of it is kept. attrs: rows, cols, key.
 */
import { defineOp } from '../ir/op-def.js';
import { literal } from './literal.js';

export const slot = defineOp({
  name: 'slot',
  arity: 0,
  source: 'cells',
  deterministic: false,
  infer: literal.infer,
  flops: () => 0,
  reference: literal.reference,
});
