import { orderProducts } from '../../driver/compiler/rules/order-products.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: orderProducts,
  fires: [
    {
      what: 'a vector at the end',
      build: (s) => {
        const A = leaf(s, 6, 5);
        const B = leaf(s, 5, 7, 2);
        const v = leaf(s, 7, 1, 3);
        return { root: A.matmul(B).matmul(v), names: { A, B, v } };
      },
      becomes: 'matmul(A, matmul(B, v))',
    },
    {
      what: 'a Gram matrix used once',
      build: (s) => {
        const X = leaf(s, 9, 4);
        const v = leaf(s, 4, 1, 3);
        return { root: X.t().matmul(X).matmul(v), names: { X, v } };
      },
      becomes: 'matmul(transpose(X), matmul(X, v))',
    },
    {
      what: 'five operands, best split inside',
      build: (s) => {
        const A = leaf(s, 2, 8, 1);
        const B = leaf(s, 8, 2, 2);
        const C = leaf(s, 2, 8, 3);
        const D = leaf(s, 8, 2, 4);
        const E = leaf(s, 2, 8, 5);
        return { root: A.matmul(B.matmul(C.matmul(D.matmul(E)))), names: { A, B, C, D, E } };
      },
      becomes: 'matmul(matmul(matmul(A, B), matmul(C, D)), E)',
    },
  ],
  leaves: [
    {
      what: 'the best order as written',
      build: (s) => {
        const A = leaf(s, 6, 5);
        const B = leaf(s, 5, 7, 2);
        const v = leaf(s, 7, 1, 3);
        return { root: A.matmul(B.matmul(v)), names: { A, B, v } };
      },
      becomes: 'matmul(A, matmul(B, v))',
    },
    {
      what: 'an equal order stays as written',
      build: (s) => {
        const [A, B, C] = [leaf(s, 3, 3, 1), leaf(s, 3, 3, 2), leaf(s, 3, 3, 3)];
        return { root: A.matmul(B).matmul(C), names: { A, B, C } };
      },
      becomes: 'matmul(matmul(A, B), C)',
    },
    {
      what: 'the inner product is wanted too',
      build: (s) => {
        const A = leaf(s, 6, 5);
        const B = leaf(s, 5, 7, 2);
        const v = leaf(s, 7, 1, 3);
        return { root: A.matmul(B).matmul(v), names: { A, B, v }, others: [A.matmul(B)] };
      },
      becomes: 'matmul(matmul(A, B), v)',
    },
  ],
  random: (s, size) => {
    const d = [size(), size(), size(), size(), size()] as const;
    const [A, B, C, D] = [0, 1, 2, 3].map((i) => leaf(s, d[i]!, d[i + 1]!, i + 1)) as [
      Matrix,
      Matrix,
      Matrix,
      Matrix,
    ];
    return size(2) === 1 ? A.matmul(B).matmul(C.matmul(D)) : A.matmul(B.matmul(C)).matmul(D);
  },
  tolerance: 1e-10,
});
