/** Largest whole number not above a. */
import { unaryOp } from './elementwise.js';

export const floor = unaryOp('floor', Math.floor, { zero: 'either' });
