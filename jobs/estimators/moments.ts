/**
 * Training-set moments by algebra on Gram matrices by group, so that leaving groups out costs no
 * pass over the data. Groups are merged, never subtracted: the training set of fold f is merge(folds
 * before f, folds after f), prefixes and suffixes being shared by all folds. So nothing cancels,
 * and a column that is constant in the training rows has exactly no scatter there, which is how
 * `columnScales` knows it, however much it varies in the rows held out.
 *
 * merge of (n_a, m_a, C_a), (n_b, m_b, C_b), d = m_b - m_a, n = n_a + n_b:  m = m_a + d n_b/n,
 *   C = C_a + C_b + d d' n_a n_b/n
 * Source: Chan, Golub and LeVeque (1979), eq. 2.1.
 */
import type { Evaluator, Expr, Matrix, Scalar } from '../../driver/index.js';

/** Moments of a set of rows over p columns. `mean` is p x 1; `scatter` is p x p about the mean. */
export interface Moments {
  readonly count: Scalar;
  readonly mean: Matrix;
  readonly scatter: Matrix;
}

/** Block `g` of a stacked Gram matrix with `side` columns. */
function block(gram: Matrix, g: number, side: number): Matrix {
  return gram.slice([g * side, (g + 1) * side]);
}

function groupMoments(gram: Matrix, g: number, side: number): Moments {
  const own = block(gram, g, side);
  return {
    count: own.at(0, 0),
    mean: own.slice([1], 0),
    scatter: own.slice([1], [1]),
  };
}

function outer(column: Matrix): Matrix {
  return column.matmul(column.t());
}

/** Moments of the rows of both. @param product of the means' difference with itself */
function merge(a: Moments, b: Moments, product = outer): Moments {
  const count = a.count.add(b.count);
  const delta = b.mean.sub(a.mean);
  // Both are empty where a class is in neither group.
  const share = b.count.div(count.maximum(Number.MIN_VALUE));
  return {
    count,
    mean: a.mean.add(delta.mul(share)),
    scatter: a.scatter.add(b.scatter).add(product(delta).mul(a.count.mul(share))),
  };
}

/** Sums over sets of groups, those over runs of neighbouring groups made once. */
class GroupSums<T> {
  readonly #groups: readonly T[];
  readonly #merge: (a: T, b: T) => T;
  readonly #runs = new Map<string, T>();

  constructor(groups: readonly T[], merge: (a: T, b: T) => T) {
    this.#groups = groups;
    this.#merge = merge;
  }

  /** @param groups ascending; undefined for all */
  of(groups: readonly number[] | undefined): T {
    const last = this.#groups.length - 1;
    if (groups === undefined) return this.#run(0, last);
    const runs: T[] = [];
    for (let i = 0, end: number; i < groups.length; i = end) {
      for (end = i + 1; groups[end] === groups[end - 1]! + 1; ) end++;
      runs.push(this.#run(groups[i]!, groups[end - 1]!));
    }
    return runs.reduce(this.#merge);
  }

  /** Runs to the last group grow downwards, so that they are suffixes; others grow upwards. */
  #run(from: number, to: number): T {
    const isSuffix = from > 0 && to === this.#groups.length - 1;
    const key = (length: number) =>
      isSuffix ? `${to - length + 1}-${to}` : `${from}-${from + length - 1}`;
    let length = to - from + 1;
    const wanted = length;
    while (length > 1 && !this.#runs.has(key(length))) length--;
    let sum: T = length > 1 ? this.#runs.get(key(length))! : this.#groups[isSuffix ? to : from]!;
    while (length < wanted) {
      sum = isSuffix
        ? this.#merge(this.#groups[to - length]!, sum)
        : this.#merge(sum, this.#groups[from + length]!);
      length++;
      this.#runs.set(key(length), sum);
    }
    return sum;
  }
}

type Kept<T> = WeakMap<Evaluator, WeakMap<Expr, GroupSums<T>>>;

/** Sums over sets of groups, kept by the node of the Gram matrix, as all fits need them. */
function sumsOf<T>(
  kept: Kept<T>,
  { session, expr }: Matrix,
  make: () => GroupSums<T>,
): GroupSums<T> {
  const own = kept.get(session) ?? new WeakMap<Expr, GroupSums<T>>();
  kept.set(session, own);
  const sums = own.get(expr) ?? make();
  own.set(expr, sums);
  return sums;
}

const momentSums: Kept<Moments> = new WeakMap();
const columnSums: Kept<Moments> = new WeakMap();
const productSums: Kept<Matrix> = new WeakMap();

/**
 * Moments of the rows of some groups, or of all rows.
 * @shape gram: [groups * (p + 1), p + 1], from `groupGram` with center = true
 */
export function trainingMoments(
  gram: Matrix,
  groups: number,
  train: readonly number[] | undefined,
): Moments {
  const make = (): GroupSums<Moments> =>
    new GroupSums(
      Array.from({ length: groups }, (_, g) => groupMoments(gram, g, gram.cols)),
      (a, b) => merge(a, b),
    );
  return sumsOf(momentSums, gram, make).of(train);
}

/**
 * As `trainingMoments`, of each column by itself: `scatter` is p x 1.
 * @shape moments: [3 * groups, p], from `columnMoments`
 */
export function trainingColumns(
  moments: Matrix,
  groups: number,
  train: readonly number[] | undefined,
): Moments {
  const make = (): GroupSums<Moments> =>
    new GroupSums(
      Array.from({ length: groups }, (_, g) => ({
        count: moments.at(3 * g, 0),
        mean: moments.slice(3 * g + 1).t(),
        scatter: moments.slice(3 * g + 2).t(),
      })),
      (a, b) => merge(a, b, (delta) => delta.square()),
    );
  return sumsOf(columnSums, moments, make).of(train);
}

/**
 * Plain sums of products [1 Z]'[1 Z] of the rows of some groups, or of all rows.
 * @shape gram: [groups * (p + 1), p + 1], from `groupGram` with center = false -> [p + 1, p + 1]
 */
export function trainingProducts(
  gram: Matrix,
  groups: number,
  train: readonly number[] | undefined,
): Matrix {
  const make = (): GroupSums<Matrix> =>
    new GroupSums(
      Array.from({ length: groups }, (_, g) => block(gram, g, gram.cols)),
      (a, b) => a.add(b),
    );
  return sumsOf(productSums, gram, make).of(train);
}
