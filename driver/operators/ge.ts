/** 1 where a >= b, else 0; 0 where either is NaN. */
import { binaryOp } from './elementwise.js';

export const ge = binaryOp('ge', (a, b) => (a >= b ? 1 : 0));
