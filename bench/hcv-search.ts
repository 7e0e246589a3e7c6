/** HCV as every bench of it runs it: cross-validated ridge regression, without intercepts. */
import type { Matrix, Run } from '../driver/index.js';
import { ridge } from '../jobs/estimators/ridge.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { penalties } from './data.js';

export interface HcvRows {
  readonly X: Matrix;
  readonly y: Matrix;
}

/** Mean squared errors on rows held out, by penalty. */
export async function hcvSearch(
  session: Run,
  { X, y }: HcvRows,
  { folds, trials }: { readonly folds: number; readonly trials: number },
): Promise<number[]> {
  const found = await gridSearch(session, {
    ...{ X, y, cv: { folds }, estimator: ridge, grid: { lambda: penalties(trials) } },
    params: { intercept: false },
    scoring: ['neg_mean_squared_error'],
    refit: false,
  });
  return found.trials.map((trial) => -trial.meanScore.neg_mean_squared_error!);
}
