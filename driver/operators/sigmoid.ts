/** Logistic function 1 / (1 + e^-a). */
import { unaryOp } from './elementwise.js';

export const sigmoid = unaryOp('sigmoid', (a) => 1 / (1 + Math.exp(-a)), { cellFlops: 22 });
