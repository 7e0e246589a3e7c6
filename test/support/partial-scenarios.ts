/**
 * Two requests where the second is answered from parts of the first, one a rule: for tests in one
 * session, over two processes, and for the benchmark. Sizes are such that computing takes long
 * enough to be looked at and stored.
 */

import type { Evaluator } from '../../driver/ir/evaluator.js';
import { ones, rand } from '../../driver/matrix/create.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';

export interface Scenario {
  readonly rule: string;
  readonly what: string;
  readonly first: readonly Matrix[];
  readonly second: Matrix;
  /** Operators that do the second's work, and how many of each run; moved cells don't count. */
  readonly works: Readonly<Record<string, number>>;
}

export type ScenarioMaker = (session: Evaluator, scale?: number) => Scenario;

const data = (s: Evaluator, rows: number, cols: number, seed = 1): Matrix =>
  rand(s, rows, cols, { seed, distribution: 'normal' });
const gram = (x: Matrix): Matrix => x.t().matmul(x);

function grouped(s: Evaluator, x: Matrix): Matrix {
  const attrs = { rows: x.rows, folds: 5, shuffle: false, seed: 0 };
  const g = s.intern(ops.kfold, [], attrs);
  return Matrix.of(s, s.intern(ops.groupGram, [g, x.expr], { groups: 5, center: true }));
}

