/** -1, 0 or 1; NaN stays NaN. */
import { unaryOp } from './elementwise.js';

export const sign = unaryOp('sign', Math.sign, { zero: 'either' });
