/** Columns added to and chosen from Gram matrices and moments by group: the rules' tables. */

import { bindParts } from '../../driver/compiler/plan-rules/bind-parts.js';
import { borderGram } from '../../driver/compiler/plan-rules/border-gram.js';
import { borderGroupGram } from '../../driver/compiler/plan-rules/border-group-gram.js';
import { ones } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { leaf } from '../support/plan.js';
import { bindCols, flagged, gram, groupGram, groups, large, simple } from './partial-plans.js';
import { testPartialRule } from './partial-suite.js';

testPartialRule({
  rule: borderGroupGram,
  what: 'by a choice of columns',
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

/** The Gram matrix of a projection's first k columns and a column of ones: PCA, then a model. */
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

testPartialRule({
  rule: borderGroupGram,
  fires: [
    {
      what: 'a column added before the target',
      build: (s) => {
        const [g, A, y, d] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2), leaf(s, 6, 1, 3)];
        const G = groupGram(s, g, A.cbind(y), true);
        const target = groupGram(s, g, A.cbind(d, y), true);
        return { cached: [G], target, names: { g, A, y, d, G } };
      },
      becomes: (() => {
        const at = (x: string, rows: readonly number[] | null, cols: readonly number[]): string =>
          `slice{cols:[${cols}],rows:${rows === null ? 'null' : `[${rows}]`}}(${x})`;
        const moments = (x: string): string => `groupCross{center:true,groups:2}(g, ${x}, d)`;
        const corner = 'groupGram{center:true,groups:2}(g, d)';
        const block = (k: number): string => {
          const cross = `rbind(${[
            at(corner, [2 * k, 2 * k + 1], [1, 2]),
            at(moments('A'), [3 * k + 1, 3 * k + 3], [1, 2]),
            at(moments('y'), [2 * k + 1, 2 * k + 2], [1, 2]),
          ].join(', ')})`;
          const row = (from: number, to: number): string => {
            const old = [4 * k + from, 4 * k + to] as const;
            const added = `slice{cols:null,rows:[${from},${to}]}(${cross})`;
            return `cbind(${at('G', old, [0, 3])}, ${added}, ${at('G', old, [3, 4])})`;
          };
          const flipped = (from: number, to: number): string =>
            at(`transpose(${cross})`, null, [from, to]);
          const middle = [flipped(0, 3), at(corner, [2 * k + 1, 2 * k + 2], [1, 2]), flipped(3, 4)];
          return [row(0, 3), `cbind(${middle.join(', ')})`, row(3, 4)].join(', ');
        };
        return `rbind(${block(0)}, ${block(1)})`;
      })(),
    },
  ],
  leaves: [
    {
      what: 'no column in common',
      build: (s) => {
        const [g, A, B] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        return { cached: [groupGram(s, g, A, true)], target: groupGram(s, g, B, true) };
      },
    },
    {
      what: 'other groups',
      build: (s) => {
        const [g, A, B] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const cached = [groupGram(s, leaf(s, 6, 1, 9), A, true)];
        return { cached, target: groupGram(s, g, A.cbind(B), true) };
      },
    },
    {
      what: 'moments of the other form',
      build: (s) => {
        const [g, A, B] = [groups(s, 6), leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const cached = [groupGram(s, g, A, false)];
        return { cached, target: groupGram(s, g, A.cbind(B), true) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(9) + 1;
    const g = groups(s, rows);
    // Means a thousand spreads away, so that what cancels shows.
    const far = (x: Matrix): Matrix => x.add(1e3);
    const parts = Array.from({ length: 4 }, (_, i) => far(leaf(s, rows, size(3), i + 1)));
    const pick = (count: number): Matrix[] =>
      Array.from({ length: count }, () => parts[size(parts.length) - 1]!);
    const chosen = pick(size(2));
    const center = size(2) === 1;
    const more = far(leaf(s, rows, size(2), 9));
    const target = groupGram(s, g, bindCols([...pick(size(2)), more, chosen[0]!]), center);
    return { cached: [groupGram(s, g, bindCols(chosen), center)], target };
  },
  tooDear: (s) => {
    const [g, A, B] = [groups(s, 1_000), large(s, 1_000, 3), large(s, 1_000, 1, 2)];
    return { cached: [groupGram(s, g, A, true)], target: groupGram(s, g, A.cbind(B), true) };
  },
  pays: (s) => {
    const [g, A, B] = [groups(s, 20_000), large(s, 20_000, 200), large(s, 20_000, 1, 2)];
    return { cached: [groupGram(s, g, A, true)], target: groupGram(s, g, A.cbind(B), true) };
  },
});

testPartialRule({
  rule: bindParts,
  fires: [
    {
      what: 'columns added before and after, nothing bound',
      build: (s) => {
        const [A, y] = [leaf(s, 6, 2), leaf(s, 6, 1, 2)];
        const [d, e] = [leaf(s, 6, 1, 3), leaf(s, 6, 3, 4)];
        const P = flagged(A, y);
        return { cached: [P], target: flagged(d.cbind(A, e), y), names: { y, d, e, P } };
      },
      becomes: 'rbind(matmul{transposeA:true}(d, y), P, matmul{transposeA:true}(e, y))',
    },
    {
      what: 'columns taken away',
      build: (s) => {
        const [A, B, y] = [leaf(s, 6, 2), leaf(s, 6, 1, 5), leaf(s, 6, 1, 2)];
        const P = flagged(A.cbind(B), y);
        return { cached: [P], target: flagged(B, y), names: { P } };
      },
      becomes: 'slice{cols:null,rows:[2,3]}(P)',
    },
  ],
  leaves: [
    {
      what: 'another target',
      build: (s) => {
        const [A, B, y] = [leaf(s, 6, 2), leaf(s, 6, 1, 5), leaf(s, 6, 1, 2)];
        return { cached: [flagged(A, leaf(s, 6, 1, 9))], target: flagged(A.cbind(B), y) };
      },
    },
    {
      what: 'products with the rows',
      build: (s) => {
        const [A, B, y] = [leaf(s, 6, 3), leaf(s, 6, 3, 5), leaf(s, 6, 1, 2)];
        return { cached: [A.matmul(B.t())], target: flagged(A.cbind(B), y) };
      },
    },
  ],
  random: (s, size) => {
    const rows = size(9);
    const y = leaf(s, rows, size(2), 9);
    const parts = Array.from({ length: 4 }, (_, i) => leaf(s, rows, size(3) + 1, i + 1));
    const pick = (count: number): Matrix[] =>
      Array.from({ length: count }, () => parts[size(parts.length) - 1]!);
    const chosen = pick(size(3));
    const cut = parts[0]!.slice(null, [0, 1]);
    const target = flagged(bindCols([...pick(size(2)), chosen[0]!, cut]), y);
    return { cached: [flagged(bindCols(chosen), y)], target };
  },
  tooDear: (s) => {
    const [A, B, y] = [large(s, 100, 2), large(s, 100, 2, 2), large(s, 100, 1, 3)];
    return { cached: [flagged(A, y)], target: flagged(A.cbind(B), y) };
  },
  pays: (s) => {
    const [A, B, y] = [large(s, 20_000, 60), large(s, 20_000, 2, 2), large(s, 20_000, 1, 3)];
    return { cached: [flagged(A, y)], target: flagged(A.cbind(B), y) };
  },
});
