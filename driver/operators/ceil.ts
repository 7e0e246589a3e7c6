/** Least whole number not below a. */
import { unaryOp } from './elementwise.js';

export const ceil = unaryOp('ceil', Math.ceil, { zero: 'either' });
