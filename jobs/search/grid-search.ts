/**
 * Grid search with cross-validation for any estimator. However many candidates and splits there are,
 * those fitted from moments or sums by class share the one pass that makes these, those that read
 * rows train together, wave by wave (see `waves.ts`), and all are scored in one pass, or none where
 * losses follow from moments (see `scoring/losses.ts`). Refitting from moments or sums needs no pass.
 */
import { converted, type DenseMatrix, type Expr, matrix, type Run } from '../../driver/index.js';
import type { Fit, Params } from '../estimators/estimator.js';
import { type LinearModel, storedModel } from '../estimators/model.js';
import { FOLLOWING_SOLVER, SOLVER_NAMES } from '../estimators/solvers/choice.js';
import { endingsOf, endingWarnings } from './endings.js';
import { fitBest, fitExprs, plannedFits, unknownWeights, weightsOf } from './fits.js';
import { leftOutWarnings } from './left-out.js';
import { nestedScores, sliceTrial } from './nested.js';
import { type GridSearchOptions, partOutput, prepare, type Search } from './prepare.js';
import type { SearchResult } from './result.js';
import { followingOf } from './row-paths.js';
import { type ClassReport, classReport } from './scoring/class-curves.js';
import { Notes } from './scoring/notes.js';
import { heldOutOfOne, plannedScores } from './scoring/scores.js';
import { checkCompared } from './scoring/silhouettes.js';
import { isAligned, splitCount, testScatters, testsOf } from './splits/partition.js';
import { tabulate } from './table.js';
import { findBest, scoreWarnings } from './unscored.js';
import { restoredCells, restoredTrial } from './wave-result.js';
import { canStop, divideIntoWaves, runWaves } from './waves.js';

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
  const alongside = parts.flatMap((part) => part.alongside);
  const first = [...parts.map(({ counted }) => counted), ...alongside];
  const values = (await session.evaluate(first.map(({ expr }) => expr))) as DenseMatrix[];
  const grams = values.slice(0, parts.length);
  const tests = testsOf(parts.map(({ partition }) => partition));
  const scatter = parts.map(({ first, training }, p) =>
    testScatters(grams[p]!, tests[p]!, training.centered, first),
  );

  checkCompared(scoring, scatter.flat(), options.X.rows);

  const { waves, results, partial } = await runWaves(session, search, options, metric, scatter);
  const done = waves
    .flatMap((wave, w) => wave.map((t, i) => ({ t, kept: results.get(w)?.trials[i] })))
    .flatMap(({ t, kept }) => (kept === undefined ? [] : [{ ...candidates[t]!, t, kept }]))
    .sort((a, b) => a.t - b.t);
  const allTrials = done.map(({ kept }) => restoredTrial(kept));
  const trials = tabulate(
    allTrials.map((trial) => sliceTrial(trial, 0, ownFolds)),
    names,
  );
  const kept = [...waves.keys()].flatMap((w) => results.get(w) ?? []);
  const scored = {
    trials,
    scoring,
    metric,
    foldRows: scatter
      .flat()
      .slice(0, ownFolds)
      .map(({ count }) => count),
    classes: search.classes,
    foldClasses: (kept.find(({ classRows }) => (classRows[0]?.length ?? 0) > 0) ?? kept[0]!)
      .classRows,
  };
  const bestIndex = findBest(scored);
  const best = bestIndex === null ? undefined : done[bestIndex]!;
  const notes = new Notes();
  for (const { notes: counts = {} } of kept) notes.add(counts);
  const endings = done.flatMap(({ params, kept: { said = {} } }) =>
    Object.entries(said).map(([f, text]) => {
      const nested = Number(f) < ownFolds ? '' : 'nested ';
      return `${JSON.stringify(params)}, ${nested}fold ${f}: ${text}`;
    }),
  );
  let ended = done.reduce((sum, { kept }) => sum + (kept.ended ?? 0), 0);

  let report: ClassReport | string | undefined;
  let model: LinearModel | null = null;
  let stopped = partial;
  if (best !== undefined && stopped === undefined) {
    try {
      const weights = results.get(waves.findIndex((wave) => wave.includes(best.t)))!.weights;
      if (weights !== undefined) {
        const held = heldOutOfOne(search, best.t, (part) => {
          const own = weights[parts.indexOf(part)]!;
          return matrix(session, own.rows, own.cols, restoredCells(own));
        });
        const { errors = {} } = best.kept;
        report = await classReport(
          session,
          held,
          search.classes,
          (p, split) => errors[parts[p]!.first + split] !== undefined,
        );
      }
      if (options.refit ?? true) {
        options.onPhase?.('refit');
        const { fits, endings: own } = await fitBest(session, search, best.all);
        model = await modelOf(search, best.all, fits[0]!, options.onOutput);
        const { ended: of, said } = endingsOf(fits, own);
        ended += of;
        for (const text of Object.values(said)) {
          endings.push(`${JSON.stringify(best.params)}, all rows: ${text}`);
        }
      }
    } catch (error) {
      if (!canStop(options)) throw error;
      stopped = 'it was stopped before the best was fitted';
    }
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
    ...(stopped
      ? {
          partial: { of: candidates.length, candidates: done.map(({ t }) => t), why: stopped },
        }
      : {}),
    bestIndex,
    model,
    ...(typeof report === 'object' ? { classReport: report } : {}),
    ...(options.nested
      ? { nested: nestedScores(allTrials, options.nested, ownFolds, { scoring: names, metric }) }
      : {}),
    warnings: [
      ...leftOutWarnings(alongside.length > 0 ? values.slice(parts.length) : grams, {
        splits,
        imputations: options.imputations ?? [],
        columns: search.columns,
      }),
      ...endingWarnings(endings, ended),
      ...notes.warnings(folds * done.length),
      ...scoreWarnings(scored, bestIndex),
      ...(typeof report === 'string' ? [report] : []),
    ],
  };
}

