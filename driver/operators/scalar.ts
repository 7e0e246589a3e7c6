/** A 1x1 matrix given by its value, which is part of the lineage. */

import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';

export const scalar = defineOp({
  name: 'scalar',
  arity: 0,
  source: 'number',
  constant: ({ value }) => value as number,
  infer: () => ({ rows: 1, cols: 1 }),
  flops: () => 0,
  reference: (_inputs, attrs) => dense(1, 1, Float64Array.of(attrs.value as number)),
});
