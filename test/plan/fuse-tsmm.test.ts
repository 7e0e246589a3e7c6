import { fuseTsmm } from '../../driver/compiler/rules/fuse-tsmm.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

/** A product with its flags set, as `fold-transpose` leaves it. */
const product = (s: Evaluator, a: Matrix, b: Matrix, flags: { [flag: string]: boolean }): Matrix =>
  Matrix.of(s, s.intern(ops.matmul, [a.expr, b.expr], flags));
const gram = (s: Evaluator, x: Matrix): Matrix => product(s, x, x, { transposeA: true });

testRule({
  rule: fuseTsmm,
  fires: [
    {
      what: 't(X) %*% X once the transpose is a flag',
      build: (s) => {
        const X = leaf(s, 5, 3);
        return { root: gram(s, X), names: { X } };
      },
      becomes: 'tsmm(X)',
    },
  ],
  leaves: [
    {
      what: 'X %*% X',
      build: (s) => {
        const X = leaf(s, 3, 3);
        return { root: X.matmul(X), names: { X } };
      },
      becomes: 'matmul(X, X)',
    },
    {
      what: 't(X) %*% Y',
      build: (s) => {
        const X = leaf(s, 4, 3);
        const Y = leaf(s, 4, 3, 2);
        return { root: product(s, X, Y, { transposeA: true }), names: { X, Y } };
      },
      becomes: 'matmul{transposeA:true}(X, Y)',
    },
    {
      what: 't(X) %*% t(X)',
      build: (s) => {
        const X = leaf(s, 3, 3);
        const flags = { transposeA: true, transposeB: true };
        return { root: product(s, X, X, flags), names: { X } };
      },
      becomes: 'matmul{transposeA:true,transposeB:true}(X, X)',
    },
  ],
  random: (s, size) => gram(s, leaf(s, size(), size())),
});
