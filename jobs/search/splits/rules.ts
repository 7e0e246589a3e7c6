/**
 * scikit-learn's rules of which rows a split trains and tests, over numbers alone: of rows, of
 * classes' and groups' sizes. Unshuffled rules give the same rows as its classes; shuffled ones give
 * sets of the same sizes, with orders of our own (`permutation` of the `kfold` operator).
 * Source: `sklearn/model_selection/_split.py`, 1.9.
 */
import { ConfigError } from '../../../driver/index.js';
import { contiguousFold, permutation } from '../../../driver/operators/kfold.js';
import type { RowSplit } from './partition.js';

/** Rows from the first number up to, without it, the second. */
export type RowInterval = readonly [from: number, to: number];

/** A split of rows that are in order. */
export interface OrderedSplit {
  readonly train: readonly RowInterval[];
  readonly test: readonly RowInterval[];
}

/** As `KFold` without shuffling. @throws ConfigError for more folds than rows */
export function orderedFolds(rows: number, folds: number): OrderedSplit[] {
  requireFolds(folds, rows, 'rows');
  const starts = Array.from(
    { length: folds + 1 },
    (_, fold) => fold * Math.floor(rows / folds) + Math.min(fold, rows % folds),
  );
  return starts.slice(0, folds).map((from, fold) => {
    const to = starts[fold + 1]!;
    return { train: filled([0, from], [to, rows]), test: [[from, to]] };
  });
}

export interface TimeSeriesRule {
  readonly folds: number;
  /** Rows of each test set. Default rows / (folds + 1), rounded down. */
  readonly testSize?: number;
  /** Rows left out between training and test rows. Default 0. */
  readonly gap?: number;
  /** Most rows to train on, the latest. Default all before. */
  readonly maxTrainSize?: number;
}

/** As `TimeSeriesSplit`. @throws ConfigError when there are too few rows */
export function timeSeriesSplits(rows: number, rule: TimeSeriesRule): OrderedSplit[] {
  const { folds, gap = 0, maxTrainSize = rows } = rule;
  const testSize = rule.testSize ?? Math.floor(rows / (folds + 1));
  const first = rows - folds * testSize;
  if (testSize < 1 || first - gap <= 0) {
    throw new ConfigError(
      `cv: expected more than ${folds} test sets of ${Math.max(1, testSize)} rows and a gap of ${gap}, got ${rows} rows; take fewer folds, a smaller test_size or gap`,
      { key: 'cv.folds', rows },
    );
  }
  return Array.from({ length: folds }, (_, fold) => {
    const from = first + fold * testSize;
    const end = from - gap;
    return { train: [[Math.max(0, end - maxTrainSize), end]], test: [[from, from + testSize]] };
  });
}

/** Runs of rows that no split cuts, as groups in order, and the splits over them. */
export function groupsOf(
  rows: number,
  splits: readonly OrderedSplit[],
): { readonly runs: readonly number[]; readonly splits: readonly RowSplit[] } {
  const ends = splits.flatMap(({ train, test }) => [...train, ...test].flat());
  const cuts = [...new Set([0, ...ends, rows])].sort((a, b) => a - b);
  const at = new Map(cuts.map((cut, i) => [cut, i]));
  const groups = (intervals: readonly RowInterval[]): number[] =>
    intervals.flatMap(([from, to]) => range(at.get(to)! - at.get(from)!, at.get(from)!));
  return {
    runs: cuts.slice(1).map((cut, i) => cut - cuts[i]!),
    splits: splits.map(({ train, test }) => ({ train: groups(train), test: groups(test) })),
  };
}

/** Splits of only some of the rows, given as if those were all. @param rows in order */
export function amongRows(
  splits: readonly OrderedSplit[],
  rows: readonly RowInterval[],
): OrderedSplit[] {
  const placed = (intervals: readonly RowInterval[]): RowInterval[] =>
    intervals.flatMap(([from, to]) => {
      let before = 0;
      return rows.flatMap(([first, end]) => {
        const start = Math.max(first, first + from - before);
        const stop = Math.min(end, first + to - before);
        before += end - first;
        return filled([start, stop]);
      });
    });
  return splits.map(({ train, test }) => ({ train: placed(train), test: placed(test) }));
}

