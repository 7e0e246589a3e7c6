import { removeDoubleNegation } from '../../driver/compiler/rules/remove-double-negation.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: removeDoubleNegation,
  fires: [
    {
      what: '-(-X)',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.neg().neg(), names: { X } };
      },
      becomes: 'X',
    },
    {
      what: 'three times leaves one',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.neg().neg().neg(), names: { X } };
      },
      becomes: 'neg(X)',
    },
  ],
  leaves: [
    {
      what: 'an operator between',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.neg().abs().neg(), names: { X } };
      },
      becomes: 'neg(abs(neg(X)))',
    },
  ],
  random: (s, size) => leaf(s, size(), size()).neg().neg(),
});
