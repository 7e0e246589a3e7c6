import { bindParts } from '../../driver/compiler/plan-rules/bind-parts.js';
import { mergeParts } from '../../driver/compiler/plan-rules/merge-parts.js';
import { sliceWholeResult } from '../../driver/compiler/plan-rules/slice-whole-result.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { type Lazy, leaf } from '../support/plan.js';
import {
  bind,
  flagged,
  gram,
  groupGram,
  groups,
  large,
  rowsAdded,
  simple,
} from './partial-plans.js';
import { testPartialRule } from './partial-suite.js';

testPartialRule({
  rule: mergeParts,
  fires: [
    {
      what: 'a Gram matrix with rows added',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 3, 2, 2);
        const G = gram(A);
        return { cached: [G], target: gram(A.rbind(B)), names: { A, B, G: simple(G) } };
      },
      becomes: 'add(G, tsmm(B))',
    },
    {
      what: 'the longest cached run, gaps computed at once, in nested binds',
      build: (s) => {
        const [A, B, C, D, E] = [1, 2, 3, 4, 5].map((seed) => leaf(s, seed + 1, 2, seed)) as [
          Matrix,
          Matrix,
          Matrix,
          Matrix,
          Matrix,
        ];
        const G = gram(B.rbind(C));
        const H = gram(B);
        const target = gram(A.rbind(B).rbind(C, D.rbind(E)));
        const names = { A, D, E, G: simple(G), H: simple(H) };
        return { cached: [H, G], target, names };
      },
      becomes: 'add(add(tsmm(A), G), tsmm(rbind(D, E)))',
    },
    {
      what: 't(rbind) %*% rbind cut at the same rows',
      build: (s) => {
        const [A, B, C, D] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), leaf(s, 4, 1, 3), leaf(s, 3, 1, 4)];
        const P = A.t().matmul(C);
        const target = A.rbind(B).t().matmul(C.rbind(D));
        return { cached: [P], target, names: { B, D, P: flagged(A, C) } };
      },
      becomes: 'add(P, matmul{transposeA:true}(B, D))',
    },
    {
      what: 'least of all cells',
      build: (s) => {
        const A = leaf(s, 4, 2);
        const B = leaf(s, 3, 2, 2);
        return { cached: [A.min()], target: A.rbind(B).min(), names: { B, m: A.min() } };
      },
      becomes: 'minimum(m, min(B))',
    },
    {
      what: 'moments by group, plain sums',
      build: (s) => {
        const [A, B, g, h] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), groups(s, 4), groups(s, 3)];
        const G = groupGram(s, g, A, false);
        const target = groupGram(s, g.rbind(h), A.rbind(B), false);
        return { cached: [G], target, names: { B, h, G } };
      },
      becomes: 'add(G, groupGram{center:false,groups:2}(h, B))',
    },
    {
      what: 'centred moments by group, which merge about their means',
      build: (s) => {
        const [A, B, g, h] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), groups(s, 4), groups(s, 3)];
        const G = groupGram(s, g, A, true);
        const target = groupGram(s, g.rbind(h), A.rbind(B), true);
        return { cached: [G], target, names: { B, h, G } };
      },
      becomes: (() => {
        const part = '{columns:null,groups:[0,1]}';
        const attrs = `center:true,groups:2,parts:[${part},${part}],side:3`;
        return `mergeGroupGram{${attrs}}(G, groupGram{center:true,groups:2}(h, B))`;
      })(),
    },
  ],
  leaves: [
    {
      what: 'no part is cached',
      build: (s) => {
        const [A, B, C] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), leaf(s, 3, 2, 3)];
        return { cached: [gram(C)], target: gram(A.rbind(B)) };
      },
    },
    {
      what: 'operands cut at different rows',
      build: (s) => {
        const [A, B, C, D] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), leaf(s, 3, 1, 3), leaf(s, 4, 1, 4)];
        return { cached: [gram(A)], target: A.rbind(B).t().matmul(C.rbind(D)) };
      },
    },
  ],
  random: (s, size) => {
    const cols = size();
    const parts = Array.from({ length: size(4) + 1 }, (_, i) => leaf(s, size(), cols, i + 1));
    const right = parts.map((part, i) => leaf(s, part.rows, 2, i + 11));
    const forms: ((x: Matrix, y: Matrix) => Lazy)[] = [
      gram,
      (x, y) => x.t().matmul(y),
      (x) => x.colSums(),
      (x) => x.sum(),
      (x) => x.max(),
      (x) => x.colSumSqs(),
      (x) => groupGram(s, x.slice(null, [0, 1]).gt(0), x.add(1e3), true),
    ];
    const form = forms[size(forms.length) - 1]!;
    const from = size(parts.length) - 1;
    const to = Math.max(from + 1, Math.min(parts.length - (from === 0 ? 1 : 0), from + size(3)));
    const over = (a: number, b: number): Lazy =>
      form(bind(parts.slice(a, b)), bind(right.slice(a, b)));
    return { cached: [over(from, to)], target: over(0, parts.length) };
  },
  tooDear: (s) => rowsAdded(s, large(s, 4, 2), large(s, 4, 2, 2)),
  pays: (s) => rowsAdded(s, large(s, 20_000, 30), large(s, 1_000, 30, 2)),
});

