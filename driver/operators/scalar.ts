/** A 1x1 matrix given by its value, which is part of the lineage. */

import type { Attrs } from '../ir/attrs.js';
import { type DType, dtypeAttr } from '../ir/dtype.js';
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

/** Attributes of a number as a scalar of that dtype. 0 and -0 are one value in attributes. */
export function scalarAttrs(value: number, dtype: DType): Attrs {
  const rounded = dtype === 'float32' ? Math.fround(value) : value;
  return { value: rounded === 0 ? 0 : rounded, ...dtypeAttr(dtype) };
}
