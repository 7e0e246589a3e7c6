import { bindParts } from '../../driver/compiler/plan-rules/bind-parts.js';
import { borderGram } from '../../driver/compiler/plan-rules/border-gram.js';
import { joinGroupLosses } from '../../driver/compiler/plan-rules/join-group-losses.js';
import { mergeParts } from '../../driver/compiler/plan-rules/merge-parts.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { type Lazy, leaf } from '../support/plan.js';
import { bindCols, gram, groupLoss, groups, large, modelsAdded, simple } from './partial-plans.js';
import { testPartialRule } from './partial-suite.js';

testPartialRule({
  rule: bindParts,
  others: [mergeParts],
  what: 'over columns',
  fires: [
    {
      what: 'column sums stand side by side',
      build: (s) => {
        const [A, B] = [leaf(s, 4, 2), leaf(s, 4, 3, 2)];
        const c = A.colSums();
        return { cached: [c], target: A.cbind(B).colSums(), names: { B, c } };
      },
      becomes: 'cbind(c, colSums(B))',
    },
    {
      what: 'row sums add up',
      build: (s) => {
        const [A, B] = [leaf(s, 4, 2), leaf(s, 4, 3, 2)];
        const r = B.rowSums();
        return { cached: [r], target: A.cbind(B).rowSums(), names: { A, r } };
      },
      becomes: 'add(rowSums(A), r)',
    },
    {
      what: 'an operator with a stretched column',
      build: (s) => {
        const [A, B, v] = [leaf(s, 4, 2), leaf(s, 4, 3, 2), leaf(s, 4, 1, 3)];
        const P = A.mul(v);
        return { cached: [P], target: A.cbind(B).mul(v), names: { B, v, P } };
      },
      becomes: 'cbind(P, mul(B, v))',
    },
    {
      what: 'columns of one result in another order, with others between',
      build: (s) => {
        const [A, B, C] = [leaf(s, 4, 2), leaf(s, 4, 3, 2), leaf(s, 4, 1, 3)];
        const P = A.cbind(B).exp();
        const target = B.cbind(C, A).exp();
        return { cached: [B.exp(), A.exp(), P], target, names: { C, P: B.exp(), Q: A.exp() } };
      },
      becomes: 'cbind(P, exp(C), Q)',
    },
    {
      what: 'a range of the columns and several new ones at once',
      build: (s) => {
        const [A, B, C] = [leaf(s, 4, 5), leaf(s, 4, 3, 2), leaf(s, 4, 1, 3)];
        const c = A.colSums();
        const target = A.slice(null, [1, 4]).cbind(B, C).colSums();
        return { cached: [c], target, names: { B, C, c } };
      },
      becomes: 'cbind(slice{cols:[1,4],rows:null}(c), colSums(cbind(B, C)))',
    },
    {
      what: 'the first parts bound, however many are new',
      build: (s) => {
        const [A, B] = [leaf(s, 4, 2), leaf(s, 4, 3, 2)];
        const [C, D] = [leaf(s, 4, 1, 3), leaf(s, 4, 1, 4)];
        const r = A.cbind(B).rowSums();
        return { cached: [r], target: A.cbind(B, C, D).rowSums(), names: { C, D, r } };
      },
      becomes: 'add(r, rowSums(cbind(C, D)))',
    },
  ],
  leaves: [
    {
      what: 'operands cut at different columns',
      build: (s) => {
        const [A, B, C] = [leaf(s, 4, 2), leaf(s, 4, 3, 2), leaf(s, 4, 5, 3)];
        return { cached: [A.exp()], target: A.cbind(B).mul(C) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size() + 1;
    const parts = Array.from({ length: size(3) + 1 }, (_, i) => leaf(s, rows, size() + 1, i + 1));
    const v = leaf(s, rows, 1, 9);
    const forms: ((x: Matrix) => Lazy)[] = [
      (x) => x.add(v),
      (x) => x.exp(),
      (x) => x.rowSums(),
      (x) => x.colMaxs(),
      (x) => x.sumSq(),
    ];
    const form = forms[size(forms.length) - 1]!;
    const count = size(parts.length - 1);
    const first = parts.slice(0, count);
    const last = parts.at(-1)!;
    const asked = size(2) === 1 ? parts : [...parts.slice(0, -1), last.slice(null, [0, 1])];
    const one = size(2) === 1 ? bindCols(first) : last;
    return { cached: [form(one)], target: form(bindCols(asked)) };
  },
  tooDear: (s) => {
    const [A, B] = [large(s, 10_000, 10), large(s, 10_000, 10, 2)];
    return { cached: [A.neg()], target: A.cbind(B).neg() };
  },
  pays: (s) => {
    const [A, B] = [large(s, 50_000, 30), large(s, 50_000, 2, 2)];
    return { cached: [A.colSums()], target: A.cbind(B).colSums() };
  },
});

testPartialRule({
  rule: bindParts,
  what: 'of products',
  fires: [
    {
      what: 'columns added',
      build: (s) => {
        const [X, Y, Z] = [leaf(s, 6, 2), leaf(s, 2, 3, 2), leaf(s, 2, 1, 3)];
        const P = X.matmul(Y);
        return { cached: [P], target: X.matmul(Y.cbind(Z)), names: { X, Z, P } };
      },
      becomes: 'cbind(P, matmul(X, Z))',
    },
    {
      what: 'columns out of two products, in another order, new ones at once',
      build: (s) => {
        const X = leaf(s, 6, 2);
        const [a, b, c, d] = [
          leaf(s, 2, 1, 2),
          leaf(s, 2, 1, 3),
          leaf(s, 2, 1, 4),
          leaf(s, 2, 1, 5),
        ];
        const P = X.matmul(a.cbind(b));
        const Q = X.matmul(c);
        const e = leaf(s, 2, 1, 6);
        const target = X.matmul(b.cbind(d, c, e));
        return { cached: [P, Q], target, names: { X, d, e, P, Q } };
      },
      becomes:
        'cbind(slice{cols:[1,2],rows:null}(P), slice{cols:[0,1],rows:null}(matmul(X, cbind(d, e))), Q, slice{cols:[1,2],rows:null}(matmul(X, cbind(d, e))))',
    },
    {
      what: 'the first columns of the right operand',
      build: (s) => {
        const [X, Y] = [leaf(s, 6, 2), leaf(s, 2, 4, 2)];
        const P = X.matmul(Y);
        return { cached: [P], target: X.matmul(Y.slice(null, [0, 3])), names: { P } };
      },
      becomes: 'slice{cols:[0,3],rows:null}(P)',
    },
  ],
  leaves: [
    {
      what: 'another left operand',
      build: (s) => {
        const [X, Y, Z] = [leaf(s, 6, 2), leaf(s, 2, 3, 2), leaf(s, 2, 1, 3)];
        return { cached: [leaf(s, 6, 2, 7).matmul(Y)], target: X.matmul(Y.cbind(Z)) };
      },
    },
    {
      what: 'a transposed left operand',
      build: (s) => {
        const [X, Y, Z] = [leaf(s, 2, 2), leaf(s, 2, 3, 2), leaf(s, 2, 1, 3)];
        return { cached: [X.t().matmul(Y)], target: X.matmul(Y.cbind(Z)) };
      },
    },
  ],
  random: (s, size) => {
    const X = leaf(s, size(), 3);
    const parts = Array.from({ length: size(4) + 2 }, (_, i) => leaf(s, 3, size(3), i + 2));
    const pick = (count: number): Matrix[] =>
      Array.from({ length: count }, () => parts[size(parts.length) - 1]!);
    const chosen = pick(size(3));
    const cached = [X.matmul(bindCols(chosen)), X.matmul(bindCols(pick(size(2))))];
    return { cached, target: X.matmul(bindCols([...pick(size(3)), chosen[0]!, ...pick(1)])) };
  },
  tooDear: (s) => {
    const [X, Y, Z] = [large(s, 1_000, 2), large(s, 2, 2, 2), large(s, 2, 100, 3)];
    return { cached: [X.matmul(Y)], target: X.matmul(Y.cbind(Z)) };
  },
  pays: (s) => {
    const [X, Y, Z] = [large(s, 5_000, 200), large(s, 200, 100, 2), large(s, 200, 10, 3)];
    return { cached: [X.matmul(Y)], target: X.matmul(Y.cbind(Z)) };
  },
});

testPartialRule({
  rule: borderGram,
  fires: [
    {
      what: 'columns added at the end',
      build: (s) => {
        const [A, B] = [leaf(s, 6, 2), leaf(s, 6, 3, 2)];
        const G = simple(gram(A));
        return { cached: [gram(A)], target: gram(A.cbind(B)), names: { A, B, G } };
      },
      becomes:
        'rbind(cbind(G, matmul{transposeA:true}(A, B)), cbind(transpose(matmul{transposeA:true}(A, B)), tsmm(B)))',
    },
    {
      what: 'columns taken away',
      build: (s) => {
        const [A, B, C] = [leaf(s, 6, 2), leaf(s, 6, 3, 2), leaf(s, 6, 1, 3)];
        const G = simple(gram(A.cbind(B, C)));
        return { cached: [gram(A.cbind(B, C))], target: gram(B.cbind(C)), names: { G } };
      },
      becomes: 'slice{cols:[2,6],rows:[2,6]}(G)',
    },
    {
      what: 'columns added to a range of rows',
      build: (s) => {
        const [A, B] = [leaf(s, 6, 2), leaf(s, 6, 3, 2)];
        const fold = (x: Matrix): Matrix => gram(x.slice([1, 5]));
        const names = { A, B, G: simple(fold(A)) };
        return { cached: [fold(A)], target: fold(A.cbind(B)), names };
      },
      becomes:
        'rbind(cbind(G, matmul{transposeA:true}(slice{cols:null,rows:[1,5]}(A), slice{cols:null,rows:[1,5]}(B))), cbind(transpose(matmul{transposeA:true}(slice{cols:null,rows:[1,5]}(A), slice{cols:null,rows:[1,5]}(B))), tsmm(slice{cols:null,rows:[1,5]}(B))))',
    },
    {
      what: 'a range of columns',
      build: (s) => {
        const A = leaf(s, 6, 5);
        const G = simple(gram(A));
        return { cached: [gram(A)], target: gram(A.slice(null, [1, 4])), names: { G } };
      },
      becomes: 'slice{cols:[1,4],rows:[1,4]}(G)',
    },
  ],
  leaves: [
    {
      what: 'no column in common',
      build: (s) => {
        const [A, B, C] = [leaf(s, 6, 2), leaf(s, 6, 3, 2), leaf(s, 6, 2, 3)];
        return { cached: [gram(C)], target: gram(A.cbind(B)) };
      },
    },
    {
      what: 'columns added to other rows than those cached',
      build: (s) => {
        const [A, B] = [leaf(s, 6, 2), leaf(s, 6, 3, 2)];
        return { cached: [gram(A.slice([1, 4]))], target: gram(A.cbind(B).slice([1, 5])) };
      },
    },
    {
      what: 'rows of what is cached, which would take a difference',
      build: (s) => {
        const A = leaf(s, 6, 2);
        return { cached: [gram(A)], target: gram(A.slice([0, 5])) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(9);
    const parts = Array.from({ length: 4 }, (_, i) => leaf(s, rows, size(3), i + 1));
    const pick = (count: number): Matrix[] =>
      Array.from({ length: count }, () => parts[size(parts.length) - 1]!);
    const chosen = pick(size(3));
    const from = size(rows) - 1;
    const isFold = size(2) === 2 && rows - from > 0;
    const over = (x: Matrix): Matrix => gram(isFold ? x.slice([from, rows]) : x);
    const target = over(bindCols([...pick(size(2)), chosen[0]!, ...pick(1)]));
    return { cached: [over(bindCols(chosen))], target };
  },
  tooDear: (s) => {
    const [A, B] = [large(s, 100, 2), large(s, 100, 2, 2)];
    return { cached: [gram(A)], target: gram(A.cbind(B)) };
  },
  pays: (s) => {
    const [A, B] = [large(s, 20_000, 100), large(s, 20_000, 2, 2)];
    return { cached: [gram(A)], target: gram(A.cbind(B)) };
  },
});

testPartialRule({
  rule: joinGroupLosses,
  fires: [
    {
      what: 'one model added to each of two groups',
      build: (s) => {
        const [g, X, y] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const [a, b, c, d] = [
          leaf(s, 3, 1, 3),
          leaf(s, 3, 1, 4),
          leaf(s, 3, 1, 5),
          leaf(s, 3, 1, 6),
        ];
        const L = groupLoss(s, [g, X, y, a.cbind(b)]);
        const target = groupLoss(s, [g, X, y, a.cbind(c, b, d)]);
        return { cached: [L], target, names: { g, X, y, c, d, L } };
      },
      becomes: (() => {
        const fresh = 'groupLoss{groups:2,losses:[squared,absolute]}(g, X, y, cbind(c, d))';
        const col = (x: string, j: number): string => `slice{cols:[${j},${j + 1}],rows:null}(${x})`;
        return `cbind(${col('L', 0)}, ${col(fresh, 0)}, ${col('L', 1)}, ${col(fresh, 1)})`;
      })(),
    },
    {
      what: 'fewer models and one of two losses',
      build: (s) => {
        const [g, X, y] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const [a, b, c, d] = [
          leaf(s, 3, 1, 3),
          leaf(s, 3, 1, 4),
          leaf(s, 3, 1, 5),
          leaf(s, 3, 1, 6),
        ];
        const L = groupLoss(s, [g, X, y, a.cbind(b, c, d)]);
        const target = groupLoss(s, [g, X, y, b.cbind(d)], ['absolute']);
        return { cached: [L], target, names: { L } };
      },
      becomes: (() => {
        return 'cbind(slice{cols:[1,2],rows:[1,2]}(L), slice{cols:[3,4],rows:[1,2]}(L))';
      })(),
    },
  ],
  leaves: [
    {
      what: 'the same models judged on other groups',
      build: (s) => {
        const [g, X, y] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const [a, b] = [leaf(s, 3, 1, 3), leaf(s, 3, 1, 4)];
        const cached = [groupLoss(s, [g, X, y, a.cbind(b)])];
        return { cached, target: groupLoss(s, [g, X, y, b.cbind(a)]) };
      },
    },
    {
      what: 'another target',
      build: (s) => {
        const [g, X, y] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const [a, b, c] = [leaf(s, 3, 1, 3), leaf(s, 3, 1, 4), leaf(s, 3, 2, 5)];
        const cached = [groupLoss(s, [g, X, leaf(s, 6, 1, 9), a.cbind(b)])];
        return { cached, target: groupLoss(s, [g, X, y, a.cbind(c, b)]) };
      },
    },
  ],
  random: (s, size) => {
    const [g, X, y] = [groups(s, 7), leaf(s, 7, 2), leaf(s, 7, 1, 2)];
    const models = Array.from({ length: 8 }, (_, i) => leaf(s, 3, 1, i + 3));
    const pick = (count: number): Matrix[] =>
      Array.from({ length: count }, () => models[size(models.length) - 1]!);
    const n = size(4);
    const chosen = [...pick(n), ...pick(n)];
    const m = size(4);
    const wanted = [chosen[0]!, ...pick(m - 1), ...pick(m - 1), chosen[n]!];
    const cached = [groupLoss(s, [g, X, y, bindCols(chosen)])];
    return { cached, target: groupLoss(s, [g, X, y, bindCols(wanted)]) };
  },
  tooDear: (s) => modelsAdded(s, 10, 4),
  pays: (s) => modelsAdded(s, 20_000, 100),
});
