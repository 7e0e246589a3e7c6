import { bindParts } from '../../driver/compiler/plan-rules/bind-parts.js';
import { mergeParts } from '../../driver/compiler/plan-rules/merge-parts.js';
import { mergeRankings } from '../../driver/compiler/plan-rules/merge-rankings.js';
import { ones } from '../../driver/matrix/create.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { type Lazy, leaf } from '../support/plan.js';
import { bind, gram, large } from './partial-plans.js';
import { testPartialRule } from './partial-suite.js';

/** What `gram` of a range becomes. */
const tsmm = (x: Matrix): Matrix => Matrix.of(x.session, x.session.intern(ops.tsmm, [x.expr]));

testPartialRule({
  rule: mergeParts,
  what: 'over ranges of rows',
  fires: [
    {
      what: 'a range that goes on where a cached one ends',
      build: (s) => {
        // Aggregates are found from 131,072 cells on.
        const X = large(s, 90_000, 2);
        const c = X.slice([1, 70_001]).colSums();
        return { cached: [c], target: X.slice([1, 80_000]).colSums(), names: { X, c } };
      },
      becomes: 'add(c, colSums(slice{cols:null,rows:[70001,80000]}(X)))',
    },
    {
      what: 'all rows from ranges of them, the gap computed at once',
      build: (s) => {
        const X = leaf(s, 9, 2);
        const [G, H] = [tsmm(X.slice([0, 3])), tsmm(X.slice([7, 9]))];
        return { cached: [G, H], target: gram(X), names: { X, G, H } };
      },
      becomes: 'add(add(G, tsmm(slice{cols:null,rows:[3,7]}(X))), H)',
    },
    {
      what: 'of overlapping ranges those that cover most',
      build: (s) => {
        const X = leaf(s, 9, 2);
        const a = tsmm(X.slice([0, 4]));
        const b = tsmm(X.slice([3, 9]));
        const c = tsmm(X.slice([0, 2]));
        return { cached: [a, b, c], target: gram(X), names: { X, b, c } };
      },
      becomes: 'add(add(c, tsmm(slice{cols:null,rows:[2,3]}(X))), b)',
    },
  ],
  leaves: [
    {
      what: 'a range within a cached one, which would take a difference',
      build: (s) => {
        const X = leaf(s, 9, 2);
        return { cached: [X.slice([0, 8]).colSums()], target: X.slice([0, 5]).colSums() };
      },
    },
    {
      what: 't(A) %*% B over different ranges',
      build: (s) => {
        const [X, y] = [leaf(s, 9, 2), leaf(s, 9, 1, 2)];
        const cached = [
          X.slice([0, 3])
            .t()
            .matmul(y.slice([1, 4])),
        ];
        return {
          cached,
          target: X.slice([0, 5])
            .t()
            .matmul(y.slice([0, 5])),
        };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(9) + 6;
    const [X, y] = [leaf(s, rows, 3), leaf(s, rows, 2, 2)];
    const forms: ((x: Matrix, z: Matrix) => Lazy)[] = [
      gram,
      (x, z) => x.t().matmul(z),
      (x) => x.colSumSqs(),
      (x) => x.min(),
    ];
    const form = forms[size(forms.length) - 1]!;
    const over = (from: number, to: number): Lazy => form(X.slice([from, to]), y.slice([from, to]));
    const [from, to] = [size(2) - 1, rows - size(2) + 1];
    const middle = from + size(to - from - 1);
    return { cached: [over(from, middle)], target: over(from, to) };
  },
  tooDear: (s) => {
    const X = large(s, 1_000, 3);
    return { cached: [tsmm(X.slice([0, 100]))], target: gram(X) };
  },
  pays: (s) => {
    const X = large(s, 50_000, 60);
    return { cached: [tsmm(X.slice([0, 45_000]))], target: gram(X) };
  },
});

testPartialRule({
  rule: bindParts,
  what: 'over ranges of rows',
  fires: [
    {
      what: 'a range within a cached range',
      build: (s) => {
        const [X, Y] = [leaf(s, 9, 2), leaf(s, 2, 3, 2)];
        const P = X.slice([1, 8]).matmul(Y);
        return { cached: [P], target: X.slice([2, 5]).matmul(Y), names: { P } };
      },
      becomes: 'slice{cols:null,rows:[1,4]}(P)',
    },
    {
      what: 'overlapping cached ranges, a gap between and rows of another operand',
      build: (s) => {
        const [X, Y, Z] = [leaf(s, 9, 2), leaf(s, 2, 3, 2), leaf(s, 3, 2, 3)];
        const P = X.slice([0, 4]).matmul(Y);
        const Q = X.slice([3, 6]).matmul(Y);
        const R = Z.matmul(Y);
        const target = X.slice([1, 8]).rbind(Z).matmul(Y);
        return { cached: [P, Q, R], target, names: { X, Y, P, Q, R } };
      },
      becomes:
        'rbind(slice{cols:null,rows:[1,4]}(P), slice{cols:null,rows:[1,3]}(Q), matmul(slice{cols:null,rows:[6,8]}(X), Y), R)',
    },
  ],
  leaves: [
    {
      what: 'rows that are nowhere',
      build: (s) => {
        const [X, Y] = [leaf(s, 9, 2), leaf(s, 2, 3, 2)];
        return { cached: [X.slice([0, 3]).matmul(Y)], target: X.slice([3, 6]).matmul(Y) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(9) + 4;
    const [X, Y] = [leaf(s, rows, 3), leaf(s, 3, 2, 2)];
    const range = (): Matrix => {
      const from = size(rows - 2) - 1;
      return X.slice([from, Math.min(rows, from + 1 + size(rows))]);
    };
    const target = bind([range(), range()]).matmul(Y);
    return { cached: [range().matmul(Y), bind([range(), range()]).matmul(Y)], target };
  },
  tooDear: (s) => {
    const [X, Y] = [large(s, 1_000, 2), large(s, 2, 2, 2)];
    return { cached: [X.slice([0, 50]).matmul(Y)], target: X.matmul(Y) };
  },
  pays: (s) => {
    const [X, Y] = [large(s, 10_000, 400), large(s, 400, 400, 2)];
    return { cached: [X.slice([0, 9_000]).matmul(Y)], target: X.slice([100, 9_500]).matmul(Y) };
  },
});

testPartialRule({
  rule: mergeRankings,
  fires: [
    {
      what: 'fewer of the same ranking',
      build: (s) => {
        const X = leaf(s, 9, 2);
        const T = X.topK(6, { by: 1 });
        return { cached: [T], target: X.topK(2, { by: 1 }), names: { T } };
      },
      becomes: 'slice{cols:null,rows:[0,2]}(T)',
    },
    {
      what: 'rows added',
      build: (s) => {
        const [X, Z] = [leaf(s, 9, 1), leaf(s, 3, 1, 2)];
        const T = X.topK(4);
        return { cached: [T], target: X.rbind(Z).topK(2), names: { Z, T } };
      },
      becomes:
        'slice{cols:[1,3],rows:null}(topK{by:1,descending:false,k:2}(rbind(slice{cols:null,rows:[0,2]}(T), cbind(add(slice{cols:[0,1],rows:null}(topK{by:0,descending:false,k:2}(Z)), 9), slice{cols:[1,2],rows:null}(topK{by:0,descending:false,k:2}(Z))))))',
    },
  ],
  leaves: [
    {
      what: 'more than were ranked',
      build: (s) => {
        const X = leaf(s, 9, 2);
        return { cached: [X.topK(3)], target: X.topK(4) };
      },
    },
    {
      what: 'another column or direction',
      build: (s) => {
        const X = leaf(s, 9, 2);
        const cached = [X.topK(5, { by: 1 }), X.topK(5, { descending: true })];
        return { cached, target: X.topK(3) };
      },
    },
  ],
  random: (s, size) => {
    // Few distinct cells, so that there are ties within parts and across.
    const part = (seed: number): Matrix => leaf(s, size(8), 2, seed).mul(1.4).round();
    const parts = Array.from({ length: size(3) + 1 }, (_, i) => part(i + 1));
    const options = { by: size(2) - 1, descending: size(2) === 1 };
    const k = size(6);
    const cached = [bind(parts.slice(0, size(parts.length))).topK(k + size(3) - 1, options)];
    return { cached, target: bind(parts).topK(k, options) };
  },
  tooDear: (s) => {
    const [X, Z] = [large(s, 100, 1), large(s, 3_000, 1, 2)];
    return { cached: [X.topK(100)], target: X.rbind(Z).topK(100) };
  },
  pays: (s) => {
    const [X, Z] = [large(s, 200_000, 1), large(s, 1_000, 1, 2)];
    return { cached: [X.topK(20)], target: X.rbind(Z).topK(10) };
  },
});

testPartialRule({
  rule: bindParts,
  what: 'with a column of ones',
  fires: [
    {
      what: 'row sums where they are cached',
      build: (s) => {
        const [X, Y] = [leaf(s, 6, 3), leaf(s, 3, 2, 2)];
        const [P, r] = [X.matmul(Y), X.rowSums()];
        return { cached: [P, r], target: X.matmul(Y.cbind(ones(s, 3, 1))), names: { P, r } };
      },
      becomes: 'cbind(P, r)',
    },
  ],
  leaves: [
    {
      what: 'a column of twos',
      build: (s) => {
        const X = leaf(s, 6, 3);
        const twos = Matrix.of(s, s.intern(ops.fill, [], { rows: 3, cols: 1, value: 2 }));
        return { cached: [X.rowSums()], target: X.matmul(leaf(s, 3, 2, 2).cbind(twos)) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(5) + 1;
    const [X, Y] = [leaf(s, rows, 3), leaf(s, 3, size(3), 2)];
    return { cached: [X.matmul(Y), X.rowSums()], target: X.matmul(Y.cbind(ones(s, 3, 1))) };
  },
  tooDear: (s) => {
    const [X, Y] = [large(s, 1_000, 3), large(s, 3, 2, 2)];
    return { cached: [X.matmul(Y), X.rowSums()], target: X.matmul(Y.cbind(ones(s, 3, 1))) };
  },
  pays: (s) => {
    const [X, Y] = [large(s, 5_000, 300), large(s, 300, 40, 2)];
    return { cached: [X.matmul(Y), X.rowSums()], target: X.matmul(Y.cbind(ones(s, 300, 1))) };
  },
});
