/** Every estimator there is, in the order that job files list them. */

import { elasticNet } from './elastic-net.js';
import type { Estimator } from './estimator.js';
import { lasso } from './lasso.js';
import { ols } from './ols.js';
import { ridge } from './ridge.js';

export const estimators: readonly Estimator[] = [ridge, ols, lasso, elasticNet];
