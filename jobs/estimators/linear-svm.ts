/**
 * Linear support vector machines: min w'w / 2 + C sum s_i max(0, 1 - t_i z_i)^2, t being -1 or 1;
 * of more than two classes one against the rest each. The intercept is the weight of a column of
 * `intercept_scaling` and is penalised with the others (scikit-learn's `LinearSVC`, dual = False).
 */
import { z } from 'zod';
import type { RowEstimator } from './estimator.js';
import { SMOOTH_SOLVERS, solves } from './solvers/choice.js';
import { classTarget } from './solvers/classes.js';
import { squaredHinge } from './solvers/losses.js';
import { classParameters, iterationParameters, ONE_CLASS } from './solvers/parameters.js';
import { rowFit, stepEnds, wideRows } from './solvers/row-fit.js';
import { fitSmooth } from './solvers/smooth.js';

const parameters = z.strictObject({
  ...classParameters,
  ...iterationParameters({ maxIter: 1000, tol: 1e-4 }),
  fit_intercept: z.boolean().default(true).meta({
    description: 'Fit an intercept, which is penalised.',
  }),
  intercept_scaling: z.number().positive().default(1).meta({
    description: 'The larger, the less the penalty on the intercept.',
  }),
});
type SvmParams = z.output<typeof parameters>;

export const linearSvm: RowEstimator = {
  name: 'linear-svm',
  description: 'Linear support vector machine of squared hinge losses.',
  solver: SMOOTH_SOLVERS,
  parameters,
  task: 'classification',
  link: () => 'margin',
  outputs: (_, classes) => (classes === 2 ? 1 : classes),
  reads: 'rows',
  version: 2,
  solves: (_, size) => solves(size, true),
  ends: (params) => stepEnds(params as SvmParams, ONE_CLASS),
  stacked: ['C'],
  train: async (given, { C }, params) => {
    const rows = wideRows(given);
    const own = params as SvmParams;
    const { isSingle, ...target } = classTarget(rows, own.class_weight, true);
    const { weights, ending } = await fitSmooth({
      rows,
      ...target,
      loss: squaredHinge,
      intercept: own.fit_intercept ? own.intercept_scaling : 'none',
      l2: C!.recip(),
      tol: own.tol,
      maxIterations: own.max_iter,
    });
    const ended = { weights, ending: isSingle.ifelse(Number.NaN, ending) };
    return rowFit(rows.design, ended);
  },
};
