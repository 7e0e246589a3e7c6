/** The greater of two cells; NaN if either is NaN. `max` is the greatest of all cells. */
import { binaryOp } from './elementwise.js';

export const maximum = binaryOp('maximum', (a, b) => Math.max(a, b), {
  commutative: true,
  zero: 'both',
});
