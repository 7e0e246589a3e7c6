/**
 * Grid search with cross-validation for any estimator that reads moments. Every (candidate, fold)
 * is written as if alone; because expressions are interned, all of them share one grouped Gram
 * matrix, the only pass over the data there is unless losses have to be summed row by row (see
 * `losses.ts`), however many there are. Refitting needs no pass.
 */
import {
  type ClassValue,
  ConfigError,
  converted,
  DataError,
  type DenseMatrix,
  type Expr,
  fill,
  Matrix,
  matrix,
  ops,
  RepriseError,
  type Run,
} from '../../driver/index.js';
import type {
  Estimator,
  Fit,
  FitOutputs,
  MomentEstimator,
  Params,
} from '../estimators/estimator.js';
import { type Imputation, linearDesign, type TrainingRows } from '../estimators/linear-design.js';
import { type LinearModel, storedModel } from '../estimators/model.js';
import { type Candidate, candidatesOf, type Grid } from './candidates.js';
import { endingWarnings } from './endings.js';
import { leftOutWarnings } from './left-out.js';
import { heldOutLosses, lossNode } from './losses.js';
import type { SearchResult } from './result.js';
import { type FoldLosses, METRICS, type Metric, tabulate } from './scoring.js';
import { findBest, scoreWarnings } from './unscored.js';

/** How rows are split: by scikit-learn's KFold rule (shuffled or not), or given row by row. */
export type CrossValidation =
  | { readonly folds: number; readonly shuffle?: boolean; readonly seed?: number }
  /**
   * `assignment`: n x 1, the fold of each row; rows with `folds` in them are always training rows.
   * `groups`: `folds` where there are none of these. Default folds + 1.
   */
  | { readonly folds: number; readonly assignment: Matrix; readonly groups?: number };

export interface GridSearchOptions {
  /** Encoded columns: [n, d]. */
  readonly X: Matrix;
  /** Numbers, or numbers of classes from 0: [n, 1]. Absent: estimators without a target. */
  readonly y?: Matrix;
  /** The target's values by class number; none for a target of numbers. */
  readonly classes?: readonly ClassValue[];
  readonly cv: CrossValidation;
  readonly estimator: Estimator;
  /** Parameters that all candidates have. Default: the estimator's own defaults. */
  readonly params?: Params;
  /** Values to try by parameter: a candidate for each combination. None: one candidate. */
  readonly grid: Grid;
  /** Scale columns by their training mean and deviation. Default false. */
  readonly standardize?: boolean;
  /** scikit-learn's scorer names. Default r2. */
  readonly scoring?: readonly Metric[];
  /** Metric to choose the best trial by. Default: the first of `scoring`. */
  readonly metric?: Metric;
  /** Fit the best trial on all rows at the end. Default true. */
  readonly refit?: boolean;
  /** Score of a fit that fails, or `raise`. Default NaN. */
  readonly errorScore?: number | 'raise';
  /** Names of the design columns. Default x0, x1, .. */
  readonly columns?: readonly string[];
  /** Mean imputation, fitted on the training rows; indicator columns are left out of the design. */
  readonly imputations?: readonly Imputation[];
  readonly onPhase?: (phase: 'gram' | 'fit' | 'score' | 'refit') => void;
  /** Told the nodes the answer is read from, so that a replay can ask for them. */
  readonly onOutput?: (name: SearchOutput, expr: Expr) => void;
}

/** Gram matrices by fold, summed losses, and what the refitted model is made of. */
export type SearchOutput = 'gram' | 'losses' | keyof FitOutputs;

/**
 * Scores every candidate on every fold and refits the best.
 * @shape X: [n, d], y: [n, 1]
 * @throws ConfigError for folds or parameters out of range; DataError for an empty fold;
 *   SingularError when `errorScore` is `raise` and a system has no unique solution
 * @source scikit-learn `GridSearchCV`: same folds, scores, ranks and refit
 */
