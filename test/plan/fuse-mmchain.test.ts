import { fuseMmchain } from '../../driver/compiler/rules/fuse-mmchain.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

/** A product with its flags set, as `fold-transpose` leaves it. */
const product = (s: Evaluator, a: Matrix, b: Matrix, flags: { [flag: string]: boolean }): Matrix =>
  Matrix.of(s, s.intern(ops.matmul, [a.expr, b.expr], flags));

testRule({
  rule: fuseMmchain,
  fires: [
    {
      what: 't(X) %*% (X %*% v)',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const v = leaf(s, 3, 1, 2);
        return { root: X.t().matmul(X.matmul(v)), names: { X, v } };
      },
      becomes: 'mmchain(X, v)',
    },
    {
      what: 'weights on the left',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const v = leaf(s, 3, 1, 2);
        const w = leaf(s, 6, 1, 3);
        return { root: X.t().matmul(w.mul(X.matmul(v))), names: { X, v, w } };
      },
      becomes: 'mmchain(X, v, w)',
    },
    {
      what: 'weights on the right, several vectors',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const V = leaf(s, 3, 2, 2);
        const w = leaf(s, 6, 1, 3);
        return { root: X.t().matmul(X.matmul(V).mul(w)), names: { X, V, w } };
      },
      becomes: 'mmchain(X, V, w)',
    },
    {
      what: 'the transpose as a flag',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const v = leaf(s, 3, 1, 2);
        return { root: product(s, X, X.matmul(v), { transposeA: true }), names: { X, v } };
      },
      becomes: 'mmchain(X, v)',
    },
  ],
  leaves: [
    {
      what: 'the inner product is wanted too',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const v = leaf(s, 3, 1, 2);
        const P = X.matmul(v);
        return { root: X.t().matmul(P), names: { X, v }, others: [P.sum()] };
      },
      becomes: 'matmul(transpose(X), matmul(X, v))',
    },
    {
      what: 'another matrix inside',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const Y = leaf(s, 6, 3, 5);
        const v = leaf(s, 3, 1, 2);
        return { root: X.t().matmul(Y.matmul(v)), names: { X, Y, v } };
      },
      becomes: 'matmul(transpose(X), matmul(Y, v))',
    },
    {
      what: 'weights per column',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const V = leaf(s, 3, 2, 2);
        const r = leaf(s, 1, 2, 3);
        return { root: X.t().matmul(X.matmul(V).mul(r)), names: { X, V, r } };
      },
      becomes: 'matmul(transpose(X), mul(matmul(X, V), r))',
    },
    {
      what: 'weights that widen one vector',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const v = leaf(s, 3, 1, 2);
        const W = leaf(s, 6, 2, 3);
        return { root: X.t().matmul(X.matmul(v).mul(W)), names: { X, v, W } };
      },
      becomes: 'matmul(transpose(X), mul(matmul(X, v), W))',
    },
  ],
  random: (s, size) => {
    const X = leaf(s, size(), size());
    const V = leaf(s, X.cols, size(3), 2);
    const w = leaf(s, X.rows, size(2) === 1 ? 1 : V.cols, 3);
    return X.t().matmul(size(2) === 1 ? X.matmul(V) : w.mul(X.matmul(V)));
  },
});