export function lengthOf(intervals: readonly RowInterval[]): number {
  return intervals.reduce((sum, [from, to]) => sum + to - from, 0);
}

export interface SizeRule {
  /** Rows, or a share of them below 1. */
  readonly testSize?: number;
  readonly trainSize?: number;
}

/** Rows of the test and the training set, as `ShuffleSplit`: 1/10 to test on by default. */
export function shuffleSizes(
  rows: number,
  { testSize, trainSize }: SizeRule,
): { readonly test: number; readonly train: number } {
  const wanted = testSize ?? (trainSize === undefined ? 0.1 : undefined);
  const count = (size: number, round: (x: number) => number): number =>
    size < 1 ? round(size * rows) : size;
  const ownTest = wanted === undefined ? undefined : count(wanted, Math.ceil);
  const ownTrain = trainSize === undefined ? undefined : count(trainSize, Math.floor);
  const test = ownTest ?? rows - ownTrain!;
  const train = ownTrain ?? rows - test;
  if (test < 1 || train < 1 || test + train > rows) {
    throw new ConfigError(
      `cv: expected rows to test and to train on, ${rows} together at most, got ${test} and ${train}; change test_size or train_size`,
      { key: 'cv.test_size', rows },
    );
  }
  return { test, train };
}

/**
 * Rows of each class in each fold, as `StratifiedKFold`: dealt out in turn, class after class.
 * @param counts rows by class
 * @param order the classes, in the order they are dealt in
 * @returns by class, then fold
 */
export function stratifiedSizes(
  counts: readonly number[],
  folds: number,
  order: readonly number[],
): number[][] {
  const sizes = counts.map(() => new Array<number>(folds).fill(0));
  let start = 0;
  for (const one of order) {
    const end = start + counts[one]!;
    // Places from `start` to `end` whose remainder by the folds is the fold's number.
    const below = (place: number, fold: number): number =>
      Math.floor((place + folds - 1 - fold) / folds);
    sizes[one] = range(folds).map((fold) => below(end, fold) - below(start, fold));
    start = end;
  }
  return sizes;
}

/**
 * Rows of each class among some drawn, in proportion: scikit-learn's `_approximate_mode`. Of equal
 * remainders, which classes have one row more is drawn.
 */
export function drawnSizes(counts: readonly number[], drawn: number, seed: number): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const exact = counts.map((count) => (count / total) * drawn);
  const sizes = exact.map(Math.floor);
  let missing = drawn - sizes.reduce((sum, size) => sum + size, 0);
  const remainders = exact.map((size, one) => size - sizes[one]!);
  for (const value of [...new Set(remainders)].sort((a, b) => b - a)) {
    if (missing <= 0) break;
    const tied = remainders.flatMap((remainder, one) => (remainder === value ? [one] : []));
    const place = permutation(tied.length, seed);
    const added = range(tied.length).filter((i) => place(i) < missing);
    for (const i of added) sizes[tied[i]!]!++;
    missing -= added.length;
  }
  return sizes;
}

/** Fold of each group, as `GroupKFold` with shuffling: groups in an order drawn, cut evenly. */
export function shuffledGroups(groups: number, folds: number, seed: number): number[] {
  requireFolds(folds, groups, 'groups');
  const place = permutation(groups, seed);
  return range(groups).map((group) => contiguousFold(place(group), groups, folds));
}

/**
 * Fold of each group, as `StratifiedGroupKFold`: groups with the least even classes first, each to
 * the fold that leaves the classes' shares most even over the folds, of equal ones the smallest.
 * @param counts rows by group, then class
 * @param seed of the order of groups before they are sorted. Default: as they are
 */
