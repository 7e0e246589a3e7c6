/** 1 where the cell is 0, else 0; NaN counts as non-zero. */
import { unaryOp } from './elementwise.js';

export const not = unaryOp('not', (a) => (a === 0 ? 1 : 0));
