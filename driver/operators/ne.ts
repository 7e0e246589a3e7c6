/** 1 where a differs from b, else 0; NaN differs from everything, itself included. */
import { binaryOp } from './elementwise.js';

export const ne = binaryOp('ne', (a, b) => (a !== b ? 1 : 0), { commutative: true, zero: 'both' });
