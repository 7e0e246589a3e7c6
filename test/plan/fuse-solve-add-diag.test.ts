import { fuseSolveAddDiag } from '../../driver/compiler/rules/fuse-solve-add-diag.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: fuseSolveAddDiag,
  fires: [
    {
      what: 'a penalised system',
      build: (s) => {
        const A = leaf(s, 3, 3);
        const b = leaf(s, 3, 1, 2);
        return { root: A.addDiag(leaf(s, 3, 1, 3)).solve(b), names: { A, b, d: leaf(s, 3, 1, 3) } };
      },
      becomes: 'solve(A, b, d)',
    },
  ],
  leaves: [
    {
      what: 'a system without a penalty',
      build: (s) => {
        const A = leaf(s, 3, 3);
        const b = leaf(s, 3, 1, 2);
        return { root: A.solve(b), names: { A, b } };
      },
      becomes: 'solve(A, b)',
    },
  ],
  random: (s, size) => {
    const n = size();
    const A = leaf(s, n, n);
    return A.addDiag(
      leaf(s, n, 1, 2)
        .abs()
        .add(10 * n),
    ).solve(leaf(s, n, size(), 3));
  },
});
