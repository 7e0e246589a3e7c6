import { removeIdentity } from '../../driver/compiler/rules/remove-identity.js';
import { scalar, zeros } from '../../driver/matrix/create.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: removeIdentity,
  fires: [
    {
      what: 'each neutral number',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.add(0).sub(0).mul(1).div(1).pow(1), names: { X } };
      },
      becomes: 'X',
    },
    {
      what: 'neutral on the left of a commutative operator',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: scalar(s, 0).add(scalar(s, 1).mul(X)), names: { X } };
      },
      becomes: 'X',
    },
  ],
  leaves: [
    {
      what: '0 - X and 1 / X',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: scalar(s, 0).sub(scalar(s, 1).div(X)), names: { X } };
      },
      becomes: 'sub(0, div(1, X))',
    },
    {
      what: 'the wrong number',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.add(1).mul(0), names: { X } };
      },
      becomes: 'mul(add(X, 1), 0)',
    },
    {
      what: 'a matrix of zeros that stretches the other operand',
      build: (s) => {
        const x = leaf(s, 1, 1);
        const Z = zeros(s, 3, 2);
        return { root: x.add(Z), names: { x, Z } };
      },
      becomes: 'add(x, Z)',
    },
  ],
  random: (s, size) => {
    const x = leaf(s, size(), size());
    return [x.add(0), x.sub(0), x.mul(1), x.div(1), x.pow(1)][size() - 1]!.exp();
  },
});