export function stratifiedGroups(
  counts: readonly (readonly number[])[],
  folds: number,
  seed?: number,
): number[] {
  requireFolds(folds, counts.length, 'groups');
  const total = counts[0]!.map((_, c) => counts.reduce((sum, group) => sum + group[c]!, 0));
  // A class of no row has no share to even out.
  const present = total.flatMap((rows, c) => (rows > 0 ? [c] : []));
  const ofClass = present.map((c) => total[c]!);
  const classes = present.length;
  const byGroup = counts.map((group) => present.map((c) => group[c]!));
  const order = range(counts.length);
  if (seed !== undefined) {
    const place = permutation(counts.length, seed);
    for (const group of range(counts.length)) order[place(group)] = group;
  }
  const spreads = byGroup.map((group) => deviation(group, pairwise));
  order.sort((a, b) => spreads[b]! - spreads[a]!);
  const held = range(folds).map(() => new Array<number>(classes).fill(0));
  const foldOf = new Array<number>(counts.length).fill(0);
  for (const group of order) {
    const own = byGroup[group]!;
    let [best, least, fewest] = [0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const [fold, rows] of held.entries()) {
      const shares = held.map((some) =>
        some.map((n, c) => (some === rows ? n + own[c]! : n) / ofClass[c]!),
      );
      const unevenness = range(classes).map((c) =>
        deviation(
          shares.map((share) => share[c]!),
          plainSum,
        ),
      );
      const value = pairwise(unevenness) / classes;
      const inFold = pairwise(rows);
      const isTie = Math.abs(value - least) <= 1e-8 + 1e-5 * Math.abs(least) && inFold < fewest;
      if (value < least || isTie) [best, least, fewest] = [fold, value, inFold];
    }
    foldOf[group] = best;
    for (const [c, n] of own.entries()) held[best]![c]! += n;
  }
  return foldOf;
}

/** @throws ConfigError */
export function requireFolds(folds: number, most: number, what: string): void {
  if (folds <= most) return;
  throw new ConfigError(`cv: expected at most ${most} folds for ${most} ${what}, got ${folds}`, {
    key: 'cv.folds',
    value: folds,
  });
}

type Sum = (values: readonly number[]) => number;

/** Population form, rounded as NumPy does, since ties are decided by the last bit. */
function deviation(values: readonly number[], sum: Sum): number {
  const mean = sum(values) / values.length;
  return Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / values.length);
}

function plainSum(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** NumPy's `pairwise_sum` of contiguous numbers. */
function pairwise(values: readonly number[]): number {
  const n = values.length;
  if (n < 8) return plainSum(values);
  if (n > 128) {
    const half = Math.floor(n / 2) - (Math.floor(n / 2) % 8);
    return pairwise(values.slice(0, half)) + pairwise(values.slice(half));
  }
  const sums = values.slice(0, 8);
  const whole = n - (n % 8);
  for (let i = 8; i < whole; i++) sums[i % 8]! += values[i]!;
  const [a, b, c, d, e, f, g, h] = sums as [number, number, number, number, number, number, number, number]; // biome-ignore format: a line
  const total = a + b + (c + d) + (e + f + (g + h));
  return values.slice(whole).reduce((sum, value) => sum + value, total);
}

function filled(...intervals: readonly RowInterval[]): RowInterval[] {
  return intervals.filter(([from, to]) => from < to);
}

function range(length: number, first = 0): number[] {
  return Array.from({ length }, (_, i) => first + i);
}

/**
 * Fold of each group, as `GroupKFold`: the largest group first, each to the lightest fold so far;
 * equal sizes from the last group to the first (it reverses a stable sort), the first of equally
 * light folds.
 * @param counts rows by group
 */
export function balancedGroups(counts: readonly number[], folds: number): number[] {
  const sizes = new Array<number>(folds).fill(0);
  const foldOf = new Array<number>(counts.length).fill(0);
  const order = range(counts.length).sort((a, b) => counts[b]! - counts[a]! || b - a);
  for (const group of order) {
    const lightest = sizes.indexOf(Math.min(...sizes));
    sizes[lightest]! += counts[group]!;
    foldOf[group] = lightest;
  }
  return foldOf;
}
