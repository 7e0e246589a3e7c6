/**
 * What a search will evaluate and how it trains, for `plan`. Invariant: nothing runs.
 */
import type { Expr, Run } from '../../driver/index.js';
import type { Fit } from '../estimators/estimator.js';
import { columnsOf } from '../estimators/linear-design.js';
import { FOLLOWING_SOLVER, SINGLE_LEADS, SOLVER_NAMES } from '../estimators/solvers/choice.js';
import { rungFacts } from './budgets.js';
import { fitExprs, plannedFits, unknownWeights, weightsOf } from './fits.js';
import { type SearchGroup, searchGroups, withTrials } from './groups.js';
import { prepare, type SearchOptions, strategyOf } from './prepare.js';
import { followingOf, isLedBySingle } from './row-paths.js';
import { plannedScores } from './scoring/scores.js';
import type { RungOutline } from './strategies/strategy.js';
import { divideIntoWaves } from './waves.js';

/** What is known of a search before it begins. */
export interface SearchPlan {
  /** Of the first rung. */
  readonly groups: readonly SearchGroup[];
  readonly rungs: readonly RungOutline[];
}

/** @throws as `runSearch`, for what is wrong with what is asked */
export function planSearch(session: Run, options: SearchOptions): SearchPlan {
  const search = prepare(session, options);
  const strategy = strategyOf(search, options);
  const { candidates = [], budget } = strategy.next([]) ?? {};
  const trials = candidates.map((candidate, number) => ({ number, candidate }));
  const groups = searchGroups(search, trials, rungFacts(strategy, budget));
  return { groups, rungs: strategy.outline };
}

/**
 * What a group evaluates, for `plan`, but what has to be trained; nothing runs.
 * @param trained fits that are kept from earlier runs, all of them
 */
export function groupExprs(session: Run, group: SearchGroup, trained?: readonly Fit[]): Expr[] {
  const fits = trained ?? plannedFits(group);
  const counted = group.parts.flatMap((part) =>
    [part.counted, ...part.alongside].map(({ expr }) => expr),
  );
  const isTrained = group.estimator.reads === 'rows' && trained === undefined;
  const fitted = { fits, failures: [] };
  const scores = plannedScores(group, (part, some) =>
    isTrained
      ? unknownWeights(session, group, part, some)
      : weightsOf(session, group, part, fitted, some),
  );
  return [...counted, ...fitExprs(fits), ...scores];
}

/** Which solvers train the fits of a group, and why: a line a stack, equal ones once. */
export function groupSolvers(group: SearchGroup): string[] {
  const { estimator, classes, parts, X } = group;
  if (estimator.reads !== 'rows' || estimator.solves === undefined) return [estimator.solver];
  // Of wide designs there are no products to choose between.
  if (parts[0]!.training.columns !== undefined) return [SOLVER_NAMES.columns];
  const { solves } = estimator;
  const columns = columnsOf(parts[0]!.training.design);
  const splits = new Map<Expr, number>();
  for (const { partition } of parts) {
    const { expr } = partition.groupOf;
    splits.set(expr, (splits.get(expr) ?? 0) + partition.splits.length);
  }
  const lines = divideIntoWaves(group).flatMap((wave) => {
    const params = withTrials(group, wave).candidates.map(({ all }) => all);
    const [all] = params;
    const outputs = estimator.outputs(all!, classes.length, columns);
    return [...splits.values()].map((own) => {
      const size = { rows: X.rows, columns, outputs, models: wave.length * own };
      const { training } = parts[0]!;
      const following = followingOf(X.session, estimator, params, training, size);
      const leads = isLedBySingle(group.X.session, estimator, { X, training }, all!, size);
      const end = leads ? `; ${SINGLE_LEADS}` : '';
      if (following === undefined) return `${solves(all!, size)}${end}`;
      return `${FOLLOWING_SOLVER}: one value of ${following.number} after the other, from the least on${end}`;
    });
  });
  return [...new Set(lines)];
}
