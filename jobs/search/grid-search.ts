/**
 * Grid search with cross-validation for any estimator. However many candidates and splits there are,
 * those fitted from moments or sums by class share the one pass that makes these, those that read
 * rows train together, and all are scored in one pass, or none where losses follow from moments
 * (see `scoring/losses.ts`). Refitting from moments or sums needs no pass.
 */
import { converted, type DenseMatrix, type Expr, type Run } from '../../driver/index.js';
import type { Fit, Params } from '../estimators/estimator.js';
import { type LinearModel, storedModel } from '../estimators/model.js';
import { endingWarnings } from './endings.js';
import {
  fitAll,
  fitBest,
  fitExprs,
  plannedFits,
  plannedTraining,
  unknownWeights,
  weightsOf,
} from './fits.js';
import { leftOutWarnings } from './left-out.js';
import { nestedScores, type RawTrial, sliceTrial } from './nested.js';
import {
  type GridSearchOptions,
  partOutput,
  prepare,
  type Search,
  type SearchPart,
} from './prepare.js';
import type { SearchResult } from './result.js';
import type { TrainingPlan } from './row-fits.js';
import { classReport } from './scoring/class-curves.js';
import { Notes } from './scoring/notes.js';
import { heldOutOfOne, plannedScores, scoreFits } from './scoring/scores.js';
import { checkCompared } from './scoring/silhouettes.js';
import { isAligned, splitCount, testScatters, testsOf } from './splits/partition.js';
import { tabulate } from './table.js';
import { findBest, scoreWarnings } from './unscored.js';

/**
 * Scores every candidate on every fold and refits the best.
 * @shape X: [n, d], y: [n, 1]
 * @throws ConfigError for folds, metrics or parameters out of range; DataError for an empty fold;
 *   SingularError when `errorScore` is `raise` and a system has no unique solution
 * @source scikit-learn `GridSearchCV`: same folds, scores, ranks and refit
 */
export async function gridSearch(session: Run, options: GridSearchOptions): Promise<SearchResult> {
  const search = prepare(session, options);
  const { candidates, scoring, folds, parts, splits } = search;
  const ownFolds = splitCount(splits);
  const names = scoring.map(({ name }) => name);
  const metric = options.metric ?? names[0]!;

  options.onPhase?.('gram');
  for (const [p, { counted }] of parts.slice(0, splits.length).entries()) {
    options.onOutput?.(partOutput('gram', p), counted.expr);
  }
  const grams = (await session.evaluate(parts.map(({ counted }) => counted.expr))) as DenseMatrix[];
  const tests = testsOf(parts.map(({ partition }) => partition));
  const scatter = parts.map(({ first, training }, p) =>
    testScatters(grams[p]!, tests[p]!, training.centered, first),
  );

  checkCompared(scoring, scatter.flat(), options.X.rows);

  options.onPhase?.('fit');
  const fitted = await fitAll(session, search, options.errorScore === 'raise');
  const { fits, failures } = fitted;

  options.onPhase?.('score');
  const weights = (part: SearchPart, some: readonly number[]) =>
    weightsOf(session, search, part, fitted, some);
  const tallyOf = await scoreFits(session, {
    search,
    scatter,
    weights,
    ...(options.formulas ? { formulas: options.formulas } : {}),
    onNode: (name, node, scores) => options.onOutput?.(name, node, scores),
  });
  const errorScore =
    options.errorScore === 'raise' ? Number.NaN : (options.errorScore ?? Number.NaN);
  const notes = new Notes();
  const allTrials = candidates.map(({ params }, t): RawTrial => {
    const all = Array.from({ length: folds }, (_, f) => f);
    const failureOf = (f: number) => failures[t * folds + f];
    const errors = Object.fromEntries(
      all.flatMap((f) => (failureOf(f) ? [[f, failureOf(f)!.message] as const] : [])),
    );
    const splitScores = Object.fromEntries(
      scoring.map(({ name, score: own }) => {
        const scoreOf = (f: number): number =>
          failureOf(f) === undefined
            ? notes.score(name, (note) => own({ ...tallyOf(f, t), note }))
            : errorScore;
        return [name, all.map(scoreOf)];
      }),
    );
    return { params, splitScores, errors };
  });
  const trials = tabulate(
    allTrials.map((trial) => sliceTrial(trial, 0, ownFolds)),
    names,
  );
  const scored = {
    trials,
    scoring,
    metric,
    foldRows: scatter
      .flat()
      .slice(0, ownFolds)
      .map(({ count }) => count),
    classes: search.classes,
    foldClasses: Array.from({ length: ownFolds }, (_, f) => tallyOf(f, 0).classRows),
  };
  const bestIndex = findBest(scored);

  const isReported = options.reportClasses && search.classes.length > 0 && bestIndex !== null;
  const report = isReported
    ? await classReport(
        session,
        heldOutOfOne(search, bestIndex, weights),
        search.classes,
        (p, split) => failures[bestIndex * folds + parts[p]!.first + split] !== undefined,
      )
    : undefined;

  const endings = fits.map((fit, i) => ({
    fit,
    ending: fitted.endings[i],
    where: `${JSON.stringify(candidates[Math.floor(i / folds)]!.params)}, ${i % folds < ownFolds ? '' : 'nested '}fold ${i % folds}`,
  }));
  let model: LinearModel | null = null;
  if ((options.refit ?? true) && bestIndex !== null) {
    options.onPhase?.('refit');
    const { params, all } = candidates[bestIndex]!;
    const { fits: best, endings: ended } = await fitBest(session, search, all);
    const [fit, ending] = [best[0]!, ended[0]];
    model = await modelOf(search, all, fit, options.onOutput);
    endings.push({ fit, ending, where: `${JSON.stringify(params)}, all rows` });
  }
  return {
    paramNames: Object.keys(candidates[0]!.params),
    metrics: names,
    refit: metric,
    folds: ownFolds,
    ...(splits.length === 1 && isAligned(splits[0]!)
      ? {}
      : { tests: tests.slice(0, splits.length) }),
    rows: options.X.rows,
    columns: search.columns.length,
    trials,
    bestIndex,
    model,
    ...(typeof report === 'object' ? { classReport: report } : {}),
    ...(options.nested
      ? { nested: nestedScores(allTrials, options.nested, ownFolds, { scoring: names, metric }) }
      : {}),
    warnings: [
      ...leftOutWarnings(grams, {
        splits,
        imputations: options.imputations ?? [],
        columns: search.columns,
      }),
      ...endingWarnings(endings),
      ...notes.warnings(folds * candidates.length),
      ...scoreWarnings(scored, bestIndex),
      ...(typeof report === 'string' ? [report] : []),
    ],
  };
}