/**
 * What a search evaluates, for `plan`, but what has to be trained; nothing runs.
 * @param trained fits that are kept from earlier runs, all of them
 */
export function searchExprs(session: Run, search: Search, trained?: readonly Fit[]): Expr[] {
  const fits = trained ?? plannedFits(search);
  const counted = search.parts.flatMap((part) =>
    [part.counted, ...part.alongside].map(({ expr }) => expr),
  );
  const isTrained = search.estimator.reads === 'rows' && trained === undefined;
  const fitted = { fits, failures: [] };
  const scores = plannedScores(search, (part, some) =>
    isTrained
      ? unknownWeights(session, search, part, some)
      : weightsOf(session, search, part, fitted, some),
  );
  return [...counted, ...fitExprs(fits), ...scores];
}

/** Which solvers train the fits of a search, and why: a line a stack, equal ones once. */
export function searchSolvers(search: Search): string[] {
  const { estimator, candidates, classes, parts, X } = search;
  if (estimator.reads !== 'rows' || estimator.solves === undefined) return [estimator.solver];
  // Of wide designs there are no products to choose between.
  if (parts[0]!.training.columns !== undefined) return [SOLVER_NAMES.columns];
  const { solves } = estimator;
  const { select, wide, encoded } = parts[0]!.training.design;
  const columns = select?.cols ?? wide?.design ?? encoded;
  const splits = new Map<Expr, number>();
  for (const { partition } of parts) {
    const { expr } = partition.groupOf;
    splits.set(expr, (splits.get(expr) ?? 0) + partition.splits.length);
  }
  const lines = divideIntoWaves(search).flatMap((wave) => {
    const { all } = candidates[wave[0]!]!;
    const outputs = estimator.outputs(all, classes.length);
    const params = wave.map((t) => candidates[t]!.all);
    return [...splits.values()].map((own) => {
      const size = { rows: X.rows, columns, outputs, models: wave.length * own };
      const { training } = parts[0]!;
      const following = followingOf(X.session, estimator, params, training, size);
      if (following === undefined) return solves(all, size);
      return `${FOLLOWING_SOLVER}: one value of ${following.number} after the other, from the least on`;
    });
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
