/**
 * Nested samples of rows for fits that are to see a part of the data. Each row has a rank, a keyed
 * bijection of its number, and a sample is the rows of the least ranks, so that samples have exact
 * sizes and each holds the smaller ones. Groups of a partition are cut by the samples, so moments of
 * every split on every sample are sums over groups of one pass. Tests are whole: scores of all
 * samples are on the same rows.
 */
import { type Evaluator, Matrix, ops, selectRows } from '../../../driver/index.js';
import type { Partition, Splits } from './partition.js';

/** Sizes of samples of which a search makes use, and the seed by which rows are drawn. */
export interface RowSamples {
  /** Ascending, each once, at most the rows of the data. */
  readonly sizes: readonly number[];
  readonly seed: number;
}

/** The rank of each row, from 0: [rows, 1]. */
function ranks(session: Evaluator, rows: number, seed: number): Matrix {
  const attrs = { rows, folds: rows, shuffle: true, seed };
  return Matrix.of(session, session.intern(ops.kfold, [], attrs));
}

/** The same partitions, whose splits train on the rows of a sample: those of all samples share groups. */
export function onSample(
  session: Evaluator,
  partitions: Splits,
  { sizes, seed }: RowSamples,
  size: number,
): Splits {
  const rows = partitions[0]!.groupOf.rows;
  const parts = sizes.filter((one) => one < rows);
  if (parts.length === 0) return partitions;
  const rank = ranks(session, rows, seed);
  const levels = parts.length + 1;
  // The number of samples that a row is not in.
  const levelOf = parts.map((one) => rank.ge(one)).reduce((sum, one) => sum.add(one));
  const seen = parts.filter((one) => one <= size).length + (size >= rows ? 1 : 0);
  return partitions.map((partition): Partition => {
    const { groupOf, groups, splits } = partition;
    const cell = groupOf.mul(levels).add(levelOf);
    const cut = (some: readonly number[], upTo: number): number[] =>
      some.flatMap((group) => Array.from({ length: upTo }, (_, level) => group * levels + level));
    return {
      groupOf: groupOf.lt(groups).ifelse(cell, groups * levels),
      groups: groups * levels,
      splits: splits.map((split) => ({
        get train() {
          return cut(split.train, seen);
        },
        get test() {
          return cut(split.test, levels);
        },
      })),
    };
  });
}

/** The rows of a sample, in their order; all of them where it is no less than the data. */
export function sampleOf(
  session: Evaluator,
  { seed }: RowSamples,
  size: number,
): (columns: Matrix) => Matrix {
  return (columns) => {
    const { rows } = columns;
    return size >= rows ? columns : selectRows(columns, ranks(session, rows, seed).lt(size), size);
  };
}
