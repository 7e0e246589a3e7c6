/** What a search answers: the table of trials, the best one, and the model refitted on all rows. */
import type { Params } from '../estimators/estimator.js';
import type { LinearModel } from '../estimators/model.js';
import type { NestedResult } from './nested.js';
import type { ClassReport } from './scoring/class-curves.js';
import type { RungBudget } from './strategies/strategy.js';

/** One candidate of the search space, scored on every split. */
export interface TrialResult {
  /** The name of its model; absent where there is one. */
  readonly model?: string;
  /** Where results decide what is tried next: the rung, from 0. */
  readonly rung?: number;
  /** Of several rounds of rungs, which one, from 0. */
  readonly bracket?: number;
  /** What its fits could take; absent: all there is. */
  readonly budget?: RungBudget;
  /** Those that are searched; empty when nothing is. */
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
  /** Names of the models; absent where there is one. */
  readonly models?: readonly string[];
  /** Of all models. */
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
  /** Whose sum `model` is; absent where none was asked for, or none could be made. */
  readonly ensemble?: EnsembleResult;
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
  /** Trials in all. */
  readonly of: number;
  /** Numbers of those that the trials are. */
  readonly candidates: readonly number[];
  /** `it was stopped`, .. */
  readonly why: string;
}

/** What people know the candidate of a trial by. */
export function calledIn({ model, params }: TrialResult): Pick<TrialResult, 'model' | 'params'> {
  return { ...(model === undefined ? {} : { model }), params };
}

/** Of the best candidates, weights with which the sum of their decision values scores best. */
export interface EnsembleResult {
  readonly members: readonly (Pick<TrialResult, 'model' | 'params'> & {
    /** Index into `trials`. */
    readonly trial: number;
  })[];
  /** What of members is added up: probabilities, votes, or decision values. */
  readonly voting: 'soft' | 'hard' | 'decision';
  /** By member. */
  readonly weights: readonly number[];
  /** Weights that were tried. */
  readonly tried: number;
  readonly splitScores: TrialResult['splitScores'];
  readonly meanScore: TrialResult['meanScore'];
  readonly stdScore: TrialResult['stdScore'];
}

/** The best candidate, if there is one. Runs of earlier versions named one that had no score. */
export function bestTrial(search: SearchResult): TrialResult | undefined {
  const best = search.bestIndex === null ? undefined : search.trials[search.bestIndex];
  return Number.isFinite(best?.meanScore[search.refit]) ? best : undefined;
}

/** A column that only searches by rungs have. */
export interface RungColumn {
  readonly label: string;
  /** As `cv_results_` of scikit-learn's halving searches has it. */
  readonly name: string;
  readonly value: (trial: TrialResult) => number | undefined;
}

const RUNG_COLUMNS: readonly RungColumn[] = [
  { label: 'rung', name: 'iter', value: ({ rung }) => rung },
  { label: 'rows', name: 'n_resources', value: ({ budget }) => budget?.rows },
  { label: 'iterations', name: 'n_resources', value: ({ budget }) => budget?.iterations },
  { label: 'bracket', name: 'bracket', value: ({ bracket }) => bracket },
];

/** Those of them that any trial has something in. */
export function rungColumns({ trials }: Pick<SearchResult, 'trials'>): RungColumn[] {
  return RUNG_COLUMNS.filter(({ value }) => trials.some((trial) => value(trial) !== undefined));
}

/** What a trial could take: of rows or iterations, all there is where nothing is said. */
export function resourcesOf({ budget }: TrialResult): number {
  return budget?.rows ?? budget?.iterations ?? Number.POSITIVE_INFINITY;
}
