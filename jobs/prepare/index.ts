/** Every cleaning step there is, in the order that job files list them. */
import { imputeStep } from './impute.js';
import { networkStep } from './network.js';
import { outliersStep } from './outliers.js';
import { pcaStep } from './pca.js';
import { polynomialStep } from './polynomial.js';
import { scaleStep } from './scale.js';
import { selectStep } from './select.js';
import type { PrepareStep } from './step.js';
import { targetStep } from './target.js';

export const prepareSteps: readonly PrepareStep[] = [
  networkStep,
  imputeStep,
  outliersStep,
  scaleStep,
  selectStep,
  pcaStep,
  polynomialStep,
  targetStep,
];
