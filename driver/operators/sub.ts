/** a - b. */
import { binaryOp } from './elementwise.js';

export const sub = binaryOp('sub', (a, b) => a - b, { zero: 'both' });
