/** a / b; division by zero gives an infinity or NaN as IEEE 754 says. */
import { binaryOp } from './elementwise.js';

export const div = binaryOp('div', (a, b) => a / b);
