/** a to the power b, as ECMAScript and Java define it: NaN for b = NaN even at a = 1, and for (+-1)^(+-Infinity). */
import { binaryOp } from './elementwise.js';

export const pow = binaryOp('pow', (a, b) => a ** b, { cellFlops: 40 });
