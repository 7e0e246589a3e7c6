/**
 * Linear support vector machines: min w'w / 2 + C sum s_i max(0, 1 - t_i z_i)^p, t being -1 or 1 and
 * p 2, or 1 for `hinge`; of more than two classes one against the rest each. The intercept is the
 * weight of a column of `intercept_scaling` and is penalised with the others (scikit-learn's
 * `LinearSVC`).
 */
import * as z from 'zod';
import { type Matrix, ones } from '../../driver/index.js';
import type { Fit, RowData, RowEstimator } from './estimator.js';
import { SMOOTH_SOLVERS, singlePays, solves } from './solvers/choice.js';
import { type ClassTarget, type ClassWeight, classTarget } from './solvers/classes.js';
import { fitHinge } from './solvers/hinge.js';
import { squaredHinge } from './solvers/losses.js';
import { classParameters, iterationParameters, ONE_CLASS } from './solvers/parameters.js';
import { type Ended, failsAtNaN, rowFit, stepEnds, wideRows } from './solvers/row-fit.js';
import { fitSmooth, followsStrength } from './solvers/smooth.js';

const parameters = z.strictObject({
  ...classParameters,
  loss: z.enum(['squared_hinge', 'hinge']).default('squared_hinge').meta({
    description:
      'Of a margin m below 1: (1 - m)^2, or 1 - m itself, which is solved together with its dual.',
  }),
  ...iterationParameters({ maxIter: 1000, tol: 1e-4 }),
  fit_intercept: z.boolean().default(true).meta({
    description: 'Fit an intercept, which is penalised.',
  }),
  intercept_scaling: z.number().positive().default(1).meta({
    description: 'The larger, the less the penalty on the intercept.',
  }),
});
const HINGE_SOLVER = 'primal-dual interior point, a weighted Gram matrix a step';

type SvmParams = z.output<typeof parameters>;

export const linearSvm: RowEstimator = {
  name: 'linear-svm',
  description: 'Linear support vector machine.',
  solver: `${SMOOTH_SOLVERS}; \`hinge\`: ${HINGE_SOLVER}`,
  parameters,
  task: 'classification',
  link: () => 'margin',
  outputs: (_, classes) => (classes === 2 ? 1 : classes),
  reads: 'rows',
  version: 5,
  solves: ({ loss }, size) => (loss === 'hinge' ? HINGE_SOLVER : solves(size, true)),
  ends: (params) => {
    const own = params as SvmParams;
    return own.loss === 'hinge' ? gapEnds(own) : stepEnds(own, ONE_CLASS);
  },
  stacked: ['C', 'tol'],
  follows: (params) => {
    const own = params as SvmParams;
    if (own.loss === 'hinge') return undefined;
    return followsStrength((rows) => ({
      ...classTarget(rows, own.class_weight as ClassWeight, true),
      loss: squaredHinge,
      intercept: interceptOf(own),
    }));
  },
  begins: ({ loss }) => loss !== 'hinge',
  startsInSingle: ({ loss }, size, isBegun) => loss !== 'hinge' && singlePays(size, true, isBegun),
  // A hinge loss makes a weighted Gram matrix of the columns a step.
  fitsWide: ({ loss }) => loss !== 'hinge',
  train: async (given, { C, tol }, params) => {
    const rows = wideRows(given);
    const own = params as SvmParams;
    const { isSingle, ...target } = classTarget(rows, own.class_weight as ClassWeight, true);
    const l2 = C!.recip();
    const { weights, ending } =
      own.loss === 'hinge'
        ? await hingeFits({ rows, ...target, l2, gap: gapOfTol(tol!) }, own)
        : await fitSmooth({
            rows,
            ...target,
            loss: squaredHinge,
            intercept: interceptOf(own),
            l2,
            tol: tol!,
            maxIterations: own.max_iter,
          });
    const ended = { weights, ending: isSingle.ifelse(Number.NaN, ending) };
    return rowFit(rows.design, ended);
  },
};

function interceptOf({ fit_intercept, intercept_scaling }: SvmParams): number | 'none' {
  return fit_intercept ? intercept_scaling : 'none';
}

interface HingeTarget extends Omit<ClassTarget, 'isSingle' | 'mean'> {
  readonly rows: RowData;
  readonly l2: Matrix;
  /** [1, 1] */
  readonly gap: Matrix;
}

/** Each class against the rest, one after the other: their duals have nothing in common. */
async function hingeFits(
  { rows, target, weight, total, l2, gap }: HingeTarget,
  { fit_intercept, intercept_scaling, max_iter }: SvmParams,
): Promise<Ended> {
  const unit = ones(l2.session, rows.design.columns, 1);
  const penalties = unit.rbind(ones(l2.session, 1, 1).div(intercept_scaling ** 2)).mul(l2);
  const fits: Ended[] = [];
  const columnOf = (of: Matrix, c: number): Matrix => of.slice(null, of.cols === 1 ? 0 : c);
  for (let c = 0; c < target.cols; c++) {
    const own = { target: target.col(c), weight: columnOf(weight, c), total: columnOf(total, c) };
    fits.push(
      await fitHinge({
        ...{ rows, ...own, l2: penalties, hasIntercept: fit_intercept },
        gap,
        maxIterations: max_iter,
      }),
    );
  }
  const [first, ...others] = fits;
  return {
    weights: first!.weights.cbind(...others.map(({ weights }) => weights)),
    ending: others.reduce((worst, { ending }) => worst.maximum(ending), first!.ending),
  };
}

/** Mean gap of a row between primal and dual to end with, a row's loss being 1 at first. */
function gapOfTol(tol: Matrix): Matrix {
  return tol.minimum(1).mul(GAP).maximum(LEAST_GAP);
}

const GAP = 1e-6;
const LEAST_GAP = 1e-12;

function gapEnds({ tol, max_iter }: SvmParams): Pick<Fit, 'warn' | 'fails'> {
  const wanted = Math.max(Math.min(tol, 1) * GAP, LEAST_GAP);
  return {
    warn: (gap, limit = 'max_iter') =>
      !(gap > wanted)
        ? undefined
        : `expected a mean gap of at most ${wanted} (tol ${tol}), got ${Number(gap.toPrecision(2))} after at most ${max_iter} iterations (${limit}); raise ${limit}, or scale the columns (data.standardize)`,
    fails: failsAtNaN(ONE_CLASS),
  };
}
