/**
 * Linear discriminant analysis: classes are normal with means m_c and one covariance W
 * (scikit-learn's `LinearDiscriminantAnalysis`). log P(x, c) is, but for what all classes share,
 * (x - m)' W^-1 (m_c - m) - (m_c - m)' W^-1 (m_c - m) / 2 + log P(c), m the mean of all rows, or of
 * the classes by their priors. The solvers differ in what they make of a W without full rank and in
 * shrinkage only.
 * Source of `auto`: Ledoit and Wolf, A well-conditioned estimator (2004), per class as there.
 */
import * as z from 'zod';
import {
  ConfigError,
  Matrix,
  matrix,
  ops,
  type Scalar,
  scalar,
  takeRows,
} from '../../driver/index.js';
import { NEVER, priorsList } from './class-sums.js';
import type { ClassEstimator, ClassRows } from './estimator.js';
import { type ColumnMoments, columnScales, preparedMoments } from './linear-design.js';
import type { Moments } from './moments.js';

const parameters = z.strictObject({
  solver: z.enum(['svd', 'lsqr', 'eigen']).default('svd').meta({
    description:
      'Where columns depend on each other: svd and lsqr leave directions out, eigen fails.',
  }),
  priors: priorsList.default(null).meta({
    description:
      'How likely each class is, in the order of the classes; null: as they are frequent.',
  }),
  shrinkage: z
    .union([z.literal('auto'), z.number().min(0).max(1)])
    .nullable()
    .default(null)
    .meta({
      description:
        'Share of a multiple of the identity in the covariance; auto: by Ledoit and Wolf.',
    }),
  tol: z.number().nonnegative().default(1e-4).meta({
    description:
      'Solver svd: directions with at most this singular value within classes are left out.',
  }),
});

type LdaParams = z.output<typeof parameters>;

export const lda: ClassEstimator = {
  name: 'lda',
  description: 'Linear discriminant analysis: classes are normal with one covariance.',
  solver: 'eigenvectors of covariances within classes',
  parameters,
  task: 'classification',
  // A mean of variances.
  countsColumns: ({ shrinkage }) => shrinkage !== null,
  takesWeights: false,
  reads: 'classes',
  link: () => 'softmax',
  outputs: (_params, classes) => classes,
  fit: (rows, params) => {
    const own = params as LdaParams;
    if (own.solver === 'svd' && own.shrinkage !== null) {
      throw new ConfigError(
        `shrinkage: expected null with solver svd, got ${own.shrinkage}; say solver: lsqr or eigen`,
        { key: 'model.shrinkage', value: own.shrinkage },
      );
    }
    const overall = preparedMoments(rows.all);
    const { map, imputed, count } = overall;
    const scales = rows.all.standardize ? columnScales(overall) : null;
    const inUnits = unitsOf(map, scales);
    const classes = Array.from({ length: rows.classes }, (_, c) => inUnits(rows.ofClass(c)));
    const counts = rows.counts.alike;
    const isPresent = counts.gt(0);
    const { priors } = own;
    const likely = priors && matrix(counts.session, counts.rows, 1, priors);
    const ofClass = stacked(classes.map(({ mean }) => mean.t()));
    const center = likely
      ? ofClass.t().matmul(likely)
      : scales === null
        ? overall.mean
        : overall.mean.div(scales.t());
    const means = ofClass.sub(center.t());
    const shares = likely ?? isPresent.ifelse(counts, 1).div(count);
    const design = { rows, classes, overall, scales, likely };
    const within = own.shrinkage === 'auto' ? ledoitWolf(design) : pooled(design, own);
    const solved = solve(within, means.t(), { ...overall, mean: center }, own).t();
    const directions = isPresent.ifelse(solved, 0);
    const intercepts = shares
      .log()
      .sub(directions.mul(means).rowSums().mul(0.5))
      .sub(directions.matmul(center));
    const intercept = isPresent.ifelse(intercepts, NEVER).t();
    const coefficients = (scales === null ? directions : directions.div(scales)).t();
    return {
      weights: (map === null ? coefficients : map.matmul(coefficients)).rbind(intercept),
      outputs: { coefficients, intercept, ...(imputed ? { imputed } : {}) },
    };
  },
};

interface Design {
  readonly rows: ClassRows;
  /** In units of the design, as all below. */
  readonly classes: readonly Moments[];
  readonly overall: ColumnMoments;
  readonly scales: Matrix | null;
  /** Priors that are given, [classes, 1]; null: classes are as likely as they are frequent. */
  readonly likely: Matrix | null;
}

