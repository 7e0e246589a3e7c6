/** a + b. */
import { binaryOp } from './elementwise.js';

export const add = binaryOp('add', (a, b) => a + b, { commutative: true, zero: 'both' });
