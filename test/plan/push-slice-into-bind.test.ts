import { pushSliceIntoBind } from '../../driver/compiler/rules/push-slice-into-bind.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: pushSliceIntoBind,
  fires: [
    {
      what: 'rows inside one part of rbind',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 3, 2, 2);
        return { root: A.rbind(B).slice([5, 7], 0), names: { A, B } };
      },
      becomes: 'slice{cols:[0,1],rows:[1,3]}(B)',
    },
    {
      what: 'a whole part of cbind',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 4, 3, 2);
        return { root: A.cbind(B).slice(null, [2, 5]), names: { A, B } };
      },
      becomes: 'B',
    },
    {
      what: 'nested binds',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 4, 3, 2);
        const C = leaf(s, 2, 5, 3);
        return { root: A.cbind(B).rbind(C).slice([0, 2], [1, 2]), names: { A, B, C } };
      },
      becomes: 'slice{cols:[1,2],rows:[0,2]}(A)',
    },
  ],
  leaves: [
    {
      what: 'rows across two parts',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 3, 2, 2);
        return { root: A.rbind(B).slice([3, 5]), names: { A, B } };
      },
      becomes: 'slice{cols:null,rows:[3,5]}(rbind(A, B))',
    },
    {
      what: 'rows of cbind',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 4, 3, 2);
        return { root: A.cbind(B).slice([1, 2]), names: { A, B } };
      },
      becomes: 'slice{cols:null,rows:[1,2]}(cbind(A, B))',
    },
  ],
  random: (s, size) => {
    const byRows = size(2) === 1;
    const n = size();
    const parts = [1, 2, 3].map((i) => (byRows ? leaf(s, size(), n, i) : leaf(s, n, size(), i)));
    const [A, B, C] = parts as [Matrix, Matrix, Matrix];
    const bound = byRows ? A.rbind(B, C) : A.cbind(B, C);
    const from = size(byRows ? bound.rows : bound.cols) - 1;
    return byRows ? bound.slice(from) : bound.slice(null, from);
  },
});
