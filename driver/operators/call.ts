/**
 * One output of a call of a reusable function: attributes name the function, its version, its plain
 * arguments and which output it is; the inputs are its matrix arguments. No backend runs it: the
 * session has the value, from the cache, from the durable store, or by calling the function
 * (`driver/functions/function-cache.ts`).
 */
import { InternalError } from '../errors.js';
import { leafDType } from '../ir/dtype.js';
import { defineOp } from '../ir/op-def.js';

/** A function is worth looking up whatever it computes. @units flops */
const CALL_FLOPS = 1e9;

export const call = defineOp({
  name: 'call',
  arity: { min: 0, max: Number.MAX_SAFE_INTEGER },
  source: 'call',
  infer: (_inputs, attrs) => ({ rows: attrs.rows as number, cols: attrs.cols as number }),
  dtype: (_inputs, attrs) => leafDType('call', attrs.dtype),
  flops: () => CALL_FLOPS,
  reference: () => {
    throw new InternalError('call: expected the session to have called the function');
  },
});