testPartialRule({
  rule: bindParts,
  fires: [
    {
      what: 'a product with rows added',
      build: (s) => {
        const [A, B, Y] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), leaf(s, 2, 3, 3)];
        const P = A.matmul(Y);
        return { cached: [P], target: A.rbind(B).matmul(Y), names: { B, Y, P } };
      },
      becomes: 'rbind(P, matmul(B, Y))',
    },
    {
      what: 'two operands of an element-wise operator',
      build: (s) => {
        const [A, B, C, D] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), leaf(s, 4, 2, 3), leaf(s, 3, 2, 4)];
        const P = B.mul(D);
        const target = A.rbind(B).mul(C.rbind(D));
        return { cached: [P], target, names: { A, C, P } };
      },
      becomes: 'rbind(mul(A, C), P)',
    },
  ],
  leaves: [
    {
      what: 'another right operand',
      build: (s) => {
        const [A, B, Y, Z] = [leaf(s, 4, 2), leaf(s, 3, 2, 2), leaf(s, 2, 3, 3), leaf(s, 2, 3, 4)];
        return { cached: [A.matmul(Z)], target: A.rbind(B).matmul(Y) };
      },
    },
  ],
  random: (s, size) => {
    const cols = size() + 1;
    const parts = Array.from({ length: size(3) + 1 }, (_, i) => leaf(s, size() + 1, cols, i + 1));
    const Y = leaf(s, cols, 3, 9);
    const row = leaf(s, 1, cols, 10);
    const forms: ((x: Matrix) => Matrix)[] = [
      (x) => x.matmul(Y),
      (x) => x.add(row),
      (x) => x.exp(),
      (x) => x.rowSums(),
    ];
    const form = forms[size(forms.length) - 1]!;
    return { cached: [form(parts[size(parts.length) - 1]!)], target: form(bind(parts)) };
  },
  tooDear: (s) => {
    const [A, B] = [large(s, 10_000, 10), large(s, 10_000, 10, 2)];
    return { cached: [A.neg()], target: A.rbind(B).neg() };
  },
  pays: (s) => {
    const [A, B, Y] = [large(s, 5_000, 400), large(s, 500, 400, 2), large(s, 400, 1_000, 3)];
    return { cached: [A.matmul(Y)], target: A.rbind(B).matmul(Y) };
  },
});

testPartialRule({
  rule: sliceWholeResult,
  fires: [
    {
      what: 'rows of a product',
      build: (s) => {
        const [A, Y] = [leaf(s, 6, 2), leaf(s, 2, 3, 3)];
        const P = A.matmul(Y);
        return { cached: [P], target: A.slice([2, 5]).matmul(Y), names: { P } };
      },
      becomes: 'slice{cols:null,rows:[2,5]}(P)',
    },
    {
      what: 'a range of cells, beside a row that stretches',
      build: (s) => {
        const [A, v] = [leaf(s, 6, 4), leaf(s, 1, 4, 3)];
        const P = A.sub(v);
        const target = A.slice([2, 5], [1, 3]).sub(v.slice(null, [1, 3]));
        return { cached: [P], target, names: { P } };
      },
      becomes: 'slice{cols:[1,3],rows:[2,5]}(P)',
    },
    {
      what: 'rows of a product of some columns',
      build: (s) => {
        const [A, Y] = [leaf(s, 6, 4), leaf(s, 2, 3, 3)];
        const P = A.slice(null, [1, 3]).matmul(Y);
        return { cached: [P], target: A.slice([2, 5], [1, 3]).matmul(Y), names: { P } };
      },
      becomes: 'slice{cols:null,rows:[2,5]}(P)',
    },
    {
      what: 'the same rows of two operands',
      build: (s) => {
        const [A, B] = [leaf(s, 6, 2), leaf(s, 6, 2, 3)];
        const P = A.mul(B);
        const target = A.slice([0, 2]).mul(B.slice([0, 2]));
        return { cached: [P], target, names: { P } };
      },
      becomes: 'slice{cols:null,rows:[0,2]}(P)',
    },
  ],
  leaves: [
    {
      what: 'cells of other columns of one operand',
      build: (s) => {
        const [A, B] = [leaf(s, 6, 4), leaf(s, 6, 4, 3)];
        const target = A.slice([0, 2], [0, 2]).mul(B.slice([0, 2], [1, 3]));
        return { cached: [A.mul(B)], target };
      },
    },
    {
      what: 'different rows of two operands',
      build: (s) => {
        const [A, B] = [leaf(s, 6, 2), leaf(s, 6, 2, 3)];
        return { cached: [A.mul(B)], target: A.slice([0, 2]).mul(B.slice([1, 3])) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(8) + 3;
    const [A, B, Y] = [leaf(s, rows, 3), leaf(s, rows, 3, 2), leaf(s, 3, 2, 3)];
    const from = size(rows - 2) - 1;
    const to = Math.min(rows, from + 1 + size(rows));
    const forms: ((x: Matrix, y: Matrix) => Matrix)[] = [
      (x) => x.matmul(Y),
      (x, y) => x.sub(y),
      (x) => x.rowMaxs(),
    ];
    const end = 1 + size(2);
    const cells = (x: Matrix): Matrix => x.slice([from, to], [1, end]);
    if (size(4) === 1) {
      const v = B.slice(null, [0, 1]);
      const target = cells(A)
        .mul(cells(B))
        .sub(v.slice([from, to]));
      return { cached: [A.mul(B)], target };
    }
    const form = forms[size(forms.length) - 1]!;
    const target = form(A.slice([from, to]), B.slice([from, to]));
    return { cached: [form(A, B)], target };
  },
  tooDear: (s) => {
    const A = large(s, 1_000, 2);
    return { cached: [A.neg()], target: A.slice([0, 900]).neg() };
  },
  pays: (s) => {
    const [A, Y] = [large(s, 10_000, 400), large(s, 400, 40, 2)];
    return { cached: [A.matmul(Y)], target: A.slice([0, 9_000]).matmul(Y) };
  },
});
