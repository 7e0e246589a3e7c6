/** Absolute value. */
import { unaryOp } from './elementwise.js';

export const abs = unaryOp('abs', Math.abs, { zero: 'either' });
