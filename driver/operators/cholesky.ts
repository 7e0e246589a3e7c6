/**
 * The lower triangular L with L %*% t(L) = A, for a symmetric positive definite A, of which only
 * the lower triangle is read. @throws SingularError naming the first pivot that is not positive
 * (see `pivot.ts`)
 */

import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { choleskyFactor, sampleSpd } from './linear-systems.js';
import { byLower, halvedLower } from './lower-triangle.js';
import { matmul } from './matmul.js';
import { requireSquare } from './shape-check.js';
import { solve } from './solve.js';
import { stackCholesky } from './stack-systems.js';
import { transpose } from './transpose.js';

const withUpper = (a: Float64Matrix, value: number): Float64Matrix =>
  dense(
    a.rows,
    a.cols,
    a.data.map((cell, at) => (at % a.cols > Math.floor(at / a.cols) ? value : cell)),
  );

export const cholesky: OpDef = defineOp({
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
  // S = t(L^-1) P L^-1, P the halved lower triangle of t(L) %*% upstream. Source: Murray,
  // "Differentiation of the Cholesky decomposition" (2016), 2.
  gradient: ({ node, upstream, make }) => {
    const turned = make(transpose, [node]);
    const halved = halvedLower(make(matmul, [turned, upstream]), make);
    const left = make(solve, [turned, halved]);
    return [byLower(make(solve, [turned, make(transpose, [left])]), make)];
  },
  reference: ([a], _attrs, { dtype }) => choleskyFactor('cholesky', a!, dtype),
  cases: [
    { name: 'positive definite', inputs: [sampleSpd(6)] },
    { name: 'upper triangle is not read', inputs: [withUpper(sampleSpd(5), 99)] },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(4))] },
    { name: 'scales far apart', inputs: [dense(2, 2, Float64Array.of(1e-12, 0, 0, 1e12))] },
  ],
});
