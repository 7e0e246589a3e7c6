/** e to the power a. */
import { unaryOp } from './elementwise.js';

export const exp = unaryOp('exp', Math.exp, { cellFlops: 20 });
