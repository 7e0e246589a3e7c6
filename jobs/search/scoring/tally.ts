/**
 * What metrics are computed from: sums and orders of what one model says of the rows that one split
 * tests. Invariant: only what a metric says it needs is there.
 */

/** Summed over the rows: a cell each. */
export type SumName =
  | 'squared'
  | 'absolute'
  | 'residual'
  | 'percentage'
  | 'logSquared'
  | 'poisson'
  | 'gamma'
  | 'inertia'
  | 'reconstruction'
  | 'logLoss'
  | 'brier';

export type Measure =
  | SumName
  /** Rows of each class that are predicted to be of it. */
  | 'hits'
  /** Rows that are predicted to be of each class. */
  | 'calls'
  | 'ranks'
  | 'probabilityRanks'
  | 'precisions'
  | 'median'
  | 'greatest'
  | 'targetDeviation'
  /** Compares rows with each other. */
  | 'silhouette';

export type Ranks = (c: number, o: number) => number;

/** One model on the rows that one split tests. */
export interface Tally {
  readonly count: number;
  /** Sum of squared deviations of the target from its mean. */
  readonly targetScatter: number;
  /** Rows of each class; none without classes. */
  readonly classRows: readonly number[];
  readonly sum: (name: SumName) => number;
  /** By class. */
  readonly hits: readonly number[];
  readonly calls: readonly number[];
  /** Pairs of a row of class c and one of o in which that of c is surer of c, ties half. */
  readonly ranks: Ranks;
  /** The same of probabilities. */
  readonly probabilityRanks: Ranks;
  /** Average precision of class c. */
  readonly precision: (c: number) => number;
  /** Of absolute errors. */
  readonly median: number;
  readonly greatest: number;
  /** Sum of absolute deviations of the target from its median. */
  readonly targetDeviation: number;
  /** Mean silhouette coefficient. */
  readonly silhouette: number;
  /** Of metrics in SQL, by their names. */
  readonly formulas: Readonly<Record<string, number>>;
  /** Says that a score stands for want of a better. */
  readonly note: (text: string) => void;
}

/** What nothing was measured of. */
export const emptyTally: Omit<Tally, 'count' | 'targetScatter'> = {
  classRows: [],
  sum: () => Number.NaN,
  hits: [],
  calls: [],
  ranks: () => Number.NaN,
  probabilityRanks: () => Number.NaN,
  precision: () => Number.NaN,
  median: Number.NaN,
  greatest: Number.NaN,
  targetDeviation: Number.NaN,
  silhouette: Number.NaN,
  formulas: {},
  note: () => undefined,
};
