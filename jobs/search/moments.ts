/**
 * Training-set moments by algebra on fold Gram matrices, so that leaving a fold out costs no pass over the data.
 * All moments are centred about the overall column means before folds are subtracted, which keeps the difference
 * accurate when means are large beside the spread.
 *
 * With n_f, m_f, C_f the count, means and scatter of fold f, m the overall means and D_f = n_f (m_f - m)(m_f - m)':
 *   scatter about m:  B_f = C_f + D_f,  B = sum_f B_f
 *   training set:     n = N - n_f,  s = -n_f (m_f - m),  mean = m + s/n,  C = (B - B_f) - s s'/n
 * Source: Chan, Golub and LeVeque (1979) for the merge; leaving one out of the merge is its inverse.
 */
import type { Matrix, Scalar } from '../../driver/index.js';

/** Moments of a set of rows over p columns. `mean` is p x 1; `scatter` is p x p about the mean. */
export interface Moments {
  readonly count: Scalar;
  readonly mean: Matrix;
  readonly scatter: Matrix;
}

/** Centred blocks of a `groupGram` result. */
interface Centered {
  readonly folds: readonly Moments[];
  readonly total: Moments;
  /** Scatter of each fold about the overall mean. */
  readonly about: readonly Matrix[];
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

/** Moments of all rows, and what is needed to leave folds out. Same nodes whoever asks, so the work is shared. */
function centered(gram: Matrix, groups: number, side: number): Centered {
  const folds = Array.from({ length: groups }, (_, f) => foldMoments(gram, f, side));
  const count = folds.map((fold) => fold.count).reduce((a, b) => a.add(b));
  const mean = folds
    .map((fold) => fold.mean.mul(fold.count))
    .reduce((a, b) => a.add(b))
    .div(count);
  const about = folds.map((fold) => fold.scatter.add(outer(fold.mean.sub(mean)).mul(fold.count)));
  const scatter = about.reduce((a, b) => a.add(b));
  return { folds, total: { count, mean, scatter }, about };
}

/**
 * Moments of the rows outside fold `f`, or of all rows when `f` is undefined.
 * @shape gram: [groups * (p + 1), p + 1], from `groupGram` with center = true
 */
export function trainingMoments(gram: Matrix, groups: number, f: number | undefined): Moments {
  const side = gram.cols;
  const { folds, total, about } = centered(gram, groups, side);
  if (f === undefined) return total;
  const held = folds[f]!;
  const count = total.count.sub(held.count);
  const shift = total.mean.sub(held.mean).mul(held.count);
  return {
    count,
    mean: total.mean.add(shift.div(count)),
    scatter: total.scatter.sub(about[f]!).sub(outer(shift).div(count)),
  };
}

/**
 * Plain sums of products Z'Z of the rows outside fold `f`, or of all rows.
 * @shape gram: [groups * (p + 1), p + 1], from `groupGram` with center = false -> [p, p]
 */
export function trainingProducts(gram: Matrix, groups: number, f: number | undefined): Matrix {
  const side = gram.cols;
  const blocks = Array.from({ length: groups }, (_, k) => block(gram, k, side));
  const total = blocks.reduce((a, b) => a.add(b));
  const train = f === undefined ? total : total.sub(blocks[f]!);
  return train.slice([1], [1]);
}