/** The weight of a class's covariance in the one within classes. */
function shareOf({ classes, overall, likely }: Design, c: number): Scalar {
  return likely === null ? classes[c]!.count.div(overall.count) : likely.at(c, 0);
}

/** Moments of encoded columns as those of imputed and scaled ones. */
function unitsOf(map: Matrix | null, scales: Matrix | null): (moments: Moments) => Moments {
  return ({ count, mean, scatter }) => {
    const own = map === null ? mean : map.t().matmul(mean);
    const square = map === null ? scatter : map.t().matmul(scatter.matmul(map));
    if (scales === null) return { count, mean: own, scatter: square };
    return { count, mean: own.div(scales.t()), scatter: square.div(scales).div(scales.t()) };
  };
}

/** Covariance within classes; shrunken by class with one share, which is the same for the sum. */
function pooled(design: Design, { solver, shrinkage }: LdaParams): Matrix {
  const { classes, overall } = design;
  const { count, leftOut } = overall;
  const parts = classes.map(({ scatter }) => scatter);
  // Solver svd takes rows together, whatever the priors, as scikit-learn does.
  const within =
    design.likely === null || solver === 'svd'
      ? parts.reduce((a, b) => a.add(b)).div(count)
      : parts
          .map((one, c) => one.mul(shareOf(design, c).div(classes[c]!.count.maximum(1))))
          .reduce((a, b) => a.add(b));
  if (shrinkage === null || shrinkage === 'auto') return within;
  const size = leftOut === null ? within.cols : leftOut.sum().neg().add(within.cols);
  return within.mul(1 - shrinkage).addDiag(within.diag().sum().div(size).mul(shrinkage));
}

/** Each class's standardised covariance shrunken by its own share, which its fourth powers give. */
function ledoitWolf(design: Design): Matrix {
  const { rows, classes, overall, scales } = design;
  const { map, leftOut } = overall;
  const { X, y } = rows;
  const { session } = X;
  const deviations = classes.map((one) =>
    columnScales({ ...overall, ...one, count: one.count.maximum(1) }),
  );
  const size =
    leftOut === null
      ? scalar(session, overall.mean.rows)
      : leftOut.sum().neg().add(overall.mean.rows);
  const columns = map === null ? X : X.matmul(map);
  const own = (scales === null ? columns : columns.div(scales))
    .sub(takeRows(y, stacked(classes.map(({ mean }) => mean.t()))))
    .div(takeRows(y, stacked(deviations)));
  const fourth = rows.sums(own.rowSumSqs().square()).alike;
  return classes
    .map(({ count: n, scatter }, c) => {
      const scale = deviations[c]!;
      const covariance = scatter.div(scale).div(scale.t()).div(n.maximum(1));
      const mu = covariance.diag().sum().div(size);
      const squares = covariance.sumSq();
      const noise = fourth.at(c, 0).div(n.maximum(1)).sub(squares).div(n.maximum(1));
      const distance = squares.sub(mu.square().mul(size));
      const share = noise.minimum(distance).div(distance);
      const shrink = noise.minimum(distance).le(0).ifelse(0, share);
      return covariance
        .mul(scalar(session, 1).sub(shrink))
        .addDiag(mu.mul(shrink))
        .mul(scale)
        .mul(scale.t())
        .mul(shareOf(design, c));
    })
    .reduce((a, b) => a.add(b));
}

/** W^-1 B, B of differences of means: [design, classes]. @param about means of the columns */
function solve(within: Matrix, B: Matrix, about: ColumnMoments, params: LdaParams): Matrix {
  const { session } = within;
  if (params.solver === 'eigen') return within.solve(B, { assume: 'spd' });
  const least = (A: Matrix, right: Matrix, tolerance: number): Matrix =>
    Matrix.of(session, session.intern(ops.leastNorm, [A.expr, right.expr], { tolerance }));
  if (params.solver === 'lsqr') return least(within, B, within.cols * Number.EPSILON);
  const scales = columnScales({ ...about, scatter: within.mul(about.count) });
  const correlation = within.div(scales).div(scales.t());
  return least(correlation, B.div(scales.t()), params.tol ** 2).div(scales.t());
}

function stacked(rows: readonly Matrix[]): Matrix {
  return rows[0]!.rbind(...rows.slice(1));
}
