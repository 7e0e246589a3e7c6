import { mergeSlices } from '../../driver/compiler/rules/merge-slices.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { leaf } from '../support/plan.js';
import { testRule } from '../support/rule-suite.js';

testRule({
  rule: mergeSlices,
  fires: [
    {
      what: 'rows of rows',
      build: (s) => {
        const X = leaf(s, 9, 4);
        return { root: X.slice([2, 8]).slice([1, 3]), names: { X } };
      },
      becomes: 'slice{cols:null,rows:[3,5]}(X)',
    },
    {
      what: 'columns of rows, then one cell',
      build: (s) => {
        const X = leaf(s, 9, 4);
        return { root: X.slice([2, 8]).slice(null, [1, 3]).slice(0, 1), names: { X } };
      },
      becomes: 'slice{cols:[2,3],rows:[2,3]}(X)',
    },
    {
      what: 'everything, written out',
      build: (s) => {
        const X = leaf(s, 4, 2);
        const expr = s.intern(ops.slice, [X.expr], { rows: [0, 4], cols: [0, 2] });
        return { root: Matrix.of(s, expr), names: { X } };
      },
      becomes: 'X',
    },
  ],
  leaves: [
    {
      what: 'one slice',
      build: (s) => {
        const X = leaf(s, 9, 4);
        return { root: X.slice([2, 8]), names: { X } };
      },
      becomes: 'slice{cols:null,rows:[2,8]}(X)',
    },
  ],
  random: (s, size) => {
    const part = (n: number): [number, number] => {
      const from = size(n) - 1;
      return [from, from + size(n - from)];
    };
    const once = leaf(s, size(9), size(9));
    const inner = once.slice(part(once.rows), part(once.cols));
    return inner.slice(part(inner.rows), part(inner.cols));
  },
});
