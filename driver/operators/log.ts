/** Natural logarithm; -Infinity at 0, NaN below. */
import { unaryOp } from './elementwise.js';

export const log = unaryOp('log', Math.log, { cellFlops: 20 });
