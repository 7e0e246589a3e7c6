/**
 * What a search is asked for, and the same made ready: rows split, metrics known. Invariant: nothing
 * is computed.
 */
import {
  type ClassValue,
  ConfigError,
  type Expr,
  type Matrix,
  type Run,
  zeros,
} from '../../driver/index.js';
import type { Estimator, Params } from '../estimators/estimator.js';
import type { Imputation } from '../estimators/linear-design.js';
import type { StepDocument } from '../prepare/chosen-steps.js';
import type { Candidate, Grid, SearchModel } from './candidates.js';
import { byClassNumber } from './class-params.js';
import { checkEnsemble, type EnsembleOptions } from './composition.js';
import { checkMetrics } from './scoring/check-metrics.js';
import type { FormulaEngine } from './scoring/formulas.js';
import { defaultMetric } from './scoring/metrics.js';
import { type Scorer, type Scoring, scorerOf } from './scoring/scorers.js';
import type { ScoreOutput } from './scoring/tallies.js';
import { allPartitions, type NestedSplits } from './splits/nested-splits.js';
import {
  type CrossValidation,
  resolveSplits,
  type Splits,
  splitCount,
} from './splits/partition.js';
import type { SearchFacts, Strategy } from './strategies/strategy.js';
import type { WaveLog } from './wave-log.js';
import type { BestSoFar } from './wave-result.js';

export interface SearchOptions {
  /** Encoded columns: [n, d]. */
  readonly X: Matrix;
  /** Numbers, or numbers of classes from 0: [n, 1]. Absent: estimators without a target. */
  readonly y?: Matrix;
  /** The target's values by class number; none for a target of numbers. */
  readonly classes?: readonly ClassValue[];
  /** Weights of the rows in fits, from 0: [n, 1]. Scores count all rows alike. Default: alike. */
  readonly weight?: Matrix;
  readonly cv: CrossValidation;
  /** Splits to do the whole search again on, to score what it finds. Default: none. */
  readonly nested?: NestedSplits;
  /** What is fitted: models of one task, each of its own name. */
  readonly models: readonly SearchModel[];
  /** Which candidates are tried, rung by rung. */
  readonly strategy: (facts: SearchFacts) => Strategy;
  /** Scale columns by their training mean and deviation. Default false. */
  readonly standardize?: boolean;
  /** scikit-learn's scorer names. Default: that of the estimator's `score` there. */
  readonly scoring?: readonly Scoring[];
  /** Computes metrics in SQL. */
  readonly formulas?: FormulaEngine;
  /** Metric to choose the best trial by. Default: the first of `scoring`. */
  readonly metric?: string;
  /** Fit the best trial on all rows at the end. Default true. */
  readonly refit?: boolean;
  /** Score of a fit that fails, or `raise`. Default NaN. */
  readonly errorScore?: number | 'raise';
  /** Names of the design columns. Default x0, x1, .. */
  readonly columns?: readonly string[];
  /** Names of the features that columns are of, which begin their names. Default: the columns'. */
  readonly features?: readonly string[];
  /**
   * The feature of each column that is 1 for rows of one category, by the columns' names. Default:
   * what they have before `=`.
   */
  readonly categories?: ReadonlyMap<string, string>;
  /** Design columns; of all others at most one is not zero in a row, as of one category. */
  readonly border?: readonly number[];
  /** Mean imputation, fitted on the training rows; indicator columns are left out of the design. */
  readonly imputations?: readonly Imputation[];
  /** Columns of X whose cells may be NaN, which steps then have to fill. Default: none. */
  readonly missing?: readonly number[];
  /** Also say how the best candidate tells classes apart, which takes one more pass. */
  readonly reportClasses?: boolean;
  readonly onPhase?: (phase: 'gram' | 'fit' | 'score' | 'refit') => void;
  /** Where waves of candidates are kept, and those that are. Default: nowhere. */
  readonly waves?: WaveLog;
  /** Told of each wave once it is kept. */
  readonly onTrials?: (done: TrialsDone) => void;
  /** Of the best candidates, make one model at the end: their weighted sum. Default: the best alone. */
  readonly ensemble?: EnsembleOptions;
  /** Failed candidates after which a search stops before the next wave. Default: it goes on. */
  readonly maxFailures?: number;
  /** Time after which a search stops before the next wave. Default: none. @units seconds */
  readonly maxSeconds?: number;
  /** Aborted, it ends with the waves that are done, if there are any, and not with an error. */
  readonly signal?: AbortSignal;
  /** Told the nodes the answer is read from, so that a replay can ask for them. */
  readonly onOutput?: (name: SearchOutput, expr: Expr, scores?: ScoreOutput) => void;
}

