/** Which folds are fitted without a feature, for having no value of it to take a mean of. */
import type { DenseMatrix } from '../../driver/index.js';
import type { Imputation } from '../estimators/linear-design.js';
import type { Splits } from './splits/partition.js';

interface ImputationSetup {
  readonly splits: Splits;
  readonly imputations: readonly Imputation[];
  /** Names of the design columns. */
  readonly columns: readonly string[];
}

/**
 * A warning per feature that a fold's training rows all lack.
 * @param grams by partition: centred, or the moments of columns by themselves, by group
 */
export function leftOutWarnings(grams: readonly DenseMatrix[], search: ImputationSetup): string[] {
  const { splits, imputations, columns } = search;
  return imputations.flatMap(({ column, indicator }) => {
    const trained = splits.flatMap((partition, p) => {
      const present = presentByGroup(grams[p]!, partition.groups, indicator);
      return partition.splits.map(({ train }) =>
        train.reduce((sum, group) => sum + present[group]!, 0),
      );
    });
    const empty = trained.flatMap((rows, fold) => (rows < 0.5 ? [fold] : []));
    if (empty.length === 0) return [];
    const before = imputations.filter((other) => other.indicator < column).length;
    const which = empty.length === 1 ? `fold ${empty[0]} is` : `folds ${empty.join(', ')} are`;
    return [
      `feature ${columns[column - before]}: ${which} fitted without it: expected values to take the mean of, got none in the training rows; shuffle the folds, or say impute: zero or a number`,
    ];
  });
}

/** Rows of each group that have a value. */
function presentByGroup(gram: DenseMatrix, groups: number, indicator: number): number[] {
  const { rows, cols, data } = gram;
  const side = rows / groups;
  return Array.from({ length: groups }, (_, g) => {
    const base = g * side * cols;
    const count = data[base]!;
    // A Gram matrix has the means in its first column, moments of columns in the second row.
    const mean = data[side === cols ? base + (indicator + 1) * cols : base + cols + indicator]!;
    return count === 0 ? 0 : Math.round(count * (1 - mean));
  });
}
