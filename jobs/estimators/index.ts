/** Every estimator there is, in the order that job files list them. */

import { autoencoder } from './autoencoder.js';
import { bernoulliNb } from './bernoulli-nb.js';
import { elasticNet } from './elastic-net.js';
import type { Estimator } from './estimator.js';
import { gaussianNb } from './gaussian-nb.js';
import { huber } from './huber.js';
import { kmeans } from './kmeans.js';
import { lasso } from './lasso.js';
import { lda } from './lda.js';
import { linearSvm } from './linear-svm.js';
import { logistic } from './logistic.js';
import { mlpClassifier, mlpRegressor } from './mlp.js';
import { multinomialNb } from './multinomial-nb.js';
import { nearestCentroid } from './nearest-centroid.js';
import { cnn, networkClassifier, networkRegressor } from './network.js';
import { nmf } from './nmf.js';
import { ols } from './ols.js';
import { pca, svd } from './pca.js';
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
  mlpRegressor,
  networkRegressor,
  logistic,
  linearSvm,
  mlpClassifier,
  networkClassifier,
  cnn,
  gaussianNb,
  multinomialNb,
  bernoulliNb,
  nearestCentroid,
  lda,
  kmeans,
  pca,
  svd,
  nmf,
  autoencoder,
];
