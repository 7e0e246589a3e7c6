import { removeTransposeUnderAggregate } from '../../driver/compiler/rules/remove-transpose-under-aggregate.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: removeTransposeUnderAggregate,
  fires: [
    {
      what: 'every aggregate over all cells',
      build: (s) => {
        const X = leaf(s, 3, 2);
        const T = X.t();
        return { root: T.sum().add(T.sumSq()).add(T.min()).add(T.max()), names: { X } };
      },
      becomes: 'add(add(add(sum(X), sumSq(X)), min(X)), max(X))',
    },
  ],
  leaves: [
    {
      what: 'row and column aggregates',
      build: (s) => {
        const X = leaf(s, 3, 2);
        return { root: X.t().rowSums(), names: { X } };
      },
      becomes: 'rowSums(transpose(X))',
    },
  ],
  random: (s, size) => {
    const t = leaf(s, size(), size()).t();
    return [t.sum(), t.sumSq(), t.min(), t.max()][size(4) - 1]!;
  },
});