/** Rows of the first operand times `scale`. */
export const scenarios: Readonly<Record<string, ScenarioMaker>> = {
  rowsAdded: (s, scale = 1) => {
    const [A, B] = [data(s, 20_000 * scale, 60), data(s, 500 * scale, 60, 2)];
    return {
      rule: 'merge-parts',
      what: 'rows added under a Gram matrix',
      first: [gram(A)],
      second: gram(A.rbind(B)),
      works: { tsmm: 1, add: 1 },
    };
  },
  rangeWidened: (s, scale = 1) => {
    const X = data(s, 22_000 * scale, 60);
    return {
      rule: 'merge-parts',
      what: 'a window of rows widened at both ends',
      first: [gram(X.slice([500 * scale, 20_500 * scale]))],
      second: gram(X),
      works: { tsmm: 2, add: 2 },
    };
  },
  columnsAdded: (s, scale = 1) => {
    const [A, B] = [data(s, 20_000 * scale, 80), data(s, 20_000 * scale, 2, 2)];
    return {
      rule: 'border-gram',
      what: 'columns added to a Gram matrix',
      first: [gram(A)],
      second: gram(A.cbind(B)),
      works: { tsmm: 1, matmul: 1 },
    };
  },
  columnBefore: (s, scale = 1) => {
    const [B, e] = [data(s, 20_000 * scale, 90), data(s, 20_000 * scale, 1, 2)];
    const over = (k: number): Matrix => gram(B.slice(null, [0, k]).cbind(e));
    return {
      rule: 'border-gram',
      what: 'columns of a wider matrix added before the last',
      first: [over(80)],
      second: over(83),
      works: { tsmm: 1, matmul: 2 },
    };
  },
  columnsTaken: (s, scale = 1) => {
    const [A, B] = [data(s, 20_000 * scale, 80), data(s, 20_000 * scale, 2, 2)];
    return {
      rule: 'border-gram',
      what: 'columns taken out of a Gram matrix',
      first: [gram(A.cbind(B))],
      second: gram(A),
      works: {},
    };
  },
  interceptAdded: (s, scale = 1) => {
    const A = data(s, 20_000 * scale, 80);
    return {
      rule: 'border-gram',
      what: 'a column of ones added, its sums cached',
      first: [gram(A), A.colSums()],
      second: gram(A.cbind(ones(s, A.rows, 1))),
      works: { tsmm: 1 },
    };
  },
  componentAdded: (s, scale = 1) => {
    const [A, B] = [data(s, 6_000 * scale, 150), data(s, 150, 150, 2)];
    const e = ones(s, A.rows, 1);
    const model = (k: number): Matrix => gram(A.matmul(B.slice(null, [0, k])).cbind(e));
    return {
      rule: 'border-gram',
      what: 'one principal component more',
      first: [model(119)],
      second: model(120),
      // The new component, and its products with the other components and the column of ones.
      works: { tsmm: 1, matmul: 3 },
    };
  },
  productRows: (s, scale = 1) => {
    const [A, B, Y] = [
      data(s, 4_000 * scale, 300),
      data(s, 100 * scale, 300, 2),
      data(s, 300, 300, 3),
    ];
    return {
      rule: 'bind-parts',
      what: 'rows added to a product',
      first: [A.matmul(Y)],
      second: A.rbind(B).matmul(Y),
      works: { matmul: 1 },
    };
  },
  productWindow: (s, scale = 1) => {
    const [X, Y] = [data(s, 4_000 * scale, 300), data(s, 300, 300, 3)];
    return {
      rule: 'bind-parts',
      what: 'a window within a cached window of a product',
      first: [X.slice([0, 3_800 * scale]).matmul(Y)],
      second: X.slice([100 * scale, 3_700 * scale]).matmul(Y),
      works: {},
    };
  },
  productColumns: (s, scale = 1) => {
    const [X, Y, Z] = [data(s, 4_000 * scale, 300), data(s, 300, 200, 2), data(s, 300, 5, 3)];
    return {
      rule: 'bind-parts',
      what: 'columns added to a product',
      first: [X.matmul(Y)],
      second: X.matmul(Y.cbind(Z)),
      works: { matmul: 1 },
    };
  },
  featureAdded: (s, scale = 1) => {
    const rows = 10_000 * scale;
    const [A, y, d] = [data(s, rows, 200), data(s, rows, 1, 2), data(s, rows, 1, 3)];
    return {
      rule: 'border-group-gram',
      what: 'a feature added to moments by fold',
      first: [grouped(s, A.cbind(y))],
      second: grouped(s, A.cbind(d, y)),
      works: { groupGram: 1, groupCross: 2 },
    };
  },
  targetOfColumns: (s, scale = 1) => {
    const rows = 20_000 * scale;
    const [A, y, d] = [data(s, rows, 80), data(s, rows, 1, 2), data(s, rows, 1, 3)];
    return {
      rule: 'bind-parts',
      what: 'a column added under products with the target',
      first: [A.t().matmul(y)],
      second: A.cbind(d).t().matmul(y),
      works: { matmul: 1 },
    };
  },
  featureDropped: (s, scale = 1) => {
    const [A, B] = [data(s, 20_000 * scale, 30), data(s, 20_000 * scale, 1, 2)];
    return {
      rule: 'border-group-gram',
      what: 'a feature dropped from moments by fold',
      first: [grouped(s, A.cbind(B))],
      second: grouped(s, A),
      works: {},
    };
  },
  sumsOfColumns: (s, scale = 1) => {
    const part = (cols: number, seed: number): Matrix => data(s, 20_000 * scale, cols, seed);
    const [A, B, C, D] = [part(40, 1), part(40, 2), part(1, 3), part(1, 4)];
    return {
      rule: 'bind-parts',
      what: 'columns added and taken under column sums',
      first: [A.cbind(B).colSums()],
      second: B.cbind(C, D, A.slice(null, [5, 30])).colSums(),
      works: { colSums: 1 },
    };
  },
  powersOfColumns: (s, scale = 1) => {
    const X = data(s, 20_000 * scale, 40).abs();
    return {
      rule: 'slice-whole-result',
      what: 'an element-wise operator over a range of rows and columns',
      first: [X.pow(1.3)],
      second: X.slice([10, 19_000 * scale], [5, 35]).pow(1.3),
      works: {},
    };
  },
  powersOfRows: (s, scale = 1) => {
    const part = (rows: number, seed: number): Matrix => data(s, rows * scale, 20, seed);
    const [A, B, C, D] = [part(20_000, 1), part(20_000, 2), part(100, 3), part(100, 4)];
    return {
      rule: 'bind-parts',
      what: 'several parts added at once to several bound before',
      first: [A.rbind(B).pow(1.5)],
      second: A.rbind(B, C, D).pow(1.5),
      works: { pow: 1 },
    };
  },
  momentsByGroupGrown: (s, scale = 1) => {
    const fold = (rows: number): Matrix =>
      Matrix.of(s, s.intern(ops.kfold, [], { rows, folds: 5, shuffle: true, seed: 3 }));
    const [A, B] = [data(s, 20_000 * scale, 60).add(1e4), data(s, 500 * scale, 60, 2).add(1e4)];
    const over = (g: Matrix, x: Matrix): Matrix =>
      Matrix.of(s, s.intern(ops.groupGram, [g.expr, x.expr], { groups: 5, center: true }));
    const [g, h] = [fold(A.rows), fold(B.rows)];
    return {
      rule: 'merge-parts',
      what: 'rows added under moments by fold, about their means',
      first: [over(g, A)],
      second: over(g.rbind(h), A.rbind(B)),
      works: { groupGram: 1, mergeGroupGram: 1, add: 1 },
    };
  },
  rankingShortened: (s, scale = 1) => {
    const X = data(s, 300_000 * scale, 1);
    return {
      rule: 'merge-rankings',
      what: 'fewer of one ranking',
      first: [X.topK(100)],
      second: X.topK(10),
      works: {},
    };
  },
  rankingGrown: (s, scale = 1) => {
    const [X, Z] = [data(s, 300_000 * scale, 1), data(s, 3_000 * scale, 1, 2)];
    return {
      rule: 'merge-rankings',
      what: 'rows added under a ranking',
      first: [X.topK(100)],
      second: X.rbind(Z).topK(50),
      works: { topK: 2, add: 1 },
    };
  },
};

/** Operators that only move cells, and leaves. */
export const MOVES: ReadonlySet<string> = new Set([
  'slice',
  'rbind',
  'cbind',
  'transpose',
  'rand',
  'fill',
  'kfold',
]);
