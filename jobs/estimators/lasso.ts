/** The lasso: min |y - Xw - b|^2 / 2n + alpha |w|_1, b unpenalised (scikit-learn's `Lasso`). */
import { descentEstimator, descentParameters } from './elastic-net.js';

export const lasso = descentEstimator({
  name: 'lasso',
  description: 'Lasso: a penalty on the absolute values of the coefficients.',
  parameters: descentParameters,
  l1: () => 1,
  stacked: ['alpha'],
});
