/**
 * Remainder with the sign of the divisor, as in R, Python and NumPy: -7 mod 3 = 2, 7 mod -3 = -2. NaN for a divisor of
 * 0 or an infinite dividend. The C-like remainder comes first because it is exact.
 */
import { binaryOp } from './elementwise.js';

export const mod = binaryOp(
  'mod',
  (a, b) => {
    const remainder = a % b;
    return remainder !== 0 && remainder < 0 !== b < 0 ? remainder + b : remainder;
  },
  { cellFlops: 10 },
);
