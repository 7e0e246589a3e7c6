/** a * a. */
import { unaryOp } from './elementwise.js';

export const square = unaryOp('square', (a) => a * a, { zero: 'either' });