export async function gridSearch(session: Run, options: GridSearchOptions): Promise<SearchResult> {
  const search = prepare(session, options);
  const { candidates, scoring, folds } = search;
  const metric = options.metric ?? scoring[0]!;

  options.onPhase?.('gram');
  options.onOutput?.('gram', search.gram.expr);
  const gram = await search.gram.value();
  const scatter = testScatters(gram, search);

  options.onPhase?.('fit');
  const fits = allFits(search);
  const settled = await session.evaluateSettled(fitExprs(fits));
  const failures = settled
    .slice(0, fits.length)
    .map((outcome) => (outcome.ok ? undefined : outcome.error));
  for (const error of failures) {
    if (error === undefined) continue;
    const singular = error instanceof RepriseError && error.code === 'SINGULAR';
    if (!singular || options.errorScore === 'raise') throw error;
  }

  options.onPhase?.('score');
  const losses = await heldOutLosses(
    search,
    weightMatrix(session, search, fits, failures),
    (node) => options.onOutput?.('losses', node),
  );
  const errorScore =
    options.errorScore === 'raise' ? Number.NaN : (options.errorScore ?? Number.NaN);
  const trials = tabulate(
    candidates.map(({ params }, t) => {
      const at = (f: number): number => t * folds + f;
      const errors = Object.fromEntries(
        Array.from({ length: folds }, (_, f) => [f, failures[at(f)]?.message] as const).filter(
          (entry): entry is readonly [number, string] => entry[1] !== undefined,
        ),
      );
      const splitScores = Object.fromEntries(
        scoring.map((name) => [
          name,
          Array.from({ length: folds }, (_, f) =>
            failures[at(f)] === undefined
              ? METRICS[name].score({ ...losses(t, f), ...scatter[f]! })
              : errorScore,
          ),
        ]),
      );
      return {
        params,
        splitScores,
        ...(Object.keys(errors).length > 0 ? { errors } : {}),
      };
    }),
    scoring,
  );
  const scored = { trials, scoring, metric, foldRows: scatter.map(({ count }) => count) };
  const bestIndex = findBest(scored);

  const endings = settled.slice(fits.length).map((outcome, i) => ({
    fit: fits[i]!,
    ending: outcome.ok ? (outcome.value as DenseMatrix).data.at(-1) : undefined,
    where: `${JSON.stringify(candidates[Math.floor(i / folds)]!.params)}, fold ${i % folds}`,
  }));
  let model: LinearModel | null = null;
  if ((options.refit ?? true) && bestIndex !== null) {
    options.onPhase?.('refit');
    const { params, all } = candidates[bestIndex]!;
    const fit = search.estimator.fit({ ...search.training, fold: undefined }, all);
    const refitted = await refitModel(search, all, fit, options.onOutput);
    model = refitted.model;
    endings.push({ fit, ending: refitted.ending, where: `${JSON.stringify(params)}, all rows` });
  }
  return {
    paramNames: Object.keys(candidates[0]!.params),
    metrics: scoring,
    refit: metric,
    folds,
    rows: options.X.rows,
    columns: search.columns.length,
    trials,
    bestIndex,
    model,
    warnings: [
      ...leftOutWarnings(gram, {
        folds,
        groups: search.training.groups,
        imputations: options.imputations ?? [],
        columns: search.columns,
      }),
      ...endingWarnings(endings),
      ...scoreWarnings(scored, bestIndex),
    ],
  };
}

interface Search {
  readonly gram: Matrix;
  readonly groupOf: Matrix;
  readonly X: Matrix;
  readonly y: Matrix;
  readonly classes: readonly ClassValue[];
  readonly estimator: MomentEstimator;
  readonly candidates: readonly Candidate[];
  readonly scoring: readonly Metric[];
  readonly folds: number;
  /** The rows of a fit, but for the fold that is left out. */
  readonly training: Omit<TrainingRows, 'fold'>;
  readonly columns: readonly string[];
  /** Which of them are imputed. */
  readonly imputed: readonly number[];
}

function prepare(session: Run, options: GridSearchOptions): Search {
  const { X, cv, estimator } = options;
  const y = options.y ?? fill(session, X.rows, 1, 0);
  if (estimator.reads !== 'moments') {
    throw new RangeError(`${estimator.name}: expected an estimator that reads moments`);
  }
  const candidates = candidatesOf(estimator, options.params ?? {}, options.grid);
  const standardize = options.standardize ?? false;
  const scoring = options.scoring ?? ['r2'];
  const imputations = options.imputations ?? [];
  if (!(Number.isInteger(cv.folds) && cv.folds >= 2 && cv.folds <= X.rows)) {
    throw new ConfigError(
      `folds: expected a whole number from 2 to the number of rows (${X.rows}), got ${cv.folds}`,
      { key: 'cv.folds', value: cv.folds },
    );
  }
  const isGiven = 'assignment' in cv;
  const groupOf = isGiven ? cv.assignment : foldColumn(session, X.rows, cv);
  const groups = isGiven ? (cv.groups ?? cv.folds + 1) : cv.folds;
  const centered =
    candidates.some(({ all }) => estimator.centers(all)) ||
    standardize ||
    scoring.includes('r2') ||
    imputations.length > 0;
  const gram = Matrix.of(
    session,
    session.intern(ops.groupGram, [groupOf.expr, X.expr, y.expr], { groups, center: centered }),
  );
  const { design, kept } = linearDesign(session, X.cols, imputations);
  const names = options.columns ?? kept.map((column) => `x${column}`);
  return {
    gram,
    groupOf,
    X,
    y,
    classes: options.classes ?? [],
    estimator,
    candidates,
    scoring,
    folds: cv.folds,
    training: { gram, groups, centered, standardize, design },
    columns: names,
    imputed: imputations.map(({ column }) => kept.indexOf(column)),
  };
}