/** A search of one model by a grid. */
export interface GridSearchOptions extends Omit<SearchOptions, 'models' | 'strategy'> {
  readonly estimator: Estimator;
  /** Parameters that all candidates have. Default: the estimator's own defaults. */
  readonly params?: Params;
  /** Cleaning steps, in order; the grid may have their parameters. Default: none. */
  readonly prepare?: readonly StepDocument[];
  /** Values to try by parameter: a candidate for each combination. None: one candidate. */
  readonly grid: Grid;
}

/** How far a search is. */
export interface TrialsDone {
  readonly done: number;
  readonly of: number;
  /** The best so far; null while no candidate has a finite score. */
  readonly best: BestSoFar | null;
}

/** Nodes by group and of measures, and what the refitted model is made of. */
export type SearchOutput = string & {};

/** The name of a partition's output: the first one's has no number. */
export function partOutput(name: string, part: number): string {
  return part === 0 ? name : `${name} ${part + 1}`;
}

/** What all candidates of a search have in common. */
export interface Search {
  readonly X: Matrix;
  readonly y: Matrix;
  readonly hasTarget: boolean;
  /** Absent where all rows count alike. */
  readonly weight?: Matrix;
  readonly classes: readonly ClassValue[];
  readonly scoring: readonly Scorer[];
  /** Of the search itself. */
  readonly splits: Splits;
  /** Those of `splits`, then nested ones. */
  readonly partitions: Splits;
  /** Splits over all partitions. */
  readonly folds: number;
  readonly standardize: boolean;
  readonly border: readonly number[];
  readonly imputations: readonly Imputation[];
  readonly missing: readonly number[];
  /** Trials train and are scored together; else each fit is made by itself. */
  readonly together: boolean;
  /** There are several models. */
  readonly namesModels: boolean;
  /** Names of the design columns, where they have some. */
  readonly names: readonly string[] | undefined;
  readonly categories: ReadonlyMap<string, string> | undefined;
}

/** @throws ConfigError for folds out of range */
export function prepare(session: Run, options: SearchOptions): Search {
  const { X, classes = [], weight, models } = options;
  const splits = resolveSplits(session, X.rows, options.cv);
  const partitions = allPartitions(splits, options.nested);
  return {
    X,
    y: options.y ?? zeros(session, X.rows, 1, { dtype: X.dtype }),
    hasTarget: options.y !== undefined,
    ...(weight ? { weight } : {}),
    classes,
    scoring: (options.scoring ?? [defaultMetric(models[0]!.estimator.task)]).map(scorerOf),
    splits,
    partitions,
    folds: splitCount(partitions),
    standardize: options.standardize ?? false,
    border: options.border ?? [],
    imputations: options.imputations ?? [],
    missing: options.missing ?? [],
    together: session.reuse.together,
    namesModels: models.length > 1,
    names: options.columns,
    categories: options.categories,
  };
}

function checkCandidates({ classes, scoring }: Search, candidates: readonly Candidate[]): void {
  for (const { model, all } of candidates) {
    const { estimator } = model;
    if (estimator.task === 'classification' && classes.length < 2) {
      throw new ConfigError(
        `classes: expected at least two for ${estimator.name}, got ${classes.length}`,
        { key: 'data.target' },
      );
    }
    byClassNumber(all, classes, estimator);
    checkMetrics(scoring, estimator, all, classes.length);
  }
}

/**
 * The strategy of a search, with candidates that are right whenever they are tried.
 * @throws ConfigError for parameters or metrics that the data do not allow, or that do not go together
 */
export function strategyOf(
  search: Search,
  { strategy, models, features, nested, ensemble }: SearchOptions,
): Strategy {
  const { X, splits, classes } = search;
  const facts = {
    ...{ models, rows: X.rows, splits: splitCount(splits), classes: classes.length },
    features: features ?? search.names ?? Array.from({ length: X.cols }, (_, j) => `x${j}`),
  };
  const made = strategy(facts);
  const candidates = made.candidates ?? made.next([])?.candidates ?? [];
  checkCandidates(search, candidates);
  if (ensemble) checkEnsemble(search, candidates, ensemble, nested !== undefined);
  if (nested === undefined || made.outline.length === 1) return made;
  throw new ConfigError(
    `search: expected candidates that do not depend on results together with nested splits, got ${made.outline.length} rungs; leave the outer splits out, or search by grid or random`,
    { key: 'cv.outer' },
  );
}
