/** Every estimator there is, in the order that job files list them. */

import { elasticNet } from './elastic-net.js';
import type { Estimator } from './estimator.js';
import { huber } from './huber.js';
import { lasso } from './lasso.js';
import { linearSvm } from './linear-svm.js';
import { logistic } from './logistic.js';
import { ols } from './ols.js';
import { quantile } from './quantile.js';
import { ridge } from './ridge.js';
import { gamma, poisson, tweedie } from './tweedie.js';

export const estimators: readonly Estimator[] = [
  ridge,
  ols,
  lasso,
  elasticNet,
  huber,
  quantile,
  poisson,
  gamma,
  tweedie,
  logistic,
  linearSvm,
];
