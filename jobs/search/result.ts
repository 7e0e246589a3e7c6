/** What a search answers: the table of trials, the best one, and the model refitted on all rows. */
import type { Params } from '../estimators/estimator.js';
import type { LinearModel } from '../estimators/model.js';
import type { NestedResult } from './nested.js';
import type { ClassReport } from './scoring/class-curves.js';

/** One candidate of the search space, scored on every split. */
export interface TrialResult {
  /** Of the grid; empty when nothing is searched. */
  readonly params: Params;
  /** Score by metric and fold; greater is better, as scikit-learn has it; or `error_score`. */
  readonly splitScores: Readonly<Record<string, readonly number[]>>;
  readonly meanScore: Readonly<Record<string, number>>;
  /** Population standard deviation over the folds, as in `cv_results_`. */
  readonly stdScore: Readonly<Record<string, number>>;
  /** 1 is best; ties share the lowest rank, as in `cv_results_`. */
  readonly rank: Readonly<Record<string, number>>;
  /** Why a fit failed, by fold; absent when none did. */
  readonly errors?: Readonly<Record<number, string>>;
}

export interface SearchResult {
  readonly paramNames: readonly string[];
  readonly metrics: readonly string[];
  /** The metric the best trial is chosen by. */
  readonly refit: string;
  /** Splits, over all partitions. */
  readonly folds: number;
  /** Groups that each split tests, by partition; absent for one partition tested fold by fold. */
  readonly tests?: readonly (readonly (readonly number[])[])[];
  readonly rows: number;
  readonly columns: number;
  readonly trials: readonly TrialResult[];
  /** Why these are not all candidates, or none was fitted on all rows; absent in a whole search. */
  readonly partial?: PartialSearch;
  /** Index into `trials`; null when no candidate has a finite score to be chosen by. */
  readonly bestIndex: number | null;
  /** Null when refitting was switched off, or there is no best candidate. */
  readonly model: LinearModel | null;
  /** How well the search does on rows it has not seen; absent without outer splits. */
  readonly nested?: NestedResult;
  /** How the best candidate tells classes apart on held-out rows. */
  readonly classReport?: ClassReport;
  /** What the user should know of the scores and fits. Absent in runs of earlier versions. */
  readonly warnings?: readonly string[];
}

export interface PartialSearch {
  /** Candidates in all. */
  readonly of: number;
  /** Numbers of those that the trials are. */
  readonly candidates: readonly number[];
  /** `it was stopped`, .. */
  readonly why: string;
}

/** The best candidate, if there is one. Runs of earlier versions named one that had no score. */
export function bestTrial(search: SearchResult): TrialResult | undefined {
  const best = search.bestIndex === null ? undefined : search.trials[search.bestIndex];
  return Number.isFinite(best?.meanScore[search.refit]) ? best : undefined;
}
