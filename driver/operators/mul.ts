/** a * b, cell by cell; `matmul` is the product of matrices. */
import { binaryOp } from './elementwise.js';

export const mul = binaryOp('mul', (a, b) => a * b, { commutative: true, zero: 'either' });
