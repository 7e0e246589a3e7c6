/** 1 where either cell is non-zero, else 0; NaN counts as non-zero, as in C and NumPy. */
import { binaryOp } from './elementwise.js';

export const or = binaryOp('or', (a, b) => (a !== 0 || b !== 0 ? 1 : 0), {
  commutative: true,
  zero: 'both',
});
