/** Ranges of rows, rankings, columns of ones, projections and groups of columns: the rules' tables. */
import { borderGram } from '../../driver/compiler/partial-rules/border-gram.js';
import { joinProductColumns } from '../../driver/compiler/partial-rules/join-product-columns.js';
import { mergeRankings } from '../../driver/compiler/partial-rules/merge-rankings.js';
import { mergeRowParts } from '../../driver/compiler/partial-rules/merge-row-parts.js';
import { selectGroupGram } from '../../driver/compiler/partial-rules/select-group-gram.js';
import { stackRowParts } from '../../driver/compiler/partial-rules/stack-row-parts.js';
import { ones } from '../../driver/matrix/create.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { type Lazy, leaf } from '../support/plan.js';
import { bind, bindCols, gram, groupGram, groups, large, simple } from './partial-plans.js';
import { testPartialRule } from './partial-suite.js';

/** What `gram` of a range becomes. */
const tsmm = (x: Matrix): Matrix => Matrix.of(x.session, x.session.intern(ops.tsmm, [x.expr]));

testPartialRule({
  rule: mergeRowParts,
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
  rule: stackRowParts,
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
  rule: selectGroupGram,
  fires: [
    {
      what: 'columns taken away and put in another order',
      build: (s) => {
        const [g, A, B] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const G = groupGram(s, g, A.cbind(B), true);
        return { cached: [G], target: groupGram(s, g, B, true), names: { G } };
      },
      becomes:
        'rbind(cbind(slice{cols:[0,1],rows:[0,1]}(G), slice{cols:[3,4],rows:[0,1]}(G)), cbind(slice{cols:[0,1],rows:[3,4]}(G), slice{cols:[3,4],rows:[3,4]}(G)), cbind(slice{cols:[0,1],rows:[4,5]}(G), slice{cols:[3,4],rows:[4,5]}(G)), cbind(slice{cols:[0,1],rows:[7,8]}(G), slice{cols:[3,4],rows:[7,8]}(G)))',
    },
  ],
  leaves: [
    {
      what: 'a column that is nowhere',
      build: (s) => {
        const [g, A, B] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const cached = [groupGram(s, g, A, true)];
        return { cached, target: groupGram(s, g, A.cbind(B), true) };
      },
    },
    {
      what: 'moments of the other form',
      build: (s) => {
        const [g, A, B] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const cached = [groupGram(s, g, A.cbind(B), false)];
        return { cached, target: groupGram(s, g, A, true) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(9) + 1;
    const g = groups(s, rows);
    const parts = Array.from({ length: 4 }, (_, i) => leaf(s, rows, size(3), i + 1));
    const pick = (count: number): Matrix[] =>
      Array.from({ length: count }, () => parts[size(parts.length) - 1]!);
    const center = size(2) === 1;
    const cached = [groupGram(s, g, bindCols(parts), center)];
    return { cached, target: groupGram(s, g, bindCols(pick(size(3))), center) };
  },
  tooDear: (s) => {
    const [g, A, B] = [groups(s, 20), large(s, 20, 2), large(s, 20, 2, 2)];
    return { cached: [groupGram(s, g, A.cbind(B), true)], target: groupGram(s, g, B, true) };
  },
  pays: (s) => {
    const [g, A, B] = [groups(s, 9_000), large(s, 9_000, 9), large(s, 9_000, 2, 2)];
    return { cached: [groupGram(s, g, A.cbind(B), true)], target: groupGram(s, g, A, true) };
  },
});

/** The Gram matrix of the first k columns of a projection, and a column of ones: PCA, then a linear model. */
const projected = (A: Matrix, B: Matrix, k: number, one: Matrix): Matrix =>
  gram(A.matmul(B.slice(null, [0, k])).cbind(one));

testPartialRule({
  rule: borderGram,
  what: 'with columns of ones and of projections',
  fires: [
    {
      what: 'a column of ones, by column sums where they are cached',
      build: (s) => {
        const [A, e] = [leaf(s, 6, 2), ones(s, 6, 1)];
        const [G, c] = [simple(gram(A)), A.colSums()];
        return { cached: [gram(A), c], target: gram(A.cbind(e)), names: { G, c, e } };
      },
      becomes: 'rbind(cbind(G, transpose(c)), cbind(c, tsmm(e)))',
    },
    {
      what: 'one principal component more',
      build: (s) => {
        const [A, B, e] = [leaf(s, 6, 3), leaf(s, 3, 3, 2), ones(s, 6, 1)];
        const G = simple(projected(A, B, 2, e));
        const target = projected(A, B, 3, e);
        const P = A.matmul(B.slice(null, [0, 3]));
        return { cached: [G], target, names: { G, P, e } };
      },
      becomes: (() => {
        const at = (x: string, rows: string, cols: string): string =>
          `slice{cols:${cols},rows:${rows}}(${x})`;
        const d = at('P', 'null', '[2,3]');
        const times = (x: string): string => `matmul{transposeA:true}(${x}, ${d})`;
        const P = `rbind(${at(times('P'), '[0,2]', 'null')}, ${times('e')})`;
        const T = `transpose(${P})`;
        const top = `cbind(${at('G', '[0,2]', '[0,2]')}, ${at(P, '[0,2]', 'null')}, ${at('G', '[0,2]', '[2,3]')})`;
        const middle = `cbind(${at(T, 'null', '[0,2]')}, tsmm(${d}), ${at(T, 'null', '[2,3]')})`;
        const end = `cbind(${at('G', '[2,3]', '[0,2]')}, ${at(P, '[2,3]', 'null')}, ${at('G', '[2,3]', '[2,3]')})`;
        return `rbind(${top}, ${middle}, ${end})`;
      })(),
    },
  ],
  leaves: [
    {
      what: 'a projection of other data',
      build: (s) => {
        const [A, B, C] = [leaf(s, 6, 3), leaf(s, 3, 3, 2), leaf(s, 6, 3, 3)];
        const [d, e] = [leaf(s, 6, 1, 5), leaf(s, 6, 1, 6)];
        return { cached: [projected(C, B, 2, d)], target: projected(A, B, 3, e) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(6) + 2;
    const [A, B, e] = [leaf(s, rows, 4), leaf(s, 4, 5, 2), ones(s, rows, 1)];
    const [k, more] = [size(4), size(4)];
    return { cached: [projected(A, B, k, e)], target: projected(A, B, Math.min(5, more + 1), e) };
  },
  tooDear: (s) => {
    const [A, B, e] = [large(s, 100, 4), large(s, 4, 5, 2), ones(s, 100, 1)];
    return { cached: [projected(A, B, 2, e)], target: projected(A, B, 3, e) };
  },
  pays: (s) => {
    const [A, B, e] = [large(s, 20_000, 200), large(s, 200, 400, 2), ones(s, 20_000, 1)];
    return { cached: [projected(A, B, 399, e)], target: projected(A, B, 400, e) };
  },
});

testPartialRule({
  rule: joinProductColumns,
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

testPartialRule({
  rule: borderGram,
  what: 'before columns and out of ranges of columns, nothing bound',
  fires: [
    {
      what: 'a column before the last',
      build: (s) => {
        const [A, d, e] = [leaf(s, 6, 2), leaf(s, 6, 1, 2), leaf(s, 6, 1, 3)];
        const G = simple(gram(A.cbind(e)));
        return { cached: [G], target: gram(A.cbind(d).cbind(e)), names: { A, d, e, G } };
      },
      becomes: (() => {
        const at = (x: string, rows: string, cols: string): string =>
          `slice{cols:${cols},rows:${rows}}(${x})`;
        const P = 'rbind(matmul{transposeA:true}(A, d), matmul{transposeA:true}(e, d))';
        const T = `transpose(${P})`;
        const top = `cbind(${at('G', '[0,2]', '[0,2]')}, ${at(P, '[0,2]', 'null')}, ${at('G', '[0,2]', '[2,3]')})`;
        const middle = `cbind(${at(T, 'null', '[0,2]')}, tsmm(d), ${at(T, 'null', '[2,3]')})`;
        const end = `cbind(${at('G', '[2,3]', '[0,2]')}, ${at(P, '[2,3]', 'null')}, ${at('G', '[2,3]', '[2,3]')})`;
        return `rbind(${top}, ${middle}, ${end})`;
      })(),
    },
    {
      what: 'a bind that is cached is multiplied as it is',
      build: (s) => {
        const [A, d, e] = [leaf(s, 6, 2), leaf(s, 6, 1, 2), leaf(s, 6, 1, 3)];
        const X = A.cbind(d);
        const G = simple(gram(X));
        return { cached: [G, X], target: gram(X.cbind(e)), names: { X, e, G } };
      },
      becomes:
        'rbind(cbind(G, matmul{transposeA:true}(X, e)), cbind(transpose(matmul{transposeA:true}(X, e)), tsmm(e)))',
    },
  ],
  leaves: [],
  random: (s, size) => {
    const rows = size(9);
    const B = leaf(s, rows, 9);
    const e = leaf(s, rows, size(3), 3);
    const to = size(6);
    const X = B.slice(null, [size(to) - 1, to]);
    const more = B.slice(null, [to, to + size(2)]);
    return { cached: [gram(X.cbind(e))], target: gram(X.cbind(more, e)) };
  },
  tooDear: (s) => {
    const [A, d, e] = [large(s, 100, 2), large(s, 100, 1, 2), large(s, 100, 1, 3)];
    return { cached: [gram(A.cbind(e))], target: gram(A.cbind(d).cbind(e)) };
  },
  // Refused as long as the operands had to be bound, which copies them.
  pays: (s) => {
    const [B, e] = [large(s, 30_000, 90), large(s, 30_000, 1, 3)];
    const over = (k: number): Matrix => gram(B.slice(null, [0, k]).cbind(e));
    return { cached: [over(80)], target: over(83) };
  },
});
