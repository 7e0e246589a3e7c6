import { foldTranspose } from '../../driver/compiler/rules/fold-transpose.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: foldTranspose,
  fires: [
    {
      what: 'on the left',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 4, 3, 2);
        return { root: A.t().matmul(B), names: { A, B } };
      },
      becomes: 'matmul{transposeA:true}(A, B)',
    },
    {
      what: 'on the right',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 3, 2, 2);
        return { root: A.matmul(B.t()), names: { A, B } };
      },
      becomes: 'matmul{transposeB:true}(A, B)',
    },
    {
      what: 'on both',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 3, 4, 2);
        return { root: A.t().matmul(B.t()), names: { A, B } };
      },
      becomes: 'matmul{transposeA:true,transposeB:true}(A, B)',
    },
    {
      what: 'twice cancels',
      build: (s) => {
        const A = leaf(s, 2, 4);
        const B = leaf(s, 4, 3, 2);
        return { root: A.t().t().matmul(B), names: { A, B } };
      },
      becomes: 'matmul(A, B)',
    },
  ],
  leaves: [
    {
      what: 'no transpose',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 2, 3, 2);
        return { root: A.matmul(B), names: { A, B } };
      },
      becomes: 'matmul(A, B)',
    },
  ],
  random: (s, size) => {
    const k = size();
    const A = leaf(s, k, size());
    return size(2) === 1
      ? A.t().matmul(leaf(s, k, size(), 2))
      : A.t().matmul(leaf(s, size(), k, 2).t());
  },
});
