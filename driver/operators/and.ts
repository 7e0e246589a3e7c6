/** 1 where both cells are non-zero, else 0; NaN counts as non-zero, as in C and NumPy. */
import { binaryOp } from './elementwise.js';

export const and = binaryOp('and', (a, b) => (a !== 0 && b !== 0 ? 1 : 0), {
  commutative: true,
  zero: 'either',
});
