import { removeDoubleTranspose } from '../../driver/compiler/rules/remove-double-transpose.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: removeDoubleTranspose,
  fires: [
    {
      what: 't(t(X))',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.t().t(), names: { X } };
      },
      becomes: 'X',
    },
    {
      what: 'four times, below something else',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.t().t().t().t().sum(), names: { X } };
      },
      becomes: 'sum(X)',
    },
  ],
  leaves: [
    {
      what: 'one transpose',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.t(), names: { X } };
      },
      becomes: 'transpose(X)',
    },
  ],
  random: (s, size) => leaf(s, size(), size()).t().t(),
});
