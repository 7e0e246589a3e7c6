/** Which folds are fitted without a feature, for having no value of it to take a mean of. */
import type { DenseMatrix } from '../../driver/index.js';
import type { Imputation } from '../estimators/linear-design.js';

interface ImputationSetup {
  readonly folds: number;
  readonly groups: number;
  readonly imputations: readonly Imputation[];
  /** Names of the design columns. */
  readonly columns: readonly string[];
}

/** A warning per feature that a fold's training rows all lack. @param gram centred, by group */
export function leftOutWarnings(gram: DenseMatrix, search: ImputationSetup): string[] {
  const { folds, imputations, columns } = search;
  return imputations.flatMap(({ column, indicator }) => {
    const present = presentByGroup(gram, search.groups, indicator);
    const total = present.reduce((sum, rows) => sum + rows, 0);
    const empty = Array.from({ length: folds }, (_, f) => f).filter(
      (f) => total - present[f]! < 0.5,
    );
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
  const side = gram.cols;
  return Array.from({ length: groups }, (_, g) => {
    const base = g * side * side;
    const count = gram.data[base]!;
    return count === 0 ? 0 : Math.round(count * (1 - gram.data[base + (indicator + 1) * side]!));
  });
}
