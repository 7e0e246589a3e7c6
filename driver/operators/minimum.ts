/** The lesser of two cells; NaN if either is NaN. `min` is the least of all cells. */
import { binaryOp } from './elementwise.js';

export const minimum = binaryOp('minimum', (a, b) => Math.min(a, b), {
  commutative: true,
  zero: 'both',
});
