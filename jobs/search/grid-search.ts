/**
 * Grid search with cross-validation for any estimator that reads moments. Every (candidate, fold)
 * is written as if alone; because expressions are interned, all of them share one grouped Gram
 * matrix, the only pass over the data there is unless losses have to be summed row by row (see
 * `losses.ts`), however many there are. Refitting needs no pass.
 */
import {
  type ClassValue,
  converted,
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
import { heldOutLosses, type LossInputs, lossNode } from './losses.js';
import type { SearchResult } from './result.js';
import { METRICS, type Metric, tabulate } from './scoring.js';
import {
  type CrossValidation,
  isAligned,
  type Partition,
  resolveSplits,
  type Splits,
  testScatters,
  testsOf,
} from './splits/partition.js';
import { findBest, scoreWarnings } from './unscored.js';

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

/** Gram matrices by group, summed losses, and what the refitted model is made of. */
export type SearchOutput = PartitionOutput | keyof FitOutputs;
type PartitionOutput = ReturnType<typeof partOutput>;

/** The name of a partition's output: the first one's has no number. */
export function partOutput<N extends 'gram' | 'losses'>(
  name: N,
  part: number,
): N | `${N} ${number}` {
  return part === 0 ? name : `${name} ${part + 1}`;
}

/**
 * Scores every candidate on every fold and refits the best.
 * @shape X: [n, d], y: [n, 1]
 * @throws ConfigError for folds or parameters out of range; DataError for an empty fold;
 *   SingularError when `errorScore` is `raise` and a system has no unique solution
 * @source scikit-learn `GridSearchCV`: same folds, scores, ranks and refit
 */
export async function gridSearch(session: Run, options: GridSearchOptions): Promise<SearchResult> {
  const search = prepare(session, options);
  const { candidates, scoring, folds, parts } = search;
  const metric = options.metric ?? scoring[0]!;

  options.onPhase?.('gram');
  for (const [p, { gram }] of parts.entries()) options.onOutput?.(partOutput('gram', p), gram.expr);
  const grams = (await session.evaluate(parts.map(({ gram }) => gram.expr))) as DenseMatrix[];
  const tests = testsOf(search.splits);
  const scatter = parts.flatMap(({ first, training }, p) =>
    testScatters(grams[p]!, tests[p]!, training.centered, first),
  );

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
    session,
    parts.map((part) => lossInputs(session, search, part, fits, failures)),
    (p, node) => options.onOutput?.(partOutput('losses', p), node),
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
    const fit = search.estimator.fit({ ...parts[0]!.training, train: undefined }, all);
    const refitted = await refitModel(search, all, fit, options.onOutput);
    model = refitted.model;
    endings.push({ fit, ending: refitted.ending, where: `${JSON.stringify(params)}, all rows` });
  }
  return {
    paramNames: Object.keys(candidates[0]!.params),
    metrics: scoring,
    refit: metric,
    folds,
    ...(parts.length === 1 && isAligned(search.splits[0]!) ? {} : { tests }),
    rows: options.X.rows,
    columns: search.columns.length,
    trials,
    bestIndex,
    model,
    warnings: [
      ...leftOutWarnings(grams, {
        splits: search.splits,
        imputations: options.imputations ?? [],
        columns: search.columns,
      }),
      ...endingWarnings(endings),
      ...scoreWarnings(scored, bestIndex),
    ],
  };
}

interface Search {
  readonly X: Matrix;
  readonly y: Matrix;
  readonly classes: readonly ClassValue[];
  readonly estimator: MomentEstimator;
  readonly candidates: readonly Candidate[];
  readonly scoring: readonly Metric[];
  readonly splits: Splits;
  readonly parts: readonly SearchPart[];
  /** Splits over all partitions. */
  readonly folds: number;
  readonly columns: readonly string[];
  /** Which of them are imputed. */
  readonly imputed: readonly number[];
}

/** What a search knows of one partition. */
interface SearchPart {
  readonly partition: Partition;
  readonly gram: Matrix;
  /** The number of its first split among those of all partitions. */
  readonly first: number;
  /** The rows of a fit, but for which groups of them it trains on. */
  readonly training: Omit<TrainingRows, 'train'>;
}

function prepare(session: Run, options: GridSearchOptions): Search {
  const { X, estimator } = options;
  const y = options.y ?? fill(session, X.rows, 1, 0);
  if (estimator.reads !== 'moments') {
    throw new RangeError(`${estimator.name}: expected an estimator that reads moments`);
  }
  const candidates = candidatesOf(estimator, options.params ?? {}, options.grid);
  const standardize = options.standardize ?? false;
  const scoring = options.scoring ?? ['r2'];
  const imputations = options.imputations ?? [];
  const splits = resolveSplits(session, X.rows, options.cv);
  const centered =
    candidates.some(({ all }) => estimator.centers(all)) ||
    standardize ||
    scoring.includes('r2') ||
    imputations.length > 0;
  const { design, kept } = linearDesign(session, X.cols, imputations);
  const names = options.columns ?? kept.map((column) => `x${column}`);
  let folds = 0;
  const parts = splits.map((partition): SearchPart => {
    const { groupOf, groups } = partition;
    const inputs = [groupOf.expr, X.expr, y.expr];
    const node = session.intern(ops.groupGram, inputs, { groups, center: centered });
    const gram = Matrix.of(session, node);
    const first = folds;
    folds += partition.splits.length;
    return { partition, gram, first, training: { gram, groups, centered, standardize, design } };
  });
  return {
    X,
    y,
    classes: options.classes ?? [],
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

/** Every fit of every trial, trial by trial. */
function allFits({ estimator, candidates, parts }: Search): Fit[] {
  const rows = parts.flatMap(({ partition, training }) =>
    partition.splits.map(({ train }) => ({ ...training, train })),
  );
  return candidates.flatMap(({ all }) => rows.map((training) => estimator.fit(training, all)));
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
  const losses = search.parts.map((part) => lossNode(lossInputs(session, search, part, fits, [])));
  return [
    ...search.parts.map(({ gram }) => gram.expr),
    ...fitExprs(fits),
    ...losses.map(({ expr }) => expr),
  ];
}

/**
 * What a partition's losses are computed from. Weights of its fits by split: [columns + 1, splits *
 * candidates]; failed fits' columns are unread.
 */
function lossInputs(
  session: Run,
  { X, y, candidates, scoring, folds }: Search,
  { partition, gram, first, training: { centered } }: SearchPart,
  fits: readonly Fit[],
  failures: readonly (Error | undefined)[],
): LossInputs {
  const zero = matrix(session, X.cols + 1, 1, new Float64Array(X.cols + 1));
  const columns = partition.splits.flatMap((_, split) =>
    candidates.map((_candidate, t) => {
      const at = t * folds + first + split;
      return failures[at] === undefined ? fits[at]!.weights : zero;
    }),
  );
  const weights = columns[0]!.cbind(...columns.slice(1));
  return { partition, gram, centered, X, y, scoring, candidates: candidates.length, weights };
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
