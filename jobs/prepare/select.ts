/**
 * Fewer columns: those named, scikit-learn's `SelectKBest` with `f_regression` or `f_classif`, and
 * `VarianceThreshold`. Scores follow from moments; columns are ranked once for every k. How many
 * columns pass a threshold depends on the rows, so those that do not are 0 in every row and have no
 * part in a fit.
 */
import * as z from 'zod';
import { eye, type Matrix, matrix, seq, takeRows } from '../../driver/index.js';
import { isConstant } from '../estimators/wide-columns.js';
import type { Columns } from './columns.js';
import {
  chosenColumns,
  invalid,
  type PrepareContext,
  type PrepareStep,
  requireComplete,
  someColumns,
} from './step.js';

const parameters = z.strictObject({
  method: z.enum(['k-best', 'variance', 'names']).default('k-best').meta({
    description:
      'The columns that say most of the target, by F statistics of regressions or of classes; those of enough variance; or those named.',
  }),
  k: z
    .union([z.int().min(1).max(1_000_000), z.literal('all')])
    .default(10)
    .meta({
      description: 'Of method k-best: columns to keep.',
    }),
  threshold: z.number().nonnegative().default(0).meta({
    description: 'Of method variance: columns of more than this variance are kept.',
  }),
  columns: someColumns.columns.meta({
    description: 'Of method names: columns or features to keep, by name; null: all.',
  }),
});

type SelectParams = z.output<typeof parameters>;

export const selectStep: PrepareStep = {
  name: 'select',
  description: 'Keeps the columns that say most.',
  main: 'k',
  parameters,
  apply: (all, given, context) => {
    const params = given as SelectParams;
    return all.map((columns) => {
      requireComplete(columns, 'select');
      if (params.method === 'names') return named(columns, params.columns, context);
      return params.method === 'variance'
        ? aboveThreshold(columns, params.threshold, context)
        : best(columns, params.k, context);
    });
  },
};

function named(columns: Columns, asked: SelectParams['columns'], { y }: PrepareContext): Columns {
  const kept = chosenColumns(columns, 'select', asked);
  if (kept.length === columns.width) return columns;
  const places = matrix(y.session, kept.length, 1, Float64Array.from(kept));
  const pick = takeRows(places, eye(y.session, columns.width)).t();
  const names = columns.map.names;
  return columns.mixed(pick, true, names && kept.map((j) => names[j]!));
}

function aboveThreshold(columns: Columns, threshold: number, { y }: PrepareContext): Columns {
  const { count, mean, spread } = columns.spread(y);
  const of = { count, mean: mean.t(), spread: spread.t() };
  const variance = isConstant(of).ifelse(0, spread.div(count));
  return columns.without(variance.le(threshold));
}

function best(columns: Columns, k: SelectParams['k'], context: PrepareContext): Columns {
  if (!context.hasTarget) throw invalid('select', 'a target for method k-best', 'none');
  const d = columns.width;
  if (k === 'all' || k >= d) return columns;
  const { session } = context.y;
  const scores = context.classes > 0 ? byClasses(columns, context) : byTarget(columns, context.y);
  // Of equal scores the later columns are kept, and columns keep their order.
  const reversed = seq(session, d - 1, 0);
  const ranked = takeRows(reversed, scores)
    .order({ descending: true })
    .neg()
    .add(d - 1);
  const kept = ranked.slice([0, k]).topK(k).slice(null, 1);
  return columns.mixed(takeRows(kept, eye(session, d)).t(), true);
}

/** The square of the correlation with the target, which F ascends with: [d, 1]. */
function byTarget(columns: Columns, y: Matrix): Matrix {
  const { count, mean, scatter, cross, otherScatter } = columns.moments(y);
  const spread = scatter.diag();
  const share = cross.square().div(spread).div(otherScatter.diag());
  return isConstant({ count, mean, spread }).t().or(share.isNaN()).ifelse(0, share);
}

/** The share of the spread that is between classes, which F ascends with: [d, 1]. */
function byClasses(columns: Columns, { y, classes }: PrepareContext): Matrix {
  const indicators = takeRows(y, eye(y.session, classes));
  const { count, mean, scatter, cross, otherMean } = columns.moments(indicators);
  const rows = otherMean.mul(count).maximum(Number.MIN_VALUE);
  const spread = scatter.diag();
  const share = cross.square().div(rows.t()).rowSums().div(spread);
  return isConstant({ count, mean, spread }).t().or(share.isNaN()).ifelse(-1, share);
}