/** The fold of each row by a rule. @shape [rows, 1] */
function foldColumn(
  session: Run,
  rows: number,
  cv: Exclude<CrossValidation, { readonly assignment: Matrix }>,
): Matrix {
  const { folds, shuffle = false, seed = 0 } = cv;
  const attrs = { rows, folds, shuffle, seed: shuffle ? seed : 0 };
  return Matrix.of(session, session.intern(ops.kfold, [], attrs));
}

/** Rows and target scatter of each test fold, by Gram blocks. @throws DataError if one is empty */
export function testScatters(
  gram: DenseMatrix,
  search: {
    readonly folds: number;
    readonly training: Pick<TrainingRows, 'groups' | 'centered'>;
  },
): Pick<FoldLosses, 'count' | 'targetScatter'>[] {
  const side = gram.cols;
  const { groups, centered } = search.training;
  const counts = Array.from({ length: groups }, (_, f) => gram.data[f * side * side]!);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Array.from({ length: search.folds }, (_, f) => {
    const count = counts[f]!;
    if (count === 0 || count === total) {
      throw new DataError(
        `cv: expected test and training rows in every fold, got ${count} of ${total} rows in test fold ${f}`,
        { key: 'cv', fold: f },
      );
    }
    const base = f * side * side;
    const corner = gram.data[base + side * side - 1]!;
    const sum = gram.data[base + side - 1]!;
    return { count, targetScatter: centered ? corner : corner - (sum * sum) / count };
  });
}

/** Every fit of every trial, trial by trial. */
function allFits({ estimator, candidates, folds, training }: Search): Fit[] {
  return candidates.flatMap(({ all }) =>
    Array.from({ length: folds }, (_, fold) => estimator.fit({ ...training, fold }, all)),
  );
}

/** The weights of all fits, then how they ended, where that differs. */
function fitExprs(fits: readonly Fit[]): Expr[] {
  const endings = fits.flatMap(({ ending }) => (ending ? [ending.expr] : []));
  return [...fits.map(({ weights }) => weights.expr), ...endings];
}

/** What a search evaluates, for `plan`: Gram matrices, fits and losses; nothing runs. */
export function searchExprs(session: Run, options: GridSearchOptions): Expr[] {
  const search = prepare(session, options);
  const fits = allFits(search);
  return [
    search.gram.expr,
    ...fitExprs(fits),
    lossNode(search, weightMatrix(session, search, fits, [])).expr,
  ];
}

/** Weights of fits by fold: [columns + 1, folds * candidates]; failed fits' columns are unread. */
function weightMatrix(
  session: Run,
  search: Search,
  fits: readonly Fit[],
  failures: readonly (Error | undefined)[],
): Matrix {
  const { folds, candidates } = search;
  const zero = matrix(session, search.X.cols + 1, 1, new Float64Array(search.X.cols + 1));
  const columns = Array.from({ length: folds }, (_, f) =>
    candidates.map((_candidate, t) => {
      const at = t * folds + f;
      return failures[at] === undefined ? fits[at]!.weights : zero;
    }),
  ).flat();
  return columns[0]!.cbind(...columns.slice(1));
}

/** The model of a fit on all rows, and how it ended. */
async function refitModel(
  { estimator, columns, imputed, classes }: Search,
  params: Params,
  fit: Fit,
  onOutput: GridSearchOptions['onOutput'],
): Promise<{ model: LinearModel; ending: number | undefined }> {
  const [ending, ...values] = await Promise.all([
    fit.ending?.value(),
    ...Object.entries(fit.outputs).map(async ([name, output]) => {
      onOutput?.(name as keyof FitOutputs, output.expr);
      return [name, converted(await output.value(), 'float64').data] as const;
    }),
  ]);
  const design = { columns, imputed, classes };
  const model = storedModel(estimator, params, Object.fromEntries(values), design);
  return { model, ending: ending?.data.at(-1) };
}
