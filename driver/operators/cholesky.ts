/**
 * The lower triangular L with L %*% t(L) = A, for a symmetric positive definite A, of which only
 * the lower triangle is read. @throws SingularError naming the first pivot that is not positive
 * (see `pivot.ts`)
 */

import { defineOp } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { choleskyFactor, sampleSpd } from './linear-systems.js';
import { requireSquare } from './shape-check.js';
import { stackCholesky } from './stack-systems.js';

const withUpper = (a: Float64Matrix, value: number): Float64Matrix =>
  dense(
    a.rows,
    a.cols,
    a.data.map((cell, at) => (at % a.cols > Math.floor(at / a.cols) ? value : cell)),
  );

export const cholesky = defineOp({
  name: 'cholesky',
  arity: 1,
  work: 'factorise',
  infer: (inputs) => {
    requireSquare('cholesky', inputs);
    return { rows: inputs[0]!.rows, cols: inputs[0]!.cols };
  },
  flops: (inputs) => inputs[0]!.rows ** 3 / 3,
  batch: ({ operands: [a], maker, stack }) => ({
    layout: 'stack',
    expr: maker.intern(stackCholesky, [stack(a!)]),
  }),
  reference: ([a], _attrs, { dtype }) => choleskyFactor('cholesky', a!, dtype),
  cases: [
    { name: 'positive definite', inputs: [sampleSpd(6)] },
    { name: 'upper triangle is not read', inputs: [withUpper(sampleSpd(5), 99)] },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(4))] },
    { name: 'scales far apart', inputs: [dense(2, 2, Float64Array.of(1e-12, 0, 0, 1e12))] },
  ],
});
