/**
 * What a search is asked for, and the same made ready: candidates checked, rows split, and of each
 * partition what its fits read. Invariant: nothing is computed.
 */
import {
  type Attrs,
  type ClassValue,
  ConfigError,
  type Expr,
  Matrix,
  ops,
  type Run,
  zeros,
} from '../../driver/index.js';
import type { Estimator, Params } from '../estimators/estimator.js';
import { type Imputation, linearDesign, type TrainingRows } from '../estimators/linear-design.js';
import { type Candidate, candidatesOf, type Grid } from './candidates.js';
import { chooseFit, fitShape } from './choose-fit.js';
import { byClassNumber } from './class-params.js';
import { checkMetrics } from './scoring/check-metrics.js';
import type { FormulaEngine } from './scoring/formulas.js';
import { defaultMetric } from './scoring/metrics.js';
import { type Scorer, type Scoring, scorerOf } from './scoring/scorers.js';
import type { ScoreOutput } from './scoring/tallies.js';
import { allPartitions, type NestedSplits } from './splits/nested-splits.js';
import {
  type CrossValidation,
  type Partition,
  resolveSplits,
  type Splits,
} from './splits/partition.js';
import type { WaveLog } from './wave-log.js';
import type { BestSoFar } from './wave-result.js';

export interface GridSearchOptions {
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
  readonly estimator: Estimator;
  /** Parameters that all candidates have. Default: the estimator's own defaults. */
  readonly params?: Params;
  /** Values to try by parameter: a candidate for each combination. None: one candidate. */
  readonly grid: Grid;
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
  /** Mean imputation, fitted on the training rows; indicator columns are left out of the design. */
  readonly imputations?: readonly Imputation[];
  /** Also say how the best candidate tells classes apart, which takes one more pass. */
  readonly reportClasses?: boolean;
  readonly onPhase?: (phase: 'gram' | 'fit' | 'score' | 'refit') => void;
  /** Where waves of candidates are kept, and those that are. Default: nowhere. */
  readonly waves?: WaveLog;
  /** Told of each wave once it is kept. */
  readonly onTrials?: (done: TrialsDone) => void;
  /** Failed candidates after which a search stops before the next wave. Default: it goes on. */
  readonly maxFailures?: number;
  /** Aborted, it ends with the waves that are done, if there are any, and not with an error. */
  readonly signal?: AbortSignal;
  /** Told the nodes the answer is read from, so that a replay can ask for them. */
  readonly onOutput?: (name: SearchOutput, expr: Expr, scores?: ScoreOutput) => void;
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

export interface Search {
  readonly X: Matrix;
  readonly y: Matrix;
  /** Absent where all rows count alike. */
  readonly weight?: Matrix;
  readonly classes: readonly ClassValue[];
  /** What fits: as was asked for, or the same by rows. */
  readonly estimator: Estimator;
  readonly candidates: readonly Candidate[];
  readonly scoring: readonly Scorer[];
  /** Of the search itself, whose partitions are the first. */
  readonly splits: Splits;
  readonly parts: readonly SearchPart[];
  /** Splits over all partitions, nested ones too. */
  readonly folds: number;
  readonly columns: readonly string[];
  /** Which of them are imputed. */
  readonly imputed: readonly number[];
}

/** What a search knows of one partition. */
export interface SearchPart {
  readonly partition: Partition;
  /** Moments by group with the target last: of all columns, or of the target where that will do. */
  readonly counted: Matrix;
  /** What else is computed in the same pass. */
  readonly alongside: readonly Matrix[];
  /** The number of its first split among those of all partitions. */
  readonly first: number;
  /** The rows of a fit, but for which groups of them it trains on. */
  readonly training: Omit<TrainingRows, 'train'>;
}

/** @throws ConfigError for parameters, metrics or folds out of range */
export function prepare(session: Run, options: GridSearchOptions): Search {
  const { X, classes = [] } = options;
  const { estimator: asked } = options;
  const y = options.y ?? zeros(session, X.rows, 1, { dtype: X.dtype });
  const candidates = candidatesOf(asked, options.params ?? {}, options.grid);
  const standardize = options.standardize ?? false;
  const scoring = (options.scoring ?? [defaultMetric(asked.task)]).map(scorerOf);
  const imputations = options.imputations ?? [];
  if (asked.task === 'classification' && classes.length < 2) {
    throw new ConfigError(
      `classes: expected at least two for ${asked.name}, got ${classes.length}`,
      { key: 'data.target' },
    );
  }
  for (const { all } of candidates) {
    byClassNumber(all, classes);
    asked.nonnegative?.(all, X.cols);
  }
  checkMetrics(scoring, asked, candidates[0]!.all, classes.length);
  const splits = resolveSplits(session, X.rows, options.cv);
  const partitions = allPartitions(splits, options.nested);
  const { estimator, isByRows } = chooseFit(
    asked,
    candidates.map(({ all }) => all),
    fitShape(X, partitions, candidates.length),
  );
  const readsMoments = estimator.reads === 'moments';
  const centered =
    !readsMoments ||
    candidates.some(({ all }) => estimator.centers(all)) ||
    standardize ||
    scoring.some(({ name }) => name === 'r2') ||
    imputations.length > 0;
  const { design, kept } = linearDesign(session, X.cols, imputations, readsMoments || isByRows);
  const names = options.columns ?? kept.map((column) => `x${column}`);
  const { weight } = options;
  let folds = 0;
  const parts = partitions.map((partition): SearchPart => {
    const { groupOf, groups } = partition;
    const moments = (operands: readonly Matrix[], attrs: Attrs = {}): Matrix => {
      const inputs = [groupOf, ...operands].map(({ expr }) => expr);
      const all = { groups, center: centered, ...attrs };
      return Matrix.of(session, session.intern(ops.groupGram, inputs, all));
    };
    const first = folds;
    folds += partition.splits.length;
    const shared = { groups, centered, standardize, design };
    if (isByRows) {
      const columns = (weights: readonly Matrix[]): Matrix => {
        const inputs = [groupOf, X, ...weights].map(({ expr }) => expr);
        const attrs = { groups, ...(weights.length > 0 ? { weighted: true } : {}) };
        return Matrix.of(session, session.intern(ops.columnMoments, inputs, attrs));
      };
      const all = columns([]);
      const ofColumns = { all, ...(weight ? { weighted: columns([weight]) } : {}) };
      const gram = moments([y]);
      const weighted = weight && { weighted: moments([y, weight], { weighted: true }) };
      return {
        partition,
        counted: gram,
        alongside: Object.values(ofColumns),
        first,
        training: { ...shared, gram, ...weighted, columns: ofColumns },
      };
    }
    const gram = moments([X, y]);
    const weighted = weight && moments([X, y, weight], { weighted: true });
    return {
      partition,
      counted: readsMoments || imputations.length > 0 ? gram : moments([y]),
      alongside: [],
      first,
      training: { ...shared, gram, ...(weighted ? { weighted } : {}) },
    };
  });
  return {
    X,
    y,
    ...(weight ? { weight } : {}),
    classes,
    estimator,
    candidates,
    scoring,
    splits,
    parts,
    folds,
    columns: names,
    imputed: imputations.map(({ column }) => kept.indexOf(column)),
  };
}
