/** 1 where a < b, else 0; 0 where either is NaN. */
import { binaryOp } from './elementwise.js';

export const lt = binaryOp('lt', (a, b) => (a < b ? 1 : 0), { zero: 'both' });
