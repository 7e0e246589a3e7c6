/** Parameters that estimators share which read rows, by scikit-learn's names. */
import * as z from 'zod';

export function iterationParameters(defaults: { maxIter: number; tol: number }) {
  return {
    max_iter: z.int().min(1).max(1_000_000_000).default(defaults.maxIter).meta({
      description: 'Most iterations, each a pass over the rows.',
    }),
    tol: z.number().positive().default(defaults.tol).meta({
      description:
        'A fit ends by a step of at most a hundredth of this, relative to the coefficients.',
    }),
  };
}

export const freeIntercept = z.boolean().default(true).meta({
  description: 'Fit an intercept, which is not penalised.',
});

export const classParameters = {
  C: z.number().positive().default(1).meta({
    description: 'Weight of the losses against the penalty: less regularises more.',
  }),
  class_weight: z
    .union([z.enum(['none', 'balanced']), z.record(z.string(), z.number().positive())])
    .default('none')
    .meta({
      description:
        '`balanced`: each class weighs the same in all; or weights by class, 1 for the others.',
    }),
};

/** Why a classifier has no model. */
export const ONE_CLASS =
  'expected training rows of at least two classes, got one class; use stratified folds';
