import { foldScalars } from '../../driver/compiler/rules/fold-scalars.js';
import { scalar } from '../../driver/matrix/create.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: foldScalars,
  fires: [
    {
      what: 'arithmetic of numbers',
      build: (s) => ({ root: scalar(s, 2).add(3).mul(4).sqrt(), names: {} }),
      becomes: String(Math.sqrt(20)),
    },
    {
      what: 'inside a larger plan',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.mul(scalar(s, 1).div(8)), names: { X } };
      },
      becomes: 'mul(X, 0.125)',
    },
    {
      what: 'three operands, NaN and infinities',
      build: (s) => ({
        root: scalar(s, -1).log().isNaN().ifelse(scalar(s, 1).div(0), 7),
        names: {},
      }),
      becomes: 'Infinity',
    },
  ],
  leaves: [
    {
      what: 'a scalar that is computed',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.sum().add(1), names: { X } };
      },
      becomes: 'add(sum(X), 1)',
    },
  ],
  random: (s, size) => {
    const a = scalar(s, size(100) / 7 - 5);
    const b = scalar(s, size(100) / 9);
    return [a.add(b), a.mod(b), a.pow(2).sub(b), a.lt(b).or(a.eq(b)), b.log().round().neg()][
      size() - 1
    ]!;
  },
});
