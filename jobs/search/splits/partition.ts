/**
 * How rows are split for scoring. Rows fall into groups, and a split says which groups train and
 * which test, so that moments of any split are sums over groups and cost no pass of their own.
 * K-fold is one partition, each repeat of it another. Invariant: in one partition every group is
 * tested by at most one split.
 */
import {
  ConfigError,
  DataError,
  type DenseMatrix,
  Matrix,
  matrix,
  ops,
  type Run,
} from '../../../driver/index.js';

export interface RowSplit {
  /** Groups to fit on, ascending. */
  readonly train: readonly number[];
  /** Groups to score on, ascending. */
  readonly test: readonly number[];
}

export interface Partition {
  /** The group of each row, from 0; `groups` for a row that neither trains nor tests: [n, 1]. */
  readonly groupOf: Matrix;
  readonly groups: number;
  readonly splits: readonly RowSplit[];
}

export type Splits = readonly Partition[];

/** scikit-learn's KFold rule, shuffled or not. */
export interface KFoldRule {
  readonly folds: number;
  readonly shuffle?: boolean;
  readonly seed?: number;
}

/** How rows are split: by a rule, or as the splits say. */
export type CrossValidation = KFoldRule | Splits;

/** @throws ConfigError for fewer than 2 folds, or more than rows */
export function resolveSplits(run: Run, rows: number, cv: CrossValidation): Splits {
  if (!('folds' in cv)) return cv;
  const { folds, shuffle = false, seed = 0 } = cv;
  if (!(Number.isInteger(folds) && folds >= 2 && folds <= rows)) {
    throw new ConfigError(
      `folds: expected a whole number from 2 to the number of rows (${rows}), got ${folds}`,
      { key: 'cv.folds', value: folds },
    );
  }
  const attrs = { rows, folds, shuffle, seed: shuffle ? seed : 0 };
  return [foldPartition(Matrix.of(run, run.intern(ops.kfold, [], attrs)), folds)];
}

/**
 * Every fold is tested once, on models of all other rows.
 * @param groups one more than `folds` where some rows always train
 */
export function foldPartition(groupOf: Matrix, folds: number, groups: number = folds): Partition {
  // Lists of groups are made when asked for: with many folds they are long.
  const split = (fold: number): RowSplit => ({
    get train() {
      return Array.from({ length: groups - 1 }, (_, i) => (i < fold ? i : i + 1));
    },
    test: [fold],
  });
  return { groupOf, groups, splits: Array.from({ length: folds }, (_, fold) => split(fold)) };
}

/** Splits over all partitions. */
export function splitCount(splits: Splits): number {
  return splits.reduce((sum, partition) => sum + partition.splits.length, 0);
}

/** Groups by partition that each split tests, as a run's record keeps them. */
export function testsOf(splits: Splits): readonly (readonly (readonly number[])[])[] {
  return splits.map((partition) => partition.splits.map(({ test }) => test));
}

/** The split that tests each group; the number of splits for a group that none tests. */
function testedBy({ groups, splits }: Partition): number[] {
  const by = new Array<number>(groups).fill(splits.length);
  for (const [split, { test }] of splits.entries()) for (const group of test) by[group] = split;
  return by;
}

/** Whether split s tests group s, so that values by group are values by split. */
export function isAligned({ splits }: Partition): boolean {
  return splits.every(({ test }, s) => test.length === 1 && test[0] === s);
}

/** The split that tests each row; a row that none tests has any number from `splits` on. [n, 1] */
export function splitOf(partition: Partition): Matrix {
  const { groupOf } = partition;
  if (isAligned(partition)) return groupOf;
  const { session } = groupOf;
  // Rows of no group have the number after the last.
  const by = [...testedBy(partition), partition.splits.length];
  const table = matrix(session, by.length, 1, Float64Array.from(by));
  return Matrix.of(session, session.intern(ops.takeRows, [groupOf.expr, table.expr]));
}

/**
 * Moments of the rows that each split tests, of no use past the splits' own blocks.
 * @shape gram: [groups * side, side], from `groupGram` -> [at least splits * side, side]
 */
export function testGram(partition: Partition, gram: Matrix, centered: boolean): Matrix {
  if (isAligned(partition)) return gram;
  const { session, cols: side } = gram;
  const parts = [{ groups: testedBy(partition), columns: null }];
  const attrs = { groups: partition.splits.length + 1, side, center: centered, parts };
  return Matrix.of(session, session.intern(ops.mergeGroupGram, [gram.expr], attrs));
}

/** What scores need of a test set's rows besides the losses. */
export interface TestScatter {
  readonly count: number;
  /** Sum of squared deviations of the target from its mean. */
  readonly targetScatter: number;
}

/**
 * Rows and target scatter of each test set, from the moments of its groups.
 * @param first number of the first split among all, for messages
 * @throws DataError if a split has no rows to test on, or none besides
 */
export function testScatters(
  gram: DenseMatrix,
  tests: readonly (readonly number[])[],
  centered: boolean,
  first = 0,
): TestScatter[] {
  const side = gram.cols;
  const groups = gram.rows / side;
  const countOf = (group: number): number => gram.data[group * side * side]!;
  const total = Array.from({ length: groups }, (_, g) => countOf(g)).reduce((a, b) => a + b, 0);
  return tests.map((test, s) => {
    const count = test.reduce((sum, group) => sum + countOf(group), 0);
    if (count === 0 || count === total) {
      throw new DataError(
        `cv: expected test and training rows in every fold, got ${count} of ${total} rows in test fold ${first + s}`,
        { key: 'cv', fold: first + s },
      );
    }
    return { count, targetScatter: scatterOf(gram, test, centered) };
  });
}

/** Scatter of the target, in the last column, over groups: merged as `jobs/estimators/moments.ts`. */
function scatterOf(
  { cols: side, data }: DenseMatrix,
  groups: readonly number[],
  centered: boolean,
) {
  let [n, mean, scatter] = [0, 0, 0];
  for (const group of groups) {
    const base = group * side * side;
    const own = data[base]!;
    if (own === 0) continue;
    const corner = data[base + side * side - 1]!;
    const sum = data[base + side - 1]!;
    const ownMean = centered ? sum : sum / own;
    const delta = ownMean - mean;
    scatter += centered ? corner : corner - (sum * sum) / own;
    scatter += (delta * delta * n * own) / (n + own);
    mean += (delta * own) / (n + own);
    n += own;
  }
  return scatter;
}
