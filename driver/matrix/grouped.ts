/**
 * Work by groups of rows: folds, classes, clusters. The group of a row is a number in a column; rows
 * with other numbers than 0..groups-1 are in none. Building it computes nothing.
 */
import type { Attrs } from '../ir/attrs.js';
import type { OpDef } from '../ir/op-def.js';
import type { ColumnFold } from '../operators/aggregate.js';
import { ops } from '../operators/index.js';
import { makeExpr, requireOneSession } from './element-wise.js';
import { Matrix } from './matrix.js';

/**
 * Sums of the rows of each group.
 * @shape g: [n, 1], A: [n, c] -> [groups, c]; zeros for an empty group
 * @throws ShapeError
 */
export function groupSums(g: Matrix, A: Matrix, groups: number): Matrix {
  return made(ops.groupSums, [g, A], { groups });
}

/**
 * Row i is row g_i of a table: what its group has, beside each row.
 * @shape g: [n, 1], table: [groups, c] -> [n, c]; zeros for rows of no group
 * @throws ShapeError
 */
export function takeRows(g: Matrix, table: Matrix): Matrix {
  return made(ops.takeRows, [g, table]);
}

/**
 * X W + b of each row under the models of its group: in a search the models of the split that tests
 * the row.
 * @shape g: [n, 1], X: [n, d], W: [d + 1, groups * c], group by group, b in the last row -> [n, c];
 *   zeros for rows of no group
 * @throws ShapeError
 */
export function heldOut(g: Matrix, X: Matrix, W: Matrix, groups: number): Matrix {
  return made(ops.heldOut, [g, X, W], { groups });
}

/** How rows are made of parts: see `driver/operators/nonnegative.ts`. */
export interface NonnegativeOptions {
  readonly groups: number;
  /** Parts of a model. */
  readonly width: number;
  readonly loss: 'frobenius' | 'kullback-leibler';
  /** Penalties on the sums, and on half the squares, of what rows have of the parts. */
  readonly l1: number;
  readonly l2: number;
  readonly gives: 'parts' | 'error';
}

/**
 * What each row has of the parts of the models of its group, not below 0; or the squared distance
 * that is left.
 * @shape g: [n, 1], X: [n, d], H: [d, groups * models * width] -> [n, models * width], of errors
 *   [n, models]; zeros for rows of no group
 * @throws ShapeError, PlanError
 */
export function nonnegative(g: Matrix, X: Matrix, H: Matrix, options: NonnegativeOptions): Matrix {
  return made(ops.nonnegative, [g, X, H], { ...options });
}

/** One number from each run of `width` columns of a row. @shape A: [n, k width] -> [n, k] */
export function foldCols(
  A: Matrix,
  { width, fold }: { readonly width: number; readonly fold: ColumnFold },
): Matrix {
  return made(ops.foldCols, [A], { width, fold });
}

/**
 * A quantile of each column by group, as `numpy.quantile` has it. @param at 0..1: 0.5 the median
 * @shape g: [n, 1], A: [n, c] -> [groups, c]; NaN for an empty group
 * @throws ShapeError
 */
export function groupQuantile(g: Matrix, A: Matrix, groups: number, at: number): Matrix {
  return made(ops.groupQuantile, [g, A], { groups, at });
}

/** Sets of groups whose rows are taken together: those that train, by split. */
export interface GroupSets {
  readonly groups: number;
  readonly sets: readonly (readonly number[])[];
}

/**
 * Quantiles of the cells of each column that are not NaN, by set of groups.
 * @param fill what NaN cells count as, by set; without it they are left out
 * @shape g: [n, 1], A: [n, c], fill: [sets, c] -> [sets * at, c], set by set; NaN for no cells
 * @throws ShapeError
 */
export function presentQuantiles(
  g: Matrix,
  A: Matrix,
  {
    groups,
    sets,
    at,
    fill,
  }: GroupSets & { readonly at: readonly number[]; readonly fill?: Matrix },
): Matrix {
  const attrs = { groups, sets, at, present: true };
  return made(ops.groupQuantile, fill ? [g, A, fill] : [g, A], attrs);
}

/**
 * The most frequent cell of each column that is not NaN, the least of equally frequent ones.
 * @shape g: [n, 1], A: [n, c] -> [sets, c]; NaN for no cells
 * @throws ShapeError
 */
export function presentModes(g: Matrix, A: Matrix, { groups, sets }: GroupSets): Matrix {
  return made(ops.groupMode, [g, A], { groups, sets });
}

/**
 * Folds among the rows of some groups alone, in their order; of `folds` every other row is.
 * @param of set: those groups; y, classes: class numbers to share out evenly
 * @shape g, y: [n, 1] -> [n, 1]
 * @throws ShapeError
 */
export function innerFolds(
  g: Matrix,
  {
    y,
    ...of
  }: {
    readonly groups: number;
    readonly set: readonly number[];
    readonly folds: number;
    readonly y?: Matrix;
    readonly classes?: number;
  },
): Matrix {
  return made(ops.innerFolds, y ? [g, y] : [g], of);
}

/** Scores of classes: `width` columns a model, one a class; or 1, which is for class 1 of two. */
export interface ClassScores {
  readonly groups: number;
  readonly classes: number;
  readonly width: number;
}

/**
 * Pairs in which a row of a column's class has a greater score than a row of another class, ties
 * half: divided by the number of pairs, areas under ROC curves.
 * @shape g, y: [n, 1], scores: [n, models * width] -> [groups * classes, models * width]
 * @throws ShapeError
 */
export function groupRanks(g: Matrix, y: Matrix, scores: Matrix, of: ClassScores): Matrix {
  return made(ops.groupRanks, [g, y, scores], { ...of });
}

/**
 * Average precision of each column's class against all others.
 * @shape g, y: [n, 1], scores: [n, models * width] -> [groups, models * width]
 * @throws ShapeError
 */
export function groupPrecision(g: Matrix, y: Matrix, scores: Matrix, of: ClassScores): Matrix {
  return made(ops.groupPrecision, [g, y, scores], { ...of });
}

/**
 * Mean silhouette coefficients by group of clusterings of the same rows, as scikit-learn's
 * `silhouette_score`: every row is compared with every other one of its group.
 * @shape g: [n, 1], Z: [n, d], labels: [n, m] -> [groups, m]; NaN for a group of one cluster, or of
 *   as many as rows
 * @throws ShapeError
 */
export function groupSilhouette(g: Matrix, Z: Matrix, labels: Matrix, groups: number): Matrix {
  return made(ops.groupSilhouette, [g, Z, labels], { groups });
}

/** The matrix of an operator over matrices of one session. @throws PlanError, ShapeError */
export function made(op: OpDef, operands: readonly [Matrix, ...Matrix[]], attrs?: Attrs): Matrix {
  const { session } = operands[0];
  for (const other of operands) requireOneSession(op.name, session, other.session);
  const inputs = operands.map(({ expr }) => expr);
  return Matrix.of(session, makeExpr(session, op, inputs, attrs));
}
