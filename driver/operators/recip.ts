/** 1 / a. */
import { unaryOp } from './elementwise.js';

export const recip = unaryOp('recip', (a) => 1 / a, { cellFlops: 4 });
