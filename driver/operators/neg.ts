/** -a. */
import { unaryOp } from './elementwise.js';

export const neg = unaryOp('neg', (a) => -a, { zero: 'either' });
