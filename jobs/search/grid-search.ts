/** Grid search of one model: every combination of its parameters' values. */
import type { Run } from '../../driver/index.js';
import { candidatesOf, distinct } from './candidates.js';
import type { GridSearchOptions, SearchOptions } from './prepare.js';
import type { SearchResult } from './result.js';
import { runSearch } from './run-search.js';
import { oneRung } from './strategies/strategy.js';

/**
 * Scores every candidate on every fold and refits the best.
 * @shape X: [n, d], y: [n, 1]
 * @throws ConfigError for folds, metrics or parameters out of range; DataError for an empty fold;
 *   SingularError when `errorScore` is `raise` and a system has no unique solution
 * @source scikit-learn `GridSearchCV`: same folds, scores, ranks and refit
 */
export async function gridSearch(session: Run, options: GridSearchOptions): Promise<SearchResult> {
  return runSearch(session, searchOf(options));
}

/** The search that a grid of one model is. */
export function searchOf(options: GridSearchOptions): SearchOptions {
  const { estimator, params = {}, prepare = [], grid, ...rest } = options;
  const model = { name: estimator.name, estimator, params, prepare };
  const strategy = () => oneRung(distinct(candidatesOf(model, grid)));
  return { ...rest, models: [model], strategy };
}
