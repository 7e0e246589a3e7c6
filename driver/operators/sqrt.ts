/** Square root; NaN below 0. */
import { unaryOp } from './elementwise.js';

export const sqrt = unaryOp('sqrt', Math.sqrt, { zero: 'either', cellFlops: 4 });
