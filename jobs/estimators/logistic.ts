/**
 * Logistic regression: min C sum s_i loss(z_i, y_i) + penalty(w), the log loss of two classes or,
 * of more, of the softmax; the intercept is not penalised (scikit-learn's `LogisticRegression`).
 */
import * as z from 'zod';
import { type Matrix, scalar } from '../../driver/index.js';
import type { RowEstimator } from './estimator.js';
import { SMOOTH_SOLVERS, singlePays, solves } from './solvers/choice.js';
import { type ClassWeight, classTarget } from './solvers/classes.js';
import { logLoss, multinomialLoss } from './solvers/losses.js';
import {
  classParameters,
  freeIntercept,
  iterationParameters,
  ONE_CLASS,
} from './solvers/parameters.js';
import { rowFit, stepEnds, wideRows } from './solvers/row-fit.js';
import { fitSmooth, followsStrength } from './solvers/smooth.js';
import { fitSparse } from './solvers/sparse.js';

const SPARSE_SOLVER = 'coordinate descent on moments within quasi-Newton steps';

const parameters = z.strictObject({
  ...classParameters,
  penalty: z.enum(['l2', 'l1', 'elasticnet', 'none']).default('l2').meta({
    description:
      '`l2` on half the squares of coefficients, `l1` on their sizes, `elasticnet` both.',
  }),
  l1_ratio: z.number().min(0).max(1).default(0.5).meta({
    description: 'Share of `l1` in `elasticnet`.',
  }),
  ...iterationParameters({ maxIter: 100, tol: 1e-4 }),
  fit_intercept: freeIntercept,
});
type LogisticParams = z.output<typeof parameters>;

export const logistic: RowEstimator = {
  name: 'logistic',
  description: 'Logistic regression of two or more classes.',
  solver: `${SMOOTH_SOLVERS}; with \`l1\` ${SPARSE_SOLVER}`,
  parameters,
  task: 'classification',
  link: (_, classes) => (classes === 2 ? 'logit' : 'softmax'),
  outputs: (_, classes) => (classes === 2 ? 1 : classes),
  reads: 'rows',
  version: 3,
  solves: ({ penalty }, size) =>
    penalty === 'l1' || penalty === 'elasticnet' ? SPARSE_SOLVER : solves(size, true),
  ends: (params) => stepEnds(params as LogisticParams, ONE_CLASS),
  stacked: ['C', 'l1_ratio'],
  follows: (params) => {
    const own = params as LogisticParams;
    if (own.penalty !== 'l2') return undefined;
    return followsStrength((rows) => ({
      ...classTarget(rows, own.class_weight as ClassWeight),
      loss: rows.classes > 2 ? multinomialLoss : logLoss,
      intercept: interceptOf(own),
    }));
  },
  begins: () => true,
  startsInSingle: ({ penalty }, size, isBegun) =>
    (penalty === 'l2' || penalty === 'none') && singlePays(size, true, isBegun),
  fitsWide: ({ penalty }) => penalty === 'l2' || penalty === 'none',
  train: async (given, numbers, params) => {
    const rows = wideRows(given);
    const own = params as LogisticParams;
    const { isSingle, ...target } = classTarget(rows, own.class_weight as ClassWeight);
    const joint = rows.classes > 2;
    const { l1, l2 } = penalties(numbers as Record<'C' | 'l1_ratio', Matrix>, own.penalty);
    const fit = {
      rows,
      ...target,
      loss: joint ? multinomialLoss : logLoss,
      intercept: interceptOf(own),
      l2,
      joint,
      tol: own.tol,
      maxIterations: own.max_iter,
    } as const;
    const { weights, ending } = await (l1 ? fitSparse({ ...fit, l1 }) : fitSmooth(fit));
    const ended = {
      weights: joint ? centred(weights, own.penalty !== 'none') : weights,
      ending: isSingle.ifelse(Number.NaN, ending),
    };
    return rowFit(rows.design, ended);
  },
};

function interceptOf({ fit_intercept }: LogisticParams): 'free' | 'none' {
  return fit_intercept ? 'free' : 'none';
}

/** Weights of the sizes of coefficients, where they have one, and of half their squares: [1, 1]. */
function penalties(
  { C, l1_ratio }: Readonly<Record<'C' | 'l1_ratio', Matrix>>,
  penalty: LogisticParams['penalty'],
): { readonly l1?: Matrix; readonly l2: Matrix } {
  const none = scalar(C.session, 0).asMatrix();
  const all = C.recip();
  if (penalty === 'none') return { l2: none };
  if (penalty === 'l2') return { l2: all };
  if (penalty === 'l1') return { l1: all, l2: none };
  return { l1: all.mul(l1_ratio), l2: all.mul(l1_ratio.neg().add(1)) };
}

/** Adding a number to a row of weights changes no probability: of these, those that sum to 0. */
function centred(weights: Matrix, interceptOnly: boolean): Matrix {
  const shift = weights.rowSums().div(weights.cols);
  if (!interceptOnly) return weights.sub(shift);
  const last = weights.rows - 1;
  return weights.slice([0, last]).rbind(weights.slice(last).sub(shift.slice(last)));
}