/** What a search evaluates, for `plan`, but what has to be trained; nothing runs. */
export function searchExprs(session: Run, options: GridSearchOptions): Expr[] {
  const search = prepare(session, options);
  const fits = plannedFits(search);
  const counted = search.parts.map((part) => part.counted.expr);
  const isTrained = search.estimator.reads === 'rows';
  const fitted = { fits, failures: [] };
  const scores = plannedScores(search, (part, some) =>
    isTrained
      ? unknownWeights(session, search, part, some)
      : weightsOf(session, search, part, fitted, some),
  );
  return [...counted, ...fitExprs(fits), ...scores];
}

/** What training the fits of a search takes; nothing runs. */
export function searchTraining(session: Run, options: GridSearchOptions): Promise<TrainingPlan[]> {
  return plannedTraining(session, prepare(session, options));
}

/** Which solvers train the fits of a search, and why: a line a stack, equal ones once. */
export function searchSolvers(session: Run, options: GridSearchOptions): string[] {
  const { estimator, candidates, folds, classes, parts, X } = prepare(session, options);
  if (estimator.reads !== 'rows' || estimator.solves === undefined) return [estimator.solver];
  const { stacked, solves } = estimator;
  const { select, wide, encoded } = parts[0]!.training.design;
  const columns = select?.cols ?? wide?.design ?? encoded;
  const kinds = candidates.map(({ all }) =>
    JSON.stringify(Object.entries(all).filter(([name]) => !stacked.includes(name))),
  );
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const lines = candidates.map(({ all }, t) => {
    const models = counts.get(kinds[t]!)! * folds;
    const outputs = estimator.outputs(all, classes.length);
    return solves(all, { rows: X.rows, columns, outputs, models });
  });
  return [...new Set(lines)];
}

/** The model to keep of a fit on all rows. */
async function modelOf(
  { estimator, columns, imputed, classes }: Search,
  params: Params,
  fit: Fit,
  onOutput: GridSearchOptions['onOutput'],
): Promise<LinearModel> {
  const values = await Promise.all(
    Object.entries(fit.outputs).map(async ([name, output]) => {
      onOutput?.(name, output.expr);
      return [name, converted(await output.value(), 'float64').data] as const;
    }),
  );
  const design = { columns, imputed, classes };
  return storedModel(estimator, params, Object.fromEntries(values), design);
}
