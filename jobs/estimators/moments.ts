/**
 * Training-set moments by algebra on fold Gram matrices, so that leaving a fold out costs no pass
 * over the data. Folds are merged, never subtracted: the training set of fold f is merge(folds
 * before f, folds after f), prefixes and suffixes being shared by all folds. So nothing cancels,
 * and a column that is constant in the training rows has exactly no scatter there, which is how
 * `columnScales` knows it, however much it varies in the fold held out.
 *
 * merge of (n_a, m_a, C_a), (n_b, m_b, C_b), d = m_b - m_a, n = n_a + n_b:  m = m_a + d n_b/n,
 *   C = C_a + C_b + d d' n_a n_b/n
 * Source: Chan, Golub and LeVeque (1979), eq. 2.1.
 */
import type { Matrix, Scalar } from '../../driver/index.js';

/** Moments of a set of rows over p columns. `mean` is p x 1; `scatter` is p x p about the mean. */
export interface Moments {
  readonly count: Scalar;
  readonly mean: Matrix;
  readonly scatter: Matrix;
}

/** Block `f` of a stacked Gram matrix with `side` columns. */
function block(gram: Matrix, f: number, side: number): Matrix {
  return gram.slice([f * side, (f + 1) * side]);
}

function foldMoments(gram: Matrix, f: number, side: number): Moments {
  const own = block(gram, f, side);
  return {
    count: own.at(0, 0),
    mean: own.slice([1], 0),
    scatter: own.slice([1], [1]),
  };
}

function outer(column: Matrix): Matrix {
  return column.matmul(column.t());
}

/** Moments of the rows of both. */
function merge(a: Moments, b: Moments): Moments {
  const count = a.count.add(b.count);
  const delta = b.mean.sub(a.mean);
  const share = b.count.div(count);
  return {
    count,
    mean: a.mean.add(delta.mul(share)),
    scatter: a.scatter.add(b.scatter).add(outer(delta).mul(a.count.mul(share))),
  };
}

/** Training moments of each fold, then of all rows; kept by Gram matrix, as all fits need them. */
const trainingSets = new WeakMap<Matrix, readonly Moments[]>();

function mergeFolds(gram: Matrix, groups: number): Moments[] {
  const folds = Array.from({ length: groups }, (_, f) => foldMoments(gram, f, gram.cols));
  const before: Moments[] = [];
  for (const fold of folds) before.push(before.length === 0 ? fold : merge(before.at(-1)!, fold));
  const after: Moments[] = [];
  for (const fold of folds.toReversed()) {
    after.unshift(after.length === 0 ? fold : merge(fold, after[0]!));
  }
  const training = folds.map((_, f) => {
    if (f === 0) return after[1]!;
    return f === groups - 1 ? before[f - 1]! : merge(before[f - 1]!, after[f + 1]!);
  });
  return [...training, before.at(-1)!];
}

/**
 * Moments of the rows outside fold `f`, or of all rows when `f` is undefined.
 * @shape gram: [groups * (p + 1), p + 1] with 2 groups or more, from `groupGram` with center = true
 */
export function trainingMoments(gram: Matrix, groups: number, f: number | undefined): Moments {
  let sets = trainingSets.get(gram);
  if (sets === undefined) {
    sets = mergeFolds(gram, groups);
    trainingSets.set(gram, sets);
  }
  return sets[f ?? groups]!;
}

/**
 * Plain sums of products [1 Z]'[1 Z] of the rows outside fold `f`, or of all rows.
 * @shape gram: [groups * (p + 1), p + 1], from `groupGram` with center = false -> [p + 1, p + 1]
 */
export function trainingProducts(gram: Matrix, groups: number, f: number | undefined): Matrix {
  const side = gram.cols;
  const blocks = Array.from({ length: groups }, (_, k) => block(gram, k, side));
  const total = blocks.reduce((a, b) => a.add(b));
  return f === undefined ? total : total.sub(blocks[f]!);
}
