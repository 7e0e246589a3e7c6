/** Every estimator there is, in the order that job files list them. */
import type { Estimator } from './estimator.js';
import { ridge } from './ridge.js';

export const estimators: readonly Estimator[] = [ridge];
