/** 1 where the cell is NaN, else 0. */
import { unaryOp } from './elementwise.js';

export const isNan = unaryOp('isNaN', (a) => (Number.isNaN(a) ? 1 : 0), { zero: 'either' });
