/** 1 where a = b, else 0; NaN equals nothing. */
import { binaryOp } from './elementwise.js';

export const eq = binaryOp('eq', (a, b) => (a === b ? 1 : 0), { commutative: true });
